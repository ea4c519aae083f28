//! Memory for keys and values: allocated once for all slots, written in place by every run of the decoder.

use std::collections::HashMap;
use std::ops::Range;

use ort::memory::Allocator;
use ort::value::Tensor as OrtTensor;

use super::graph::{Graph, Tensor};
use super::raw;
use crate::error::{Error, Result};

/// The sizes of a KV cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KvShape {
    pub(crate) layers: usize,
    /// Conversations that fit.
    pub(crate) slots: usize,
    /// Key-value heads of a layer.
    pub(crate) heads: usize,
    /// Tokens that fit in a slot.
    pub(crate) capacity: usize,
    pub(crate) head_dim: usize,
}

/// A key and a value tensor for each layer, `[slots, heads, capacity, head_dim]`. Past and present are the same
/// memory: a run appends to it and copies nothing. A run sees the slots it is about as a tensor of their own.
pub(crate) struct KvArena {
    shape: KvShape,
    tensors: Vec<(String, OrtTensor<f32>)>,
    /// Views of neighbouring slots, by the first and the number of them; in the order of `tensors`.
    views: HashMap<(usize, usize), Vec<Tensor>>,
    bound: Range<usize>,
}

impl KvShape {
    /// Memory for all layers and slots in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        2 * (self.layers * self.slots) as u64 * self.slot_elements() as u64 * size_of::<f32>() as u64
    }

    /// Numbers in one slot of one tensor.
    fn slot_elements(&self) -> usize {
        self.heads * self.capacity * self.head_dim
    }

    /// Where the first `tokens` tokens of a slot are in each tensor, a range for each head.
    fn spans(&self, slot: usize, tokens: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let (start, stride) = (slot * self.slot_elements(), self.capacity * self.head_dim);
        let length = tokens * self.head_dim;
        (0..self.heads).map(move |head| start + head * stride..start + head * stride + length)
    }

    /// Numbers that `tokens` tokens have in all layers.
    pub(crate) fn numbers(&self, tokens: usize) -> usize {
        2 * self.layers * self.heads * tokens * self.head_dim
    }
}

impl KvArena {
    /// Allocates the cache.
    ///
    /// # Errors
    /// [`Error::Runtime`] saying how much memory could not be had.
    pub(crate) fn new(shape: KvShape) -> Result<Self> {
        let sizes = [shape.slots, shape.heads, shape.capacity, shape.head_dim].map(|size| size as i64);
        let mut tensors = Vec::with_capacity(2 * shape.layers);
        for layer in 0..shape.layers {
            for kind in ["key", "value"] {
                let tensor = OrtTensor::<f32>::new(&Allocator::default(), sizes).map_err(|error| {
                    Error::runtime("KV cache", format!("{} bytes of memory", shape.bytes()), error)
                        .hint("ask for a smaller context or fewer slots")
                })?;
                tensors.push((format!("{kind}.{layer}"), tensor));
            }
        }
        Ok(Self { shape, tensors, views: HashMap::new(), bound: 0..0 })
    }

    /// The sizes.
    pub(crate) fn shape(&self) -> &KvShape {
        &self.shape
    }

    /// Has the next runs of `graph` read and write these slots, as a batch in their order.
    pub(crate) fn bind(&mut self, graph: &mut Graph, slots: Range<usize>) -> Result<()> {
        if self.bound == slots {
            return Ok(());
        }
        self.bound = 0..0;
        let key = (slots.start, slots.len());
        if !self.views.contains_key(&key) {
            let views = self
                .tensors
                .iter_mut()
                .map(|(_, tensor)| view(tensor, &self.shape, &slots))
                .collect::<Result<_>>()?;
            self.views.insert(key, views);
        }
        if let Some(views) = self.views.get_mut(&key) {
            for ((name, _), view) in self.tensors.iter().zip(views) {
                graph.bind_input(&format!("past_{name}"), view)?;
                graph.bind_output(&format!("present_{name}"), view)?;
            }
        }
        self.bound = slots;
        Ok(())
    }

    /// Copies the first `tokens` tokens of a slot to another one.
    pub(crate) fn copy(&mut self, from: usize, to: usize, tokens: usize) {
        for (_, tensor) in &mut self.tensors {
            let (_, numbers) = tensor.extract_tensor_mut();
            for (from, to) in self.shape.spans(from, tokens).zip(self.shape.spans(to, tokens)) {
                numbers.copy_within(from, to.start);
            }
        }
    }

    /// Exchanges the first `tokens` tokens of two slots.
    pub(crate) fn exchange(&mut self, one: usize, other: usize, tokens: usize) {
        let (low, high) = (one.min(other), one.max(other));
        for (_, tensor) in &mut self.tensors {
            let (_, numbers) = tensor.extract_tensor_mut();
            let (lower, upper) = numbers.split_at_mut(high * self.shape.slot_elements());
            for (here, there) in self.shape.spans(low, tokens).zip(self.shape.spans(0, tokens)) {
                lower[here].swap_with_slice(&mut upper[there]);
            }
        }
    }

    /// The first `tokens` tokens of a slot: tensor by tensor, head by head.
    pub(crate) fn read(&self, slot: usize, tokens: usize) -> Vec<f32> {
        let mut read = Vec::with_capacity(self.shape.numbers(tokens));
        for (_, tensor) in &self.tensors {
            let (_, numbers) = tensor.extract_tensor();
            for span in self.shape.spans(slot, tokens) {
                read.extend_from_slice(&numbers[span]);
            }
        }
        read
    }

    /// Puts into a slot what [`read`](Self::read) gave.
    pub(crate) fn write(&mut self, slot: usize, tokens: usize, mut values: &[f32]) {
        for (_, tensor) in &mut self.tensors {
            let (_, numbers) = tensor.extract_tensor_mut();
            for span in self.shape.spans(slot, tokens) {
                let (head, rest) = values.split_at(span.len());
                numbers[span].copy_from_slice(head);
                values = rest;
            }
        }
    }
}

/// Neighbouring slots of a tensor as a tensor `[slots, heads, capacity, head_dim]` on the same memory.
fn view(tensor: &mut OrtTensor<f32>, shape: &KvShape, slots: &Range<usize>) -> Result<Tensor> {
    let elements = shape.slot_elements();
    let elements = slots.start * elements..slots.end * elements;
    let sizes = [slots.len(), shape.heads, shape.capacity, shape.head_dim].map(|size| size as i64);
    let view = raw::view(tensor, elements, sizes);
    view.map(Tensor).map_err(|error| Error::runtime("KV cache", format!("a view of slots {slots:?}"), error))
}
