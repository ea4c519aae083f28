//! Few rows of activations, with what the kernels for them read beside the levels.

use super::activations::{Activations, CHUNK};
use super::blockwise::Blockwise;

/// Sums that a kernel for few rows keeps apart.
pub(super) const LANES: usize = 16;
/// The most rows that such a kernel takes: for more it is worth unpacking the weight.
pub(super) const ROWS: usize = 4;
/// How many bytes of a weight ahead the memory is asked for. A processor looks ahead itself, but not beyond a page: without
/// this, reading was 1.7 times slower.
pub(super) const AHEAD: usize = 4096;

/// Few rows, rounded.
pub(super) struct Few {
    rounded: Activations,
    /// For blocks of less than a chunk, the scale of each lane: `[rows, chunks, LANES]`
    lanes: Vec<f32>,
    /// For 8 bits, what levels of zero in the middle add to each lane, taken away in advance: `[rows, chunks, LANES]`
    starts: Vec<i32>,
    /// For 4 bits, the sum of each block's values, as rounded: `[rows, blocks]`, filled up with zeros to whole lanes.
    sums: Vec<f32>,
    chunks: usize,
}

impl Few {
    pub(super) fn new(rounded: Activations, weight: &Blockwise<'_>) -> Self {
        let (block, blocks) = (weight.block, weight.blocks());
        let chunks = weight.padded().div_ceil(CHUNK);
        let (mut lanes, mut starts, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rounded.rows() {
            let (levels, scales) = (rounded.levels(0, row), rounded.row_scales(row));
            if block < CHUNK {
                let place = |lane: usize| lane * (CHUNK / LANES) / block;
                lanes.extend((0..chunks * LANES).map(|lane| scales.get(place(lane)).copied().unwrap_or(0.0)));
            }
            if weight.bits == 8 {
                let sum = |levels: &[i8]| levels.iter().map(|level| i32::from(*level)).sum::<i32>();
                starts.extend(levels.chunks_exact(CHUNK / LANES).map(|levels| -128 * sum(levels)));
            } else {
                let parts = rounded.row_sums(row).iter().zip(scales);
                sums.extend(parts.map(|(sum, scale)| sum * scale));
                sums.resize((row + 1) * blocks.next_multiple_of(LANES), 0.0);
            }
        }
        Self { rounded, lanes, starts, sums, chunks }
    }

    pub(super) fn rows(&self) -> usize {
        self.rounded.rows()
    }

    pub(super) fn row(&self, row: usize) -> &[i8] {
        self.rounded.levels(0, row)
    }

    /// What kernels read of each row; nothing of those that are not there.
    pub(super) fn lefts(&self) -> [Left<'_>; ROWS] {
        let lanes = self.chunks * LANES;
        let mut lefts = [Left::default(); ROWS];
        for (row, left) in lefts.iter_mut().enumerate().take(self.rows()) {
            *left = Left {
                levels: self.row(row),
                scales: self.rounded.row_scales(row),
                lane_scales: self.lanes.get(row * lanes..(row + 1) * lanes).unwrap_or(&[]),
                starts: self.starts.get(row * lanes..(row + 1) * lanes).unwrap_or(&[]),
                sums: self.sums(row),
            };
        }
        lefts
    }

    /// `[blocks]` of a row, filled up with zeros to whole lanes.
    pub(super) fn sums(&self, row: usize) -> &[f32] {
        let width = self.sums.len() / self.rows();
        &self.sums[row * width..][..width]
    }

    pub(super) fn scale(&self, row: usize, block: usize) -> f32 {
        self.rounded.row_scales(row)[block]
    }

    pub(super) fn sum(&self, row: usize, block: usize) -> f32 {
        self.sums(row)[block]
    }
}

/// A row of activations.
#[derive(Clone, Copy, Default)]
pub(super) struct Left<'a> {
    pub(super) levels: &'a [i8],
    /// `[blocks]`
    pub(super) scales: &'a [f32],
    /// `[chunks, LANES]`, for blocks of less than a chunk.
    pub(super) lane_scales: &'a [f32],
    /// What a chunk's sums begin with where levels of 8 bits are taken without their sign: `[chunks, LANES]`
    pub(super) starts: &'a [i32],
    /// `[blocks]`, filled up with zeros to whole lanes, for 4 bits.
    pub(super) sums: &'a [f32],
}

/// A row of a weight.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) levels: &'a [u8],
    pub(super) scales: &'a [f32],
}

/// The rows of a weight from one on.
#[inline(always)]
pub(super) fn weight_rows<'a, const COUNT: usize>(weight: &Blockwise<'a>, first: usize) -> [Row<'a>; COUNT] {
    let mut rows = [Row { levels: &[], scales: &[] }; COUNT];
    for row in 0..COUNT {
        rows[row] = Row { levels: weight.row(first + row), scales: weight.row_scales(first + row) };
    }
    rows
}

/// The sum of all lanes, in the one order.
pub(super) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}
