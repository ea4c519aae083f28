//! Everything that touches ONNX Runtime: no other folder names it.

mod runtime;
mod libraries;
mod provider;
mod raw;
mod placement;
mod graph;
mod arena;

pub(crate) use arena::{KvArena, KvShape};
pub(crate) use graph::{Graph, GraphOptions, Ran, Tensor};
pub(crate) use provider::Device;
pub(crate) use runtime::Runtime;
pub use runtime::{RuntimeFacts, onnxruntime};
