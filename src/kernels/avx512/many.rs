//! Many rows of activations: a part of the weight is unpacked once and multiplied with tiles of rows.

use std::arch::x86_64::*;
use std::ops::Range;
use std::ptr;

use super::levels::{eight, four};
use crate::kernels::activations::CHUNK;
use crate::kernels::blockwise::Blockwise;
use crate::kernels::panel::{Part, Work};

/// Rows of a weight in a panel.
pub(in crate::kernels) const COLUMNS: usize = 32;
/// Rows of activations in a tile: with two vectors of sums each, twice, they leave registers for what is multiplied.
const ROWS: usize = 6;
/// Lanes of a vector of 32 bits.
const LANES: usize = 16;
/// Values that go into a lane at a time.
const STEP: usize = 4;
/// A part of a weight as the tiles read it.
#[derive(Default)]
struct Panel {
    /// Less the level of zero: `[inputs / STEP, COLUMNS, STEP]`
    levels: Vec<__m512i>,
    /// `[blocks, COLUMNS]`
    scales: Vec<f32>,
    /// What activations that are 128 too large add to each sum, taken away in advance: `[blocks, COLUMNS]`
    starts: Vec<i32>,
}

/// Results for these rows and at most [`COLUMNS`] outputs. Activations are shifted.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(in crate::kernels) fn many(work: Work<'_>, outputs: &Range<usize>, rows: Range<usize>) {
    let mut panel = Panel::default();
    for part in Part::of(work.weight, outputs) {
        panel.fill(work.weight, &part);
        let mut row = rows.start;
        while row < rows.end {
            let tile = Tile { panel: &panel, row, part: &part, work };
            row += match rows.end - row {
                1 => tile.run::<1>(),
                2 => tile.run::<2>(),
                3 => tile.run::<3>(),
                4 => tile.run::<4>(),
                5 => tile.run::<5>(),
                _ => tile.run::<ROWS>(),
            };
        }
    }
}

impl Panel {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn fill(&mut self, weight: &Blockwise<'_>, part: &Part) {
        let inputs = part.blocks.len() * weight.block;
        self.levels.resize(inputs / STEP * COLUMNS / LANES, _mm512_setzero_si512());
        self.scales.clear();
        self.scales.resize(part.blocks.len() * COLUMNS, 0.0);
        self.starts.clear();
        self.starts.resize(part.blocks.len() * COLUMNS, 0);
        for (column, output) in part.outputs.clone().enumerate() {
            let scales = &weight.row_scales(output)[part.blocks.clone()];
            for (place, scale) in self.scales[column..].iter_mut().step_by(COLUMNS).zip(scales) {
                *place = *scale;
            }
        }
        for first in (0..COLUMNS).step_by(LANES).take_while(|first| *first < part.outputs.len()) {
            let columns = Columns::new(weight, part.outputs.start + first..part.outputs.end);
            for chunk in (0..inputs).step_by(CHUNK) {
                let start = part.blocks.start * weight.block + chunk;
                let rows = match weight.bits {
                    8 => columns.chunk::<8>(weight, start),
                    _ => columns.chunk::<4>(weight, start),
                };
                self.put(
                    &rows[..CHUNK.min(inputs - chunk) / STEP],
                    first / LANES,
                    chunk / STEP,
                    weight.block,
                );
            }
        }
    }

    /// Levels of 16 columns from a step on.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn put(&mut self, rows: &[__m512i], group: usize, first: usize, block: usize) {
        let (none, ones) = (_mm512_setzero_si512(), _mm512_set1_epi8(1));
        let mut sum = none;
        for (step, row) in rows.iter().enumerate() {
            self.levels[(first + step) * (COLUMNS / LANES) + group] = *row;
            sum = _mm512_dpbusd_epi32(sum, ones, *row);
            let end = (first + step + 1) * STEP;
            if end.is_multiple_of(block) || step + 1 == rows.len() {
                let starts = &mut self.starts[(end - 1) / block * COLUMNS + group * LANES..][..LANES];
                // SAFETY: 16 numbers.
                unsafe {
                    let before = _mm512_loadu_si512(starts.as_ptr().cast());
                    let start = _mm512_sub_epi32(before, _mm512_slli_epi32::<7>(sum));
                    _mm512_storeu_si512(starts.as_mut_ptr().cast(), start);
                }
                sum = none;
            }
        }
    }
}

