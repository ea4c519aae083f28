//! Everything that touches ONNX Runtime: no other folder names it.

mod runtime;
mod libraries;
mod settings;
mod raw;
mod memory;
mod profiles;
mod provider;
mod survey;
mod placement;
mod turns;
mod graph;
mod rows;
mod arena;
mod engines;

pub(crate) use arena::{KvArena, KvNumbers, KvShape};
pub(crate) use engines::{ENGINE, Engines, TIMING, TIMING_FACTS};
pub(crate) use graph::{Graph, GraphOptions, Place, Ran};
pub(crate) use memory::{FixedRows, Memory, Tensor};
pub(crate) use profiles::Ranges;
pub(crate) use provider::{Device, GPU_TILES};
pub(crate) use rows::{Rows, split_tiles};
pub(crate) use runtime::Runtime;
pub use runtime::{RuntimeFacts, onnxruntime};
pub use survey::{GpuFacts, LibraryFacts, ProviderFacts, gpu_facts, providers_for, survey};
pub(crate) use turns::Turn;
