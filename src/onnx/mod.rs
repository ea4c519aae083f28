//! Everything that touches ONNX Runtime: no other folder names it.

mod runtime;
mod libraries;
mod settings;
mod raw;
mod memory;
mod provider;
mod survey;
mod placement;
mod graph;
mod rows;
mod arena;

pub(crate) use arena::{KvArena, KvNumbers, KvShape};
pub(crate) use graph::{Graph, GraphOptions, Place, Ran};
pub(crate) use memory::{FixedRows, Memory, Tensor};
pub(crate) use provider::Device;
pub(crate) use rows::{Rows, split_tiles};
pub(crate) use runtime::Runtime;
pub use runtime::{RuntimeFacts, onnxruntime};
pub use survey::{LibraryFacts, ProviderFacts, providers_for, survey};