/// Up to 16 rows of a weight: columns of a panel.
struct Columns<'a> {
    levels: [&'a [u8]; LANES],
    /// Levels of zero, packed, where they are stored.
    zeros: [&'a [u8]; LANES],
    count: usize,
}

impl<'a> Columns<'a> {
    fn new(weight: &Blockwise<'a>, outputs: Range<usize>) -> Self {
        let count = outputs.len().min(LANES);
        let mut columns = Self { levels: [&[]; LANES], zeros: [&[]; LANES], count };
        for (column, output) in outputs.take(count).enumerate() {
            columns.levels[column] = weight.row(output);
            columns.zeros[column] = weight.row_zeros(output).unwrap_or(&[]);
        }
        columns
    }

    /// The levels of a chunk less those of zero: 16 steps of four inputs, of 16 columns each.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn chunk<const BITS: usize>(&self, weight: &Blockwise<'_>, start: usize) -> [__m512i; LANES] {
        let mut rows = [_mm512_setzero_si512(); LANES];
        let (first, block) = (start * BITS / 8, start / weight.block);
        // a chunk begins with a block or within one; its second block, if it has two, is in the same byte of zeros
        let shifts = match (weight.block < CHUNK, block.is_multiple_of(2)) {
            (true, _) => _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4),
            (false, true) => _mm512_setzero_si512(),
            (false, false) => _mm512_set1_epi64(4),
        };
        for column in 0..self.count {
            let levels = &self.levels[column][first..];
            let levels = if BITS == 8 { eight(levels) } else { four(levels) };
            let zero = match self.zeros[column].get(block / 2) {
                Some(pair) => {
                    let shifted = _mm512_srlv_epi64(_mm512_set1_epi8(*pair as i8), shifts);
                    _mm512_and_si512(shifted, _mm512_set1_epi8(15))
                }
                None => _mm512_set1_epi8(weight.middle() as i8),
            };
            rows[column] = _mm512_sub_epi8(levels, zero);
        }
        transpose(&mut rows);
        rows
    }
}

/// Lane `n` of row `m` becomes lane `m` of row `n`, lanes of 32 bits.
#[target_feature(enable = "avx512f")]
#[inline]
pub(in crate::kernels) fn transpose(rows: &mut [__m512i; LANES]) {
    let mut pairs = [_mm512_setzero_si512(); LANES];
    for row in (0..LANES).step_by(2) {
        pairs[row] = _mm512_unpacklo_epi32(rows[row], rows[row + 1]);
        pairs[row + 1] = _mm512_unpackhi_epi32(rows[row], rows[row + 1]);
    }
    for row in (0..LANES).step_by(4) {
        rows[row] = _mm512_unpacklo_epi64(pairs[row], pairs[row + 2]);
        rows[row + 1] = _mm512_unpackhi_epi64(pairs[row], pairs[row + 2]);
        rows[row + 2] = _mm512_unpacklo_epi64(pairs[row + 1], pairs[row + 3]);
        rows[row + 3] = _mm512_unpackhi_epi64(pairs[row + 1], pairs[row + 3]);
    }
    // rows[4 q + c] holds columns c, 4 + c, 8 + c and 12 + c of the rows 4 q to 4 q + 3, a quarter each
    for column in 0..4 {
        let [a, b, c, d] = [rows[column], rows[4 + column], rows[8 + column], rows[12 + column]];
        let (low, high) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
        pairs[column] = _mm512_shuffle_i32x4::<0x88>(low, high);
        pairs[4 + column] = _mm512_shuffle_i32x4::<0xDD>(low, high);
        let (low, high) = (_mm512_shuffle_i32x4::<0xEE>(a, b), _mm512_shuffle_i32x4::<0xEE>(c, d));
        pairs[8 + column] = _mm512_shuffle_i32x4::<0x88>(low, high);
        pairs[12 + column] = _mm512_shuffle_i32x4::<0xDD>(low, high);
    }
    *rows = pairs;
}

/// Some rows of activations and a panel.
struct Tile<'a> {
    panel: &'a Panel,
    /// The first row.
    row: usize,
    part: &'a Part,
    work: Work<'a>,
}

