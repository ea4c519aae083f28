//! Many rows of activations: a part of the weight is unpacked once and multiplied with tiles of rows.

use std::arch::x86_64::*;
use std::ops::Range;
use std::ptr;

use crate::kernels::activations::PAIRS;
use crate::kernels::blockwise::Blockwise;
use crate::kernels::panel::{Many, Part};

/// Rows of a weight in a panel.
pub(in crate::kernels) const COLUMNS: usize = 16;
/// Rows of activations in a tile.
const ROWS: usize = 4;
/// Lanes of a vector of 32 bits.
const LANES: usize = 8;
/// Values that go into a lane at a time.
const STEP: usize = 2;
/// A part of a weight as the tiles read it.
struct Panel {
    /// Less the level of zero: `[inputs / STEP, COLUMNS, STEP]`
    levels: Vec<__m256i>,
    /// `[blocks, COLUMNS]`
    scales: Vec<f32>,
}

/// Results for these rows and at most [`COLUMNS`] outputs. Activations have their sign.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn many(work: Many<'_>, outputs: &Range<usize>, rows: Range<usize>) {
    let mut panel = Panel { levels: Vec::new(), scales: Vec::new() };
    let mut wide = Vec::new();
    for part in Part::of(work.weight, outputs) {
        panel.fill(work.weight, &part);
        let inputs = part.blocks.len() * work.weight.block;
        let mut row = rows.start;
        while row < rows.end {
            let count = ROWS.min(rows.end - row);
            wide.clear();
            for row in row..row + count {
                wide.extend(
                    work.left.levels(part.number, row)[..inputs].iter().map(|level| i16::from(*level)),
                );
            }
            let tile = Tile { panel: &panel, left: &wide, row, part: &part, work };
            match count {
                1 => tile.run::<1>(),
                2 => tile.run::<2>(),
                3 => tile.run::<3>(),
                _ => tile.run::<ROWS>(),
            }
            row += count;
        }
    }
}

impl Panel {
    #[target_feature(enable = "avx2,fma")]
    fn fill(&mut self, weight: &Blockwise<'_>, part: &Part) {
        self.levels.resize(part.blocks.len() * weight.block / STEP * COLUMNS / LANES, _mm256_setzero_si256());
        self.scales.clear();
        self.scales.resize(part.blocks.len() * COLUMNS, 0.0);
        for (column, output) in part.outputs.clone().enumerate() {
            let scales = &weight.row_scales(output)[part.blocks.clone()];
            for (place, scale) in self.scales[column..].iter_mut().step_by(COLUMNS).zip(scales) {
                *place = *scale;
            }
        }
        for first in (0..COLUMNS).step_by(LANES) {
            for pairs in (0..part.blocks.len() * weight.block).step_by(PAIRS) {
                self.fill_pairs(weight, part, first, pairs);
            }
        }
    }

    /// 32 inputs of 8 columns.
    #[target_feature(enable = "avx2,fma")]
    fn fill_pairs(&mut self, weight: &Blockwise<'_>, part: &Part, first: usize, pairs: usize) {
        let zero = _mm256_setzero_si256();
        let mut rows = [[zero; LANES]; 2];
        let start = part.blocks.start * weight.block + pairs;
        let bytes = start * weight.bits / 8..(start + PAIRS) * weight.bits / 8;
        for (row, output) in part.outputs.clone().skip(first).take(LANES).enumerate() {
            let levels = &weight.row(output)[bytes.clone()];
            let middle = _mm256_set1_epi16(i16::from(weight.zero(output, start / weight.block)));
            for (half, levels) in halves(levels).into_iter().enumerate() {
                rows[half][row] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(levels), middle);
            }
        }
        for (half, rows) in rows.iter_mut().enumerate() {
            transpose(rows);
            for (step, row) in rows.iter().enumerate() {
                self.levels[(pairs / STEP + half * LANES + step) * COLUMNS / LANES + first / LANES] = *row;
            }
        }
    }
}

/// 32 levels, each in a byte, in the kernels' order: of 8 bits from 32 bytes, of 4 bits from 16.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn halves(bytes: &[u8]) -> [__m128i; 2] {
    if let Some(whole) = bytes.first_chunk::<32>() {
        // SAFETY: 32 bytes.
        return unsafe {
            [_mm_loadu_si128(whole.as_ptr().cast()), _mm_loadu_si128(whole[16..].as_ptr().cast())]
        };
    }
    let packed = bytes[..16].as_ptr();
    // SAFETY: 16 bytes.
    let packed = unsafe { _mm_loadu_si128(packed.cast()) };
    let mask = _mm_set1_epi8(15);
    [_mm_and_si128(packed, mask), _mm_and_si128(_mm_srli_epi16::<4>(packed), mask)]
}

