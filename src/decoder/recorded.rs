//! The inputs and outputs of recorded steps.
//!
//! A replay reads and writes the memory of the capture. So each input and output has memory that never moves, with room for
//! all slots. It is allocated before the first capture: later allocations could reuse memory that a recording works in.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ndarray::{Array0, Array1, Array2, Axis};

use super::length::{LENGTH, Next};
use super::logits::Outputs;
use crate::error::Result;
use crate::onnx::{FixedRows, Graph, Memory, Tensor};

pub(super) struct RecordedSteps {
    ids: FixedRows,
    lengths: FixedRows,
    /// −1 everywhere: steps have no pictures.
    splice: FixedRows,
    /// −1: the logits of the last token.
    logits_at: FixedRows,
    logits: FixedRows,
    best: FixedRows,
    /// The input for the length, by its value. In the host's memory, where it is read during the capture.
    lengths_bound: BTreeMap<usize, Tensor>,
}

/// The sizes of the inputs and outputs of steps.
pub(super) struct StepSizes {
    pub(super) slots: usize,
    pub(super) vocabulary: usize,
    /// Width of the output with each row's largest logits.
    pub(super) best: usize,
}

impl RecordedSteps {
    pub(super) fn new(memory: &Memory, sizes: &StepSizes) -> Result<Self> {
        let StepSizes { slots, vocabulary, best } = *sizes;
        Ok(Self {
            ids: FixedRows::new(memory, Array2::<i64>::zeros((slots, 1)))?,
            lengths: FixedRows::new(memory, Array1::<i32>::zeros(slots))?,
            splice: FixedRows::new(memory, Array2::<i64>::from_elem((slots, 1), -1))?,
            logits_at: FixedRows::new(memory, Array1::<i64>::from_elem(1, -1))?,
            logits: FixedRows::new(memory, Array2::<f32>::zeros((slots, vocabulary)))?,
            best: FixedRows::new(memory, Array2::<f32>::zeros((slots, best)))?,
            lengths_bound: BTreeMap::new(),
        })
    }

    /// Runs a step of the first slots, one token each, on a graph that has the cache and `image_embeds` bound. There is a
    /// recording for each number of slots and each value of `longest`, the length that the graph gets.
    ///
    /// # Errors
    /// Those of [`Graph::run_recorded`].
    pub(super) fn run(&mut self, graph: &mut Graph, next: &[Next], longest: usize) -> Result<Outputs> {
        let rows = next.len();
        let ids = Array1::from_iter(next.iter().map(|next| i64::from(next.id))).insert_axis(Axis(1)); // [slots, 1]
        let lengths = Array1::from_iter(next.iter().map(|next| next.position as i32));
        graph.bind_input("input_ids", &self.ids.fill(ids)?)?;
        graph.bind_input("seqlens_k", &self.lengths.fill(lengths)?)?;
        graph.bind_input("splice", &self.splice.first(rows)?)?;
        graph.bind_input("logits_at", &self.logits_at.first(1)?)?;
        let length = match self.lengths_bound.entry(longest) {
            Entry::Occupied(length) => length.into_mut(),
            Entry::Vacant(place) => place.insert(Tensor::new(Array0::from_elem((), longest as i32))?),
        };
        graph.bind_input(LENGTH, length)?;
        let (mut logits, mut best) = (self.logits.first(rows)?, self.best.first(rows)?);
        graph.bind_output("logits", &mut logits)?;
        graph.bind_output("best", &mut best)?;
        // lengths are powers of two or the capacity, which alone is between two of them or above
        graph.run_recorded(rows * usize::BITS as usize + longest.next_power_of_two().ilog2() as usize)?;
        Ok(Outputs::on_device(logits, best.on_host()?, rows))
    }
}