impl Tile<'_> {
    /// Adds the products of as many rows, and returns how many they are.
    // Loops and no closures: those of `map` and `from_fn` would be called, for the functions of arrays lack these instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn run<const COUNT: usize>(&self) -> usize {
        let (part, left) = (self.part, self.work.left);
        let inputs = part.blocks.len() * self.work.weight.block;
        let (mut rows, mut scales) = ([&[][..]; COUNT], [&[][..]; COUNT]);
        for row in 0..COUNT {
            rows[row] = &left.levels(part.number, self.row + row)[..inputs];
            scales[row] = &left.row_scales(self.row + row)[part.blocks.clone()];
            self.work.out.fetch(self.row + row, part.outputs.clone());
        }
        let mut sums = [[_mm512_setzero_ps(); 2]; COUNT];
        for place in 0..part.blocks.len() {
            let whole = self.multiply(place, &rows);
            let factors = self.panel.scales[place * COLUMNS..][..COLUMNS].as_ptr();
            // SAFETY: 32 numbers, as the slice's bounds say.
            let factors = unsafe { [_mm512_loadu_ps(factors), _mm512_loadu_ps(factors.add(LANES))] };
            for row in 0..COUNT {
                let scale = _mm512_set1_ps(scales[row][place]);
                for half in 0..2 {
                    let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(whole[row][half]), factors[half]);
                    sums[row][half] = _mm512_fmadd_ps(scaled, scale, sums[row][half]);
                }
            }
        }
        for row in 0..COUNT {
            add(&self.work, part, self.row + row, sums[row]);
        }
        COUNT
    }

    /// The sums of a block: rows by columns.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn multiply<const COUNT: usize>(&self, block: usize, rows: &[&[i8]; COUNT]) -> [[__m512i; 2]; COUNT] {
        let length = self.work.weight.block;
        let vectors = length / STEP * COLUMNS / LANES;
        let panel = self.panel.levels[block * vectors..][..vectors].as_ptr();
        let starts = self.panel.starts[block * COLUMNS..][..COLUMNS].as_ptr();
        let mut levels = [ptr::null(); COUNT];
        for row in 0..COUNT {
            levels[row] = rows[row][block * length..][..length].as_ptr();
        }
        // SAFETY: the slices' bounds say that 32 numbers, `length` values of 32 columns and as many of each row are there,
        // and it is a multiple of four.
        unsafe {
            let mut sums = [[_mm512_setzero_si512(); 2]; COUNT];
            for row in 0..COUNT {
                sums[row] = [_mm512_loadu_si512(starts.cast()), _mm512_loadu_si512(starts.add(LANES).cast())];
            }
            for step in 0..length / STEP {
                let right = [*panel.add(2 * step), *panel.add(2 * step + 1)];
                for row in 0..COUNT {
                    let left = _mm512_set1_epi32(levels[row].add(step * STEP).cast::<i32>().read_unaligned());
                    for half in 0..2 {
                        sums[row][half] = _mm512_dpbusd_epi32(sums[row][half], left, right[half]);
                    }
                }
            }
            sums
        }
    }
}

/// Adds sums to the results of a row, in the first part to the bias.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn add<L, const VECTORS: usize>(
    work: &Work<'_, L>,
    part: &Part,
    row: usize,
    sums: [__m512; VECTORS],
) {
    let outputs = &part.outputs;
    // SAFETY: the caller of the kernel says that these results are its own.
    let results = unsafe { work.out.at(row, outputs.start, outputs.len()) };
    let base = match (part.number, work.bias) {
        (0, Some(bias)) => Some(bias[outputs.clone()].as_ptr()),
        (0, None) => None,
        _ => Some(results.as_ptr()),
    };
    for (number, mut sum) in sums.into_iter().enumerate() {
        let mask = (((1_u64 << outputs.len()) - 1) >> (number * LANES)) as u16;
        let place = results.as_mut_ptr().wrapping_add(number * LANES);
        // SAFETY: what a mask leaves out is not touched, and the rest is within the slices.
        unsafe {
            if let Some(base) = base {
                sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, base.wrapping_add(number * LANES)), sum);
            }
            _mm512_mask_storeu_ps(place, mask, sum);
        }
    }
}