/// Lane `n` of row `m` becomes lane `m` of row `n`, lanes of 32 bits.
#[target_feature(enable = "avx2")]
#[inline]
pub(in crate::kernels) fn transpose(rows: &mut [__m256i; LANES]) {
    let mut pairs = [_mm256_setzero_si256(); LANES];
    for row in (0..LANES).step_by(2) {
        pairs[row] = _mm256_unpacklo_epi32(rows[row], rows[row + 1]);
        pairs[row + 1] = _mm256_unpackhi_epi32(rows[row], rows[row + 1]);
    }
    for row in (0..LANES).step_by(4) {
        rows[row] = _mm256_unpacklo_epi64(pairs[row], pairs[row + 2]);
        rows[row + 1] = _mm256_unpackhi_epi64(pairs[row], pairs[row + 2]);
        rows[row + 2] = _mm256_unpacklo_epi64(pairs[row + 1], pairs[row + 3]);
        rows[row + 3] = _mm256_unpackhi_epi64(pairs[row + 1], pairs[row + 3]);
    }
    for column in 0..4 {
        pairs[column] = _mm256_permute2x128_si256::<0x20>(rows[column], rows[4 + column]);
        pairs[4 + column] = _mm256_permute2x128_si256::<0x31>(rows[column], rows[4 + column]);
    }
    *rows = pairs;
}

/// Some rows of activations and a panel.
struct Tile<'a> {
    panel: &'a Panel,
    /// The rows of activations in this part.
    left: &'a [i16],
    /// The first row.
    row: usize,
    part: &'a Part,
    work: Many<'a>,
}

impl Tile<'_> {
    /// Adds the products of as many rows.
    // Loops and no closures: those of `map` and `from_fn` would be called, for the functions of arrays lack these instructions.
    #[target_feature(enable = "avx2,fma")]
    fn run<const COUNT: usize>(&self) {
        let mut scales = [&[][..]; COUNT];
        for row in 0..COUNT {
            scales[row] = &self.work.left.row_scales(self.row + row)[self.part.blocks.clone()];
        }
        let mut sums = [[_mm256_setzero_ps(); 2]; COUNT];
        for place in 0..self.part.blocks.len() {
            let whole: [[__m256i; 2]; COUNT] = self.multiply(place);
            let factors = self.panel.scales[place * COLUMNS..][..COLUMNS].as_ptr();
            // SAFETY: 16 numbers, as the slice's bounds say.
            let factors = unsafe { [_mm256_loadu_ps(factors), _mm256_loadu_ps(factors.add(LANES))] };
            for row in 0..COUNT {
                let scale = _mm256_set1_ps(scales[row][place]);
                for half in 0..2 {
                    let scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(whole[row][half]), factors[half]);
                    sums[row][half] = _mm256_fmadd_ps(scaled, scale, sums[row][half]);
                }
            }
        }
        for row in 0..COUNT {
            self.add(self.row + row, sums[row]);
        }
    }

    /// The sums of a block: rows by columns.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn multiply<const COUNT: usize>(&self, block: usize) -> [[__m256i; 2]; COUNT] {
        let length = self.work.weight.block;
        let vectors = length / STEP * COLUMNS / LANES;
        let panel = self.panel.levels[block * vectors..][..vectors].as_ptr();
        let mut levels = [ptr::null(); COUNT];
        for row in 0..COUNT {
            levels[row] = self.left[row * (self.left.len() / COUNT) + block * length..][..length].as_ptr();
        }
        let mut sums = [[_mm256_setzero_si256(); 2]; COUNT];
        // SAFETY: the slices' bounds say that `length` values of 16 columns and as many of each row are there, and it is a
        // multiple of two.
        unsafe {
            for step in 0..length / STEP {
                let right = [*panel.add(2 * step), *panel.add(2 * step + 1)];
                for row in 0..COUNT {
                    let left = _mm256_set1_epi32(levels[row].add(step * STEP).cast::<i32>().read_unaligned());
                    for half in 0..2 {
                        let pairs = _mm256_madd_epi16(left, right[half]);
                        sums[row][half] = _mm256_add_epi32(sums[row][half], pairs);
                    }
                }
            }
        }
        sums
    }

    /// Adds to the results of a row, in the first part to the bias.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn add(&self, row: usize, sums: [__m256; 2]) {
        let outputs = &self.part.outputs;
        let mut numbers = [0.0; COLUMNS];
        // SAFETY: 16 numbers.
        unsafe {
            _mm256_storeu_ps(numbers.as_mut_ptr(), sums[0]);
            _mm256_storeu_ps(numbers[LANES..].as_mut_ptr(), sums[1]);
        }
        self.work.add(self.part, row, &numbers[..outputs.len()]);
    }
}
