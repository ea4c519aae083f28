//! What the kernels of all instruction sets share: how a product is cut.

use std::ops::Range;

use super::activations::{Activations, RUN};
use super::blockwise::Blockwise;
use super::output::Output;

/// A product, with activations as the kernels for many rows read them or those for [few](super::few::Few).
pub(super) struct Work<'a, L = Activations> {
    pub(super) left: &'a L,
    pub(super) weight: &'a Blockwise<'a>,
    pub(super) bias: Option<&'a [f32]>,
    pub(super) out: Output<'a>,
}

impl<L> Clone for Work<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<L> Copy for Work<'_, L> {}

/// A part of a weight that is unpacked at a time: some rows of it, some blocks of them.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Which part of the inputs it is: the run of activations that it is multiplied with.
    pub(super) number: usize,
    /// Rows of the weight: columns of the result.
    pub(super) outputs: Range<usize>,
    pub(super) blocks: Range<usize>,
}

impl Part {
    /// The parts of these rows, in the order in which they are added up.
    pub(super) fn of(weight: &Blockwise<'_>, outputs: &Range<usize>) -> impl Iterator<Item = Self> {
        let (blocks, step) = (weight.blocks(), RUN / weight.block);
        let outputs = outputs.clone();
        (0..blocks).step_by(step).enumerate().map(move |(number, first)| Self {
            number,
            outputs: outputs.clone(),
            blocks: first..blocks.min(first + step),
        })
    }
}

impl<L> Work<'_, L> {
    /// Adds sums to the results of a row for a part's outputs, in the first part to the bias.
    pub(super) fn add(&self, part: &Part, row: usize, sums: &[f32]) {
        // SAFETY: each task has rows or outputs of its own.
        let results = unsafe { self.out.at(row, part.outputs.start, part.outputs.len()) };
        match (part.number, self.bias) {
            (0, Some(bias)) => results.copy_from_slice(&bias[part.outputs.clone()]),
            (0, None) => return results.copy_from_slice(&sums[..results.len()]),
            _ => {}
        }
        results.iter_mut().zip(sums).for_each(|(result, sum)| *result += sum);
    }
}
