//! Few rows of activations, and rows of a weight as the kernels for them read them: as they stand, several side by side.

use std::ops::Range;
use std::slice;

use super::activations::round;
use super::blockwise::{BLOCK, Blockwise};
use super::output::Output;
use super::threads::Threads;

/// The most rows that the kernels for few take. With more, unpacking the weight costs little, and what was unpacked is read from
/// nearer.
pub(super) const ROWS: usize = 16;
/// Inputs that are multiplied in one go.
pub(super) const STEP: usize = 32;
/// Bytes that are read of each row of a weight at a time.
pub(super) const UNIT: usize = 16;
/// Vectors of words that a unit becomes: four bytes of each row.
pub(super) const WORDS: usize = 4;
/// Vectors of levels that a step becomes: four of each row.
pub(super) const QUADS: usize = STEP / 4;
/// Bytes of a row ahead for which the memory is asked. A processor looks ahead itself, but not in so many rows at once.
const AHEAD: usize = 512;
/// Bytes that a cache takes from the memory at a time.
const LINE: usize = 64;
/// Values that a task rounds: enough to be worth a thread's while.
const TASK: usize = 1 << 14;

/// Few rows, rounded to 8 bits by row and block.
pub(super) struct Few {
    rows: usize,
    /// `[steps, rows, STEP]`, -127 to 127. For weights in 4 bits in the order of [`place`](super::activations::place).
    levels: Vec<i8>,
    /// `[blocks, rows]`; not a number where a value of the block is none or infinite.
    scales: Vec<f32>,
    /// The sums of each block's levels: `[blocks, rows]`
    sums: Vec<f32>,
}

impl Few {
    /// `[rows, weight.inputs]` rounded as the weight's blocks lie.
    pub(super) fn round(rows: &[f32], weight: &Blockwise<'_>, threads: &dyn Threads) -> Self {
        let (inputs, block, blocks) = (weight.inputs, weight.block, weight.blocks());
        let count = rows.len() / inputs;
        let mut made = Self {
            rows: count,
            levels: vec![0; count * weight.padded()],
            scales: vec![0.0; count * blocks],
            sums: vec![0.0; count * blocks],
        };
        let levels = Output::new(&mut made.levels, count * block);
        let scales = Output::new(&mut made.scales, count);
        let sums = Output::new(&mut made.sums, count);
        let step = TASK.div_ceil(count * block);
        threads.each(blocks.div_ceil(step), &|task| {
            for number in task * step..blocks.min((task + 1) * step) {
                // SAFETY: each task has blocks of its own.
                let (levels, scales, sums) = unsafe {
                    (
                        levels.at(number, 0, count * block),
                        scales.at(number, 0, count),
                        sums.at(number, 0, count),
                    )
                };
                for (row, values) in rows.chunks_exact(inputs).enumerate() {
                    let mut rounded = [0; BLOCK];
                    let rounded = &mut rounded[..block];
                    let values = &values[number * block..inputs.min((number + 1) * block)];
                    scales[row] = round(values, rounded, weight.bits);
                    // at most 256 levels: a sum fits in 16 bits
                    sums[row] = rounded.iter().map(|level| i16::from(*level)).sum::<i16>().into();
                    for (step, rounded) in rounded.chunks_exact(STEP).enumerate() {
                        levels[(step * count + row) * STEP..][..STEP].copy_from_slice(rounded);
                    }
                }
            }
        });
        made
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Levels of a step: `[rows, STEP]`
    #[inline(always)]
    pub(super) fn levels(&self, step: usize) -> &[i8] {
        &self.levels[step * self.rows * STEP..][..self.rows * STEP]
    }

    /// Scales and sums of a block, each `[rows]`.
    #[inline(always)]
    pub(super) fn block(&self, block: usize) -> (&[f32], &[f32]) {
        let place = block * self.rows..(block + 1) * self.rows;
        (&self.scales[place.clone()], &self.sums[place])
    }
}

/// Rows of a matrix, as bytes: one for each lane of a kernel.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    /// Where the bytes are, if others had to follow them.
    kept: Vec<u8>,
    /// Bytes of a row.
    stride: usize,
    lanes: usize,
}

impl<'a> Lines<'a> {
    /// `lanes` rows of `length` from one on. What a unit reads beyond the matrix is zeros, and so are rows that are not there.
    pub(super) fn new<T: Number>(numbers: &'a [T], length: usize, first: usize, lanes: usize) -> Self {
        let (size, stride) = (size_of::<T>(), length * size_of::<T>());
        let numbers = &numbers[first * length..];
        // SAFETY: the numbers' own bytes, and each is a number.
        let bytes = unsafe { slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), numbers.len() * size) };
        let mut lines = Self { bytes, kept: Vec::new(), stride, lanes };
        let needed = (lanes - 1) * stride + stride.next_multiple_of(UNIT);
        if bytes.len() < needed {
            lines.kept = bytes.to_vec();
            lines.kept.resize(needed, 0);
        }
        lines
    }

    /// Where a unit of the first row stands, and from where to where it is to that of the next row.
    #[inline(always)]
    pub(super) fn unit(&self, number: usize) -> (*const u8, usize) {
        assert!(number * UNIT < self.stride, "within a row");
        let bytes = if self.kept.is_empty() { self.bytes } else { &self.kept };
        (bytes[number * UNIT..].as_ptr(), self.stride)
    }

    /// Asks for what will be read of all rows by and by, each time for some of them, as `count` bytes of each are read from
    /// `place` on.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn fetch(&self, place: usize, count: usize) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let share = self.lanes * count / LINE;
        let mut ahead = place / LINE * LINE + AHEAD;
        if ahead >= self.stride {
            // in the rows that come next
            ahead += (self.lanes - 1) * self.stride;
        }
        let first = place % LINE / count * share;
        for row in first..first + share {
            let line = self.bytes.as_ptr().wrapping_add(row * self.stride + ahead);
            // SAFETY: nothing is read.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
        }
    }
}

/// Numbers of which each byte means something.
pub(super) trait Number {}

impl Number for u8 {}
impl Number for f32 {}

/// The rows of a weight that a kernel multiplies at a time.
pub(super) struct Group<'a> {
    pub(super) levels: Lines<'a>,
    pub(super) scales: Lines<'a>,
    pub(super) zeros: Option<Lines<'a>>,
}

impl<'a> Group<'a> {
    pub(super) fn new(weight: &Blockwise<'a>, outputs: &Range<usize>, lanes: usize) -> Self {
        let (blocks, first) = (weight.blocks(), outputs.start);
        Self {
            levels: Lines::new(weight.levels, weight.padded() * weight.bits / 8, first, lanes),
            scales: Lines::new(weight.scales, blocks, first, lanes),
            zeros: weight.zeros.map(|zeros| Lines::new(zeros, blocks.div_ceil(2), first, lanes)),
        }
    }
}
