//! The arithmetic without any instructions of a machine: what all others must agree with, bit for bit.
//!
//! Many rows: the blocks of 4096 inputs are added up in their order, each as `(sum * weight's scale) * row's scale`, and that is
//! added to the bias and what came before. Few rows: 16 lanes add up every 16th group of four values; what the levels of zero make
//! in 4 bits is added up likewise and subtracted; then the lanes are folded in halves.

use std::ops::Range;

use super::activations::{CHUNK, place};
use super::blockwise::Blockwise;
use super::few::{Few, LANES, fold};
use super::output::Output;
use super::panel::{Many, Part};

/// The level at a place of a row.
pub(super) fn level(weight: &Blockwise<'_>, output: usize, index: usize) -> i32 {
    let row = weight.row(output);
    match weight.bits {
        8 => i32::from(row[index]),
        _ => i32::from(row[index / 2] >> (index % 2 * 4) & 15),
    }
}

/// Results for many rows: these rows, these outputs.
pub(super) fn many(Many { left, weight, bias, out }: Many<'_>, outputs: &Range<usize>, rows: Range<usize>) {
    for part in Part::of(weight, outputs) {
        for row in rows.clone() {
            for output in outputs.clone() {
                let mut sum = 0.0;
                for block in part.blocks.clone() {
                    let zero = i32::from(weight.zero(output, block));
                    let values = (block * weight.block)..((block + 1) * weight.block);
                    let whole: i32 = values
                        .map(|index| {
                            let place = place(index - part.blocks.start * weight.block, weight.bits);
                            i32::from(left.levels(part.number, row)[place])
                                * (level(weight, output, index) - zero)
                        })
                        .sum();
                    let scaled = whole as f32 * weight.row_scales(output)[block];
                    sum = scaled.mul_add(left.row_scales(row)[block], sum);
                }
                // SAFETY: the caller says that these results are this call's.
                let result = unsafe { &mut out.at(row, output, 1)[0] };
                *result = match (part.number, bias) {
                    (0, None) => sum,
                    (0, Some(bias)) => bias[output] + sum,
                    _ => *result + sum,
                };
            }
        }
    }
}

/// Results for few rows: these outputs.
pub(super) fn few(left: &Few, weight: &Blockwise<'_>, outputs: &Range<usize>, out: Output<'_>) {
    let group = weight.block.max(CHUNK);
    for (row, output) in (0..left.rows()).flat_map(|row| outputs.clone().map(move |output| (row, output))) {
        let (scales, mut lanes) = (weight.row_scales(output), [0.0_f32; LANES]);
        let middle = if weight.bits == 8 { i32::from(weight.middle()) } else { 0 };
        for first in (0..weight.padded()).step_by(group) {
            for (lane, sum) in lanes.iter_mut().enumerate() {
                let mut whole = 0;
                for chunk in (first..first + group).step_by(CHUNK) {
                    for index in (chunk..(chunk + CHUNK).min(weight.padded()))
                        .filter(|index| place(index % CHUNK, weight.bits) / 4 == lane)
                    {
                        whole += i32::from(left.row(row)[place(index, weight.bits)])
                            * (level(weight, output, index) - middle);
                    }
                }
                let block = (first + lane * (CHUNK / LANES)) / weight.block;
                let Some(scale) = scales.get(block) else { continue };
                *sum = (whole as f32).mul_add(scale * left.scale(row, block), *sum);
            }
        }
        let mut shifts = [0.0_f32; LANES];
        for (block, scale) in scales.iter().enumerate().filter(|_| weight.bits == 4) {
            let zero = f32::from(weight.zero(output, block));
            shifts[block % LANES] = (scale * zero).mul_add(left.sum(row, block), shifts[block % LANES]);
        }
        lanes.iter_mut().zip(shifts).for_each(|(lane, shift)| *lane -= shift);
        // SAFETY: the caller says that these results are this call's.
        unsafe { out.at(row, output, 1)[0] += fold(lanes) };
    }
}
