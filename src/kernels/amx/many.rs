//! Many rows of activations: a part of the weight is unpacked once and multiplied with strips of rows.

use std::arch::x86_64::*;
use std::ops::Range;

use super::left::{Activations, ROWS};
use super::right::{COLUMNS, Panel};
use super::tiles::{DEPTH, Pair, SIDE, Sums, Tiles};
use crate::kernels::blockwise::Blockwise;
use crate::kernels::output::Output;
use crate::kernels::threads::Threads;

/// Outputs of a panel at most: so many that activations are seldom read again, so few that a panel stays in the second cache.
const PANEL: usize = 128;
/// Steps of inputs that a panel holds, for the same reason.
const STEPS: usize = 64;
/// Tasks for each thread: so many that one which is late holds up little.
const SHARES: usize = 4;
/// Rows for which it is still worth unpacking a panel once more.
const LEAST_ROWS: usize = 256;

/// `rows @ weight.T + bias` for rows of `weight.inputs` values.
///
/// # Safety
/// [`may_be_used`](super::may_be_used) said so, and the lengths fit together.
pub(in crate::kernels) unsafe fn many(
    (rows, bias): (&[f32], Option<&[f32]>),
    weight: &Blockwise<'_>,
    results: &mut [f32],
    threads: &dyn Threads,
) {
    let count = rows.len() / weight.inputs;
    // SAFETY: by this function's contract.
    let left = unsafe { Activations::round(rows, weight, threads) };
    let work = Work { left: &left, weight, bias, out: Output::new(results, weight.outputs), rows: count };
    let shares = threads.count() * SHARES;
    let width = (weight.outputs / shares).next_multiple_of(COLUMNS).clamp(COLUMNS, PANEL);
    let panels = weight.outputs.div_ceil(width);
    let parts = shares.div_ceil(panels).min(count.div_ceil(LEAST_ROWS));
    let step = count.div_ceil(parts).next_multiple_of(ROWS);
    threads.each(panels * parts, &|task| {
        let (panel, part) = (task / parts, task % parts);
        let outputs = panel * width..weight.outputs.min((panel + 1) * width);
        let rows = part * step..count.min((part + 1) * step);
        if !rows.is_empty() {
            // SAFETY: by this function's contract; each task has outputs or rows of its own.
            unsafe { work.panel(&outputs, rows) };
        }
    });
}

/// A product.
#[derive(Clone, Copy)]
struct Work<'a> {
    left: &'a Activations,
    weight: &'a Blockwise<'a>,
    bias: Option<&'a [f32]>,
    out: Output<'a>,
    rows: usize,
}

/// Numbers as tiles read and write them.
#[repr(align(64))]
struct Aligned<T>(T);

/// Where a tile is: rows from one on, and some outputs.
struct Place {
    row: usize,
    outputs: Range<usize>,
}

impl Work<'_> {
    /// Results of some outputs, for rows from the beginning of a strip on.
    ///
    /// # Safety
    /// The machine has tiles, and nobody else has these results meanwhile.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn panel(&self, outputs: &Range<usize>, rows: Range<usize>) {
        let mut panel = Panel::new();
        // SAFETY: by this function's contract.
        let tiles = unsafe { Tiles::new() };
        let mut bias = Aligned([0.0; PANEL]);
        if let Some(numbers) = self.bias {
            bias.0[..outputs.len()].copy_from_slice(&numbers[outputs.clone()]);
        }
        let mut aside = Aligned([[0.0; COLUMNS]; ROWS]);
        let all = self.weight.padded() / DEPTH;
        for first in (0..all).step_by(STEPS) {
            let steps = first..all.min(first + STEPS);
            panel.fill(self.weight, outputs, &steps);
            for strip in rows.start / ROWS..rows.end.div_ceil(ROWS) {
                let left = self.left.strip(strip, steps.clone());
                for (number, column) in outputs.clone().step_by(COLUMNS).enumerate() {
                    let place =
                        Place { row: strip * ROWS, outputs: column..outputs.end.min(column + COLUMNS) };
                    let right = panel.columns(number);
                    let bias = (first == 0).then(|| bias.0[number * COLUMNS..].as_ptr());
                    // SAFETY: by this function's contract.
                    unsafe { self.tile(&tiles, [left, right], &place, bias, &mut aside) };
                }
            }
        }
    }

    /// Adds to the bias, or without one to the results that are there.
    ///
    /// # Safety
    /// As of [`Self::panel`]; the bias is of 32 outputs.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn tile(
        &self,
        tiles: &Tiles,
        [left, right]: [&[Pair]; 2],
        place: &Place,
        bias: Option<*const f32>,
        aside: &mut Aligned<[[f32; COLUMNS]; ROWS]>,
    ) {
        let Place { row, outputs } = place;
        let (height, width) = (ROWS.min(self.rows - row), outputs.len());
        // SAFETY: by this function's contract.
        let results = |line: usize| unsafe { self.out.at(row + line, outputs.start, width) };
        let is_whole = height == ROWS && width == COLUMNS;
        let mut sums = Sums { first: aside.0.as_mut_ptr().cast(), stride: COLUMNS };
        if is_whole {
            let (first, stride) = (results(0).as_mut_ptr(), self.weight.outputs);
            // they are far apart, and each would be waited for
            for line in 0..ROWS {
                let line = first.wrapping_add(line * stride);
                _mm_prefetch::<_MM_HINT_ET0>(line.cast());
                _mm_prefetch::<_MM_HINT_ET0>(line.wrapping_add(SIDE).cast());
            }
            sums = Sums { first, stride };
        } else if bias.is_none() {
            (0..height).for_each(|line| aside.0[line][..width].copy_from_slice(results(line)));
        }
        let start = bias.map_or(sums, |bias| Sums { first: bias.cast_mut(), stride: 0 });
        // SAFETY: whole rows of whole results, or what is set aside.
        unsafe { tiles.multiply(left, right, start, sums) };
        if !is_whole {
            (0..height).for_each(|line| results(line).copy_from_slice(&aside.0[line][..width]));
        }
    }
}
