//! Many rows of activations: a part of the weight is unpacked once and multiplied with strips of rows.

use std::arch::x86_64::*;
use std::mem;
use std::ops::Range;

use super::left::{Activations, ROWS};
use super::right::{COLUMNS, Panel};
use super::tiles::{DEPTH, Pair, SIDE, Square, Start, Tiles};
use crate::kernels::blockwise::{BLOCK, Blockwise};
use crate::kernels::output::Output;
use crate::kernels::panel::Work;
use crate::kernels::threads::Threads;

/// Outputs of a panel at most: so many that activations are seldom read again, so few that a panel stays in the second cache.
const PANEL: usize = 384;
/// Pairs of tiles that a panel holds, for the same reason: 768 KiB.
const PAIRS: usize = 384;
/// Steps of a run: so few that a strip's part stays in the first cache while a panel passes by.
const RUN: usize = 8;
/// Tasks for each thread: so many that one which is late holds up little.
const SHARES: usize = 2;
/// Rows for which it is still worth unpacking a panel once more.
const LEAST_ROWS: usize = 256;

/// `rows @ weight.T + bias` for rows of `weight.inputs` values.
///
/// # Safety
/// The machine has AMX and AVX-512, and the lengths fit together.
pub(in crate::kernels) unsafe fn many(
    (rows, bias): (&[f32], Option<&[f32]>),
    weight: &Blockwise<'_>,
    results: &mut [f32],
    threads: &dyn Threads,
) {
    let count = rows.len() / weight.inputs;
    // SAFETY: by this function's contract.
    let left = unsafe { Activations::round(rows, weight, threads) };
    let work = Work { left: &left, weight, bias, out: Output::new(results, weight.outputs) };
    let shares = threads.count() * SHARES;
    let most = (weight.outputs / shares).next_multiple_of(COLUMNS).clamp(COLUMNS, PANEL);
    // as many for each thread
    let panels = weight.outputs.div_ceil(most).next_multiple_of(threads.count().max(1));
    let width = weight.outputs.div_ceil(panels).next_multiple_of(COLUMNS);
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

/// A strip of rows and the part of a weight that it is multiplied with.
struct Place<'a> {
    strip: usize,
    steps: &'a Range<usize>,
    outputs: &'a Range<usize>,
}

/// What sums are added to.
#[derive(Clone, Copy)]
enum Base<'a> {
    Nothing,
    Bias(&'a [f32]),
    Results,
}

impl Work<'_, Activations> {
    /// Results of some outputs, for rows from the beginning of a strip on.
    ///
    /// # Safety
    /// The machine has tiles, and nobody else has these results meanwhile.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn panel(&self, outputs: &Range<usize>, rows: Range<usize>) {
        let mut panel = Panel::new(PAIRS);
        // SAFETY: by this function's contract.
        let tiles = unsafe { Tiles::new() };
        // SAFETY: zeros are numbers.
        let mut sums: [Square; PANEL / COLUMNS] = unsafe { mem::zeroed() };
        let sums = &mut sums[..outputs.len().div_ceil(COLUMNS)];
        let all = self.weight.padded() / DEPTH;
        // a panel begins with a block
        let most = PAIRS / sums.len() / (BLOCK / DEPTH) * (BLOCK / DEPTH);
        for first in (0..all).step_by(most) {
            let steps = first..all.min(first + most);
            panel.fill(self.weight, outputs, &steps);
            let base = if first == 0 { self.bias.map_or(Base::Nothing, Base::Bias) } else { Base::Results };
            for strip in rows.start / ROWS..rows.end.div_ceil(ROWS) {
                let place = Place { strip, steps: &steps, outputs };
                self.multiply(&tiles, &panel, &place, sums);
                // SAFETY: by this function's contract.
                unsafe { self.write(sums, &place, base) };
            }
        }
    }

    /// The sums of a strip and a panel: run after run of the strip, each with all columns.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn multiply(&self, tiles: &Tiles, panel: &Panel, place: &Place<'_>, sums: &mut [Square]) {
        let (row, columns) = (place.strip * ROWS, sums.len());
        let left = self.left.strip(place.strip, place.steps);
        let next = self.left.strip(place.strip + 1, place.steps);
        let lines = ROWS.div_ceil(left.len().div_ceil(RUN));
        for (number, run) in left.chunks(RUN).enumerate() {
            let start = if number == 0 { Start::Nothing } else { Start::Sums };
            let ahead = left.chunks(RUN).nth(number + 1).unwrap_or(&next[..next.len().min(RUN)]);
            let rows = row + number * lines..self.left.rows().min(row + ROWS.min((number + 1) * lines));
            for (column, sums) in sums.iter_mut().enumerate() {
                // what is needed next comes in shares, so that the panel need not wait for it
                for pair in ahead.iter().skip(column).step_by(columns) {
                    fetch(pair);
                }
                let first = place.outputs.start + column * COLUMNS;
                for row in rows.clone() {
                    self.out.fetch(row, first..place.outputs.end.min(first + COLUMNS));
                }
                tiles.multiply(run, &panel.columns(column)[number * RUN..][..run.len()], sums, start);
            }
        }
    }

    /// Adds sums to what is there.
    ///
    /// # Safety
    /// As of [`Self::panel`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    unsafe fn write(&self, sums: &[Square], place: &Place<'_>, base: Base<'_>) {
        let (first, outputs) = (place.strip * ROWS, place.outputs);
        for row in 0..ROWS.min(self.left.rows() - first) {
            // SAFETY: by this function's contract.
            let results = unsafe { self.out.at(first + row, outputs.start, outputs.len()) };
            for (number, results) in results.chunks_mut(SIDE).enumerate() {
                let mask = ((1_u32 << results.len()) - 1) as u16;
                let sum = _mm512_castsi512_ps(sums[number / 2][row / SIDE][number % 2][row % SIDE]);
                // SAFETY: what a mask leaves out is not touched, and the rest is within the slices.
                unsafe {
                    let base = match base {
                        Base::Nothing => _mm512_setzero_ps(),
                        Base::Bias(bias) => {
                            _mm512_maskz_loadu_ps(mask, bias[outputs.start + number * SIDE..].as_ptr())
                        }
                        Base::Results => _mm512_maskz_loadu_ps(mask, results.as_ptr()),
                    };
                    _mm512_mask_storeu_ps(results.as_mut_ptr(), mask, _mm512_add_ps(base, sum));
                }
            }
        }
    }
}

/// Asks for activations that are multiplied soon. They need not be in the first cache yet.
#[inline]
#[target_feature(enable = "avx512f")]
fn fetch(pair: &Pair) {
    for line in pair.as_flattened() {
        _mm_prefetch::<_MM_HINT_T1>((&raw const *line).cast());
    }
}
