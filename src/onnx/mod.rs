//! Everything that touches ONNX Runtime: no other folder names it.

mod maps;
mod search;
mod raw;
#[cfg(feature = "capi")]
mod foreign;
mod detached;
mod runtime;
mod libraries;
mod settings;
mod memory;
mod shape_ranges;
mod provider;
mod survey;
mod placement;
mod device_lock;
mod operators;
mod graph;
mod embedding_buffer;
mod arena;
mod plans;

pub(crate) use arena::{KvArena, KvNumbers, KvShape};
pub(crate) use device_lock::DeviceLock;
pub(crate) use embedding_buffer::{EmbeddingBuffer, split_tiles};
#[cfg(feature = "capi")]
pub(crate) use foreign::ForeignOptions;
pub(crate) use graph::{Destination, Graph, GraphOptions};
#[cfg(test)]
pub(crate) use memory::fault;
pub(crate) use memory::{FixedRows, Memory, Tensor};
pub(crate) use operators::OwnOperators;
pub(crate) use plans::{PLAN_ENDING, PlanMode, TIMING_ENDING};
pub(crate) use provider::{Device, GPU_TILES, TIMING_INPUTS};
pub(crate) use runtime::Runtime;
pub use runtime::{RuntimeFacts, onnxruntime};
pub(crate) use shape_ranges::ShapeRanges;
pub use survey::{GpuFacts, LibraryFacts, ProviderFacts, gpu_facts, providers_for, survey};
