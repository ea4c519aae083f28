//! Everything that touches ONNX Runtime: no other folder names it.

mod runtime;
mod provider;
mod graph;
mod arena;

pub(crate) use arena::{KvArena, KvShape};
pub(crate) use graph::{Graph, GraphOptions, Tensor};
pub(crate) use provider::Provider;
pub(crate) use runtime::Runtime;
pub use runtime::{RuntimeFacts, onnxruntime};
