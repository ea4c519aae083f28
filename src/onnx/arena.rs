//! Memory for keys and values: allocated once, written in place by every run of the decoder.

use ort::memory::Allocator;

use super::graph::{Graph, Tensor};
use crate::error::{Error, Result};

/// The sizes of a KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    pub(crate) layers: usize,
    /// Key-value heads of a layer.
    pub(crate) heads: usize,
    /// Tokens that fit.
    pub(crate) capacity: usize,
    pub(crate) head_dim: usize,
}

/// A key and a value tensor for each layer, `[1, heads, capacity, head_dim]`. Past and present are the same
/// memory: a run appends to it and copies nothing.
pub(crate) struct KvArena {
    shape: KvShape,
    tensors: Vec<(String, Tensor)>,
}

impl KvShape {
    /// Memory for all layers in bytes.
    pub(crate) fn bytes(&self) -> usize {
        2 * self.layers * self.heads * self.capacity * self.head_dim * size_of::<f32>()
    }
}

impl KvArena {
    /// Allocates the cache.
    ///
    /// # Errors
    /// [`Error::Runtime`] saying how much memory could not be had.
    pub(crate) fn new(shape: KvShape) -> Result<Self> {
        let sizes = [1, shape.heads as i64, shape.capacity as i64, shape.head_dim as i64];
        let mut tensors = Vec::with_capacity(2 * shape.layers);
        for layer in 0..shape.layers {
            for kind in ["key", "value"] {
                let tensor =
                    ort::value::Tensor::<f32>::new(&Allocator::default(), sizes).map_err(|error| {
                        Error::runtime("KV cache", format!("{} bytes of memory", shape.bytes()), error)
                            .hint("ask for a smaller context")
                    })?;
                tensors.push((format!("{kind}.{layer}"), Tensor(tensor.into_dyn())));
            }
        }
        Ok(Self { shape, tensors })
    }

    /// Tokens that fit.
    pub(crate) fn capacity(&self) -> usize {
        self.shape.capacity
    }

    /// Binds past and present of every layer to the same memory.
    pub(crate) fn bind(&mut self, graph: &mut Graph) -> Result<()> {
        for (name, tensor) in &mut self.tensors {
            graph.bind_input(&format!("past_{name}"), tensor)?;
            graph.bind_output(&format!("present_{name}"), tensor)?;
        }
        Ok(())
    }
}
