//! The arithmetic without any instructions of a machine: what all others must agree with, bit for bit.
//!
//! The blocks of 4096 inputs are added up in their order, each as `(sum * weight's scale) * row's scale`, and that is added to the
//! bias and what came before. So a row's results are the same, however many rows are multiplied at once.

use std::ops::Range;

use super::activations::place;
use super::blockwise::Blockwise;
use super::few::{Few, STEP};
use super::panel::{Part, Work};

/// The level at a place of a row.
pub(super) fn level(weight: &Blockwise<'_>, output: usize, index: usize) -> i32 {
    let row = weight.row(output);
    match weight.bits {
        8 => i32::from(row[index]),
        _ => i32::from(row[index / 2] >> (index % 2 * 4) & 15),
    }
}

/// Results for many rows: these rows, these outputs.
pub(super) fn many(work: Work<'_>, outputs: &Range<usize>, rows: Range<usize>) {
    let Work { left, weight, .. } = work;
    for (part, row) in
        Part::of(weight, outputs).flat_map(|part| rows.clone().map(move |row| (part.clone(), row)))
    {
        let (first, levels) = (part.blocks.start * weight.block, left.levels(part.number, row));
        let level = |index| levels[place(index - first, weight.bits)];
        add(work, &part, row, level, |block| left.row_scales(row)[block]);
    }
}

/// Results for few rows: these outputs.
pub(super) fn few(work: Work<'_, Few>, outputs: &Range<usize>) {
    let Work { left, weight, .. } = work;
    for (part, row) in
        Part::of(weight, outputs).flat_map(|part| (0..left.rows()).map(move |row| (part.clone(), row)))
    {
        let level = |index| left.levels(index / STEP)[row * STEP + place(index % STEP, weight.bits)];
        add(work, &part, row, level, |block| left.block(block).0[row]);
    }
}

/// Adds a part's products of a row of activations with these levels, by input, and scales, by block.
fn add<L>(
    work: Work<'_, L>,
    part: &Part,
    row: usize,
    left: impl Fn(usize) -> i8,
    scale: impl Fn(usize) -> f32,
) {
    let weight = work.weight;
    let sums = part.outputs.clone().map(|output| {
        part.blocks.clone().fold(0.0, |sum, block| {
            let zero = i32::from(weight.zero(output, block));
            let values = block * weight.block..(block + 1) * weight.block;
            let whole: i32 =
                values.map(|index| i32::from(left(index)) * (level(weight, output, index) - zero)).sum();
            (whole as f32 * weight.row_scales(output)[block]).mul_add(scale(block), sum)
        })
    });
    work.add(part, row, &sums.collect::<Vec<f32>>());
}
