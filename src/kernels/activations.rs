//! Activations in 8 bits.

use std::cell::Cell;
use std::ops::Range;

use super::blockwise::{BLOCK, Blockwise};
use super::output::Output;
use super::scratch::{Scratch, Spare};
use super::threads::Threads;

/// The levels of a chunk: 64 values that the kernels take in one go.
pub(super) const CHUNK: usize = 64;
/// Of two levels of 4 bits in a byte the kernels take the lower ones of 16 bytes first, then the upper ones.
pub(super) const PAIRS: usize = 32;
/// Values of a run: a panel is multiplied with one. So many that results are seldom added to memory, so few that a panel stays
/// in the second cache.
pub(super) const RUN: usize = 4096;
/// Values that a task rounds: enough to be worth a thread's while.
const TASK: usize = 1 << 15;

thread_local! {
    static SPARE: Spare<i8> = const { Cell::new(Vec::new()) };
}

/// Rows of activations, rounded by row and block.
pub(super) struct Activations {
    /// `[runs, rows, run]`, -127 to 127 with the sign bit as was asked for. For weights in 4 bits in the order of [`place`].
    levels: Scratch<i8>,
    /// `[rows, blocks]`; not a number where a value of the block is none or infinite.
    scales: Vec<f32>,
    /// The sums of each block's levels, for weights in 4 bits and levels with their sign: `[rows, blocks]`
    sums: Vec<f32>,
    layout: Layout,
}

/// How the levels of some rows stand in memory.
#[derive(Clone, Copy)]
struct Layout {
    rows: usize,
    /// Values of a row that stand together; in the last run there may be fewer.
    run: usize,
    /// Values of a row in all: the padded inputs, filled up with zeros to whole chunks.
    width: usize,
}

impl Layout {
    /// Where the values of a row in a run stand.
    fn range(self, run: usize, row: usize) -> Range<usize> {
        let length = self.run.min(self.width - run * self.run);
        let start = run * self.run * self.rows + row * length;
        start..start + length
    }
}

/// How levels are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In runs of the length of a panel: the rows of a run follow one another, so that a cache holds them.
    Runs,
    /// In runs, with 128 more, as bytes without a sign.
    ShiftedRuns,
}

/// Where the value stands that the weight has at `index`.
pub(super) fn place(index: usize, bits: usize) -> usize {
    if bits == 8 {
        return index;
    }
    let (group, within) = (index / PAIRS * PAIRS, index % PAIRS);
    group + within / 2 + within % 2 * (PAIRS / 2)
}

impl Activations {
    /// `[rows, weight.inputs]` rounded as the weight's blocks lie.
    pub(super) fn round(rows: &[f32], weight: &Blockwise<'_>, form: Form, threads: &dyn Threads) -> Self {
        let (inputs, blocks) = (weight.inputs, weight.blocks());
        let (count, width) = (rows.len() / inputs, weight.padded().next_multiple_of(CHUNK));
        let run = RUN / weight.block * weight.block;
        let levels = Scratch::take(&SPARE, count * width, 0);
        let layout = Layout { rows: count, run, width };
        let has_sums = weight.bits == 4 && form != Form::ShiftedRuns;
        let sums = if has_sums { vec![0.0; count * blocks] } else { Vec::new() };
        let mut made = Self { levels, scales: vec![0.0; count * blocks], sums, layout };
        let step = TASK.div_ceil(inputs);
        let (levels, scales) = (Output::new(&mut made.levels, 1), Output::new(&mut made.scales, blocks));
        let sums = Output::new(&mut made.sums, blocks);
        threads.each(count.div_ceil(step), &|task| {
            for row in task * step..count.min((task + 1) * step) {
                // SAFETY: each task has rows of its own.
                let scales = unsafe { scales.at(row, 0, blocks) };
                // SAFETY: as above.
                let sums = if has_sums { unsafe { sums.at(row, 0, blocks) } } else { &mut [] };
                for (index, values) in rows[row * inputs..][..inputs].chunks(run).enumerate() {
                    // SAFETY: as above.
                    let levels = unsafe { levels.rows(layout.range(index, row)) };
                    // the memory was used before
                    levels.fill(0);
                    let first = index * run / weight.block;
                    for (place, values) in values.chunks(weight.block).enumerate() {
                        let levels = &mut levels[place * weight.block..][..weight.block];
                        scales[first + place] = round(values, levels, weight.bits);
                        if has_sums {
                            let sum: i16 = levels.iter().map(|level| i16::from(*level)).sum();
                            sums[first + place] = sum.into();
                        }
                        if form == Form::ShiftedRuns {
                            levels.iter_mut().for_each(|level| *level ^= i8::MIN);
                        }
                    }
                }
            }
        });
        made
    }

    pub(super) fn rows(&self) -> usize {
        self.layout.rows
    }

    /// The levels of a row in a run.
    pub(super) fn levels(&self, run: usize, row: usize) -> &[i8] {
        &self.levels[self.layout.range(run, row)]
    }

    /// The scales of a row's blocks.
    pub(super) fn row_scales(&self, row: usize) -> &[f32] {
        let blocks = self.scales.len() / self.rows();
        &self.scales[row * blocks..][..blocks]
    }

    /// The sums of the levels of a row's blocks, where they are kept.
    pub(super) fn row_sums(&self, row: usize) -> &[f32] {
        let blocks = self.scales.len() / self.rows();
        &self.sums[row * blocks..][..blocks]
    }
}

/// Rounds the values of a block, half to even, and returns their scale. Levels for weights in 4 bits come in the order of
/// [`place`].
pub(super) fn round(values: &[f32], levels: &mut [i8], bits: usize) -> f32 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn wide(values: &[f32], levels: &mut [i8], bits: usize) -> f32 {
            round_here(values, levels, bits)
        }
        // SAFETY: the machine has these instructions.
        return unsafe { wide(values, levels, bits) };
    }
    round_here(values, levels, bits)
}

#[inline(always)]
fn round_here(values: &[f32], levels: &mut [i8], bits: usize) -> f32 {
    // as bits, where not-a-number is the largest of all
    let mut largest = 0;
    for value in values {
        largest = (value.to_bits() & (u32::MAX >> 1)).max(largest);
    }
    let largest = f32::from_bits(largest);
    if !largest.is_finite() {
        return f32::NAN;
    }
    let scale = largest / 127.0;
    let inverse = 1.0 / scale;
    if !inverse.is_finite() {
        // so near zero that it makes no difference
        return 0.0;
    }
    if bits == 8 {
        for (level, value) in levels.iter_mut().zip(values) {
            *level = nearest(value * inverse);
        }
    } else {
        let mut rounded = [0; BLOCK];
        for (level, value) in rounded.iter_mut().zip(values) {
            *level = nearest(value * inverse);
        }
        for (levels, rounded) in levels.chunks_exact_mut(PAIRS).zip(rounded.chunks_exact(PAIRS)) {
            let (first, second) = levels.split_at_mut(PAIRS / 2);
            for (index, pair) in rounded.chunks_exact(2).enumerate() {
                (first[index], second[index]) = (pair[0], pair[1]);
            }
        }
    }
    scale
}

/// The nearest whole number, the even one of two, for numbers from -128 to 127.
#[inline(always)]
fn nearest(number: f32) -> i8 {
    // numbers of this size have no places after the point: what is added last are the lowest bits
    const SHIFT: f32 = 1.5 * (1 << 23) as f32;
    (number + SHIFT).to_bits() as i8
}
