//! What recorded steps read and write.
//!
//! A device that plays a recording back reads and writes the memory that it was recorded with. So there is one place for
//! each input and output, with room for all slots, taken before anything is recorded: memory that is asked for later may be
//! what a recording works with in between.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ndarray::{Array0, Array1, Array2, Axis};

use super::logits::Outputs;
use super::{LONGEST, Next};
use crate::error::Result;
use crate::onnx::{FixedRows, Graph, Memory, Tensor};

pub(super) struct RecordedSteps {
    ids: FixedRows,
    lengths: FixedRows,
    /// No row is a picture's.
    splice: FixedRows,
    /// The last token's logits are wanted.
    logits_at: FixedRows,
    logits: FixedRows,
    best: FixedRows,
    /// By the length that they tell; in the host's memory, where they are read while a step is recorded.
    longest: BTreeMap<usize, Tensor>,
}

/// The sizes of what steps read and write.
pub(super) struct StepSizes {
    pub(super) slots: usize,
    pub(super) vocabulary: usize,
    /// Numbers that the graph gives of each row's largest logits.
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
            longest: BTreeMap::new(),
        })
    }

    /// A step of the first slots, one token each, on a graph that has everything else bound. There is a recording for each
    /// number of slots and each `longest` row that attention is told of.
    pub(super) fn run(&mut self, graph: &mut Graph, next: &[Next], longest: usize) -> Result<Outputs> {
        let rows = next.len();
        let ids = Array1::from_iter(next.iter().map(|next| i64::from(next.id))).insert_axis(Axis(1)); // [slots, 1]
        let lengths = Array1::from_iter(next.iter().map(|next| next.position as i32));
        graph.bind_input("input_ids", &self.ids.fill(ids)?)?;
        graph.bind_input("seqlens_k", &self.lengths.fill(lengths)?)?;
        graph.bind_input("splice", &self.splice.first(rows)?)?;
        graph.bind_input("logits_at", &self.logits_at.first(1)?)?;
        let told = match self.longest.entry(longest) {
            Entry::Occupied(told) => told.into_mut(),
            Entry::Vacant(place) => place.insert(Tensor::new(Array0::from_elem((), longest as i32))?),
        };
        graph.bind_input(LONGEST, told)?;
        let (mut logits, mut best) = (self.logits.first(rows)?, self.best.first(rows)?);
        graph.bind_output("logits", &mut logits)?;
        graph.bind_output("best", &mut best)?;
        // lengths are powers of two, or one that stands for what lies beyond the last
        graph.run_recorded(rows * usize::BITS as usize + longest.next_power_of_two().ilog2() as usize)?;
        Ok(Outputs::on_device(logits, best.on_host()?, rows))
    }
}
