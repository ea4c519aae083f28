//! Many rows of activations: a part of the weight is unpacked once and multiplied with tiles of rows.

use std::arch::x86_64::*;
use std::ops::Range;
use std::ptr;

use crate::kernels::activations::PAIRS;
use crate::kernels::blockwise::Blockwise;
use crate::kernels::panel::{Part, Work};

/// Rows of a weight in a panel.
pub(in crate::kernels) const COLUMNS: usize = 16;
/// Rows of activations in a tile.
const ROWS: usize = 4;
/// Lanes of a vector of 32 bits.
const LANES: usize = 8;
/// A part of a weight as the tiles read it. A lane has four levels of 4 bits as they are stored, or two of 8 bits less the level
/// of zero: products of 4 bits with 8 bits fit in 16 bits even when 16 of them are added up, but two of 8 bits do not.
struct Panel {
    /// `[inputs / STEP, COLUMNS, STEP]` with 4 or 2 values in a step.
    levels: Vec<__m256i>,
    /// `[blocks, COLUMNS]`
    scales: Vec<f32>,
    /// For 4 bits, the levels of zero: `[blocks, COLUMNS]`
    zeros: Vec<f32>,
}

/// Results for these rows and at most [`COLUMNS`] outputs. Activations have their sign.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn many(work: Work<'_>, outputs: &Range<usize>, rows: Range<usize>) {
    match work.weight.bits {
        8 => all::<8>(work, outputs, rows),
        _ => all::<4>(work, outputs, rows),
    }
}

#[target_feature(enable = "avx2,fma")]
fn all<const BITS: usize>(work: Work<'_>, outputs: &Range<usize>, rows: Range<usize>) {
    let mut panel = Panel { levels: Vec::new(), scales: Vec::new(), zeros: Vec::new() };
    let mut wide = Vec::new();
    for part in Part::of(work.weight, outputs) {
        panel.fill(work.weight, &part);
        let mut row = rows.start;
        while row < rows.end {
            let count = ROWS.min(rows.end - row);
            if BITS == 8 {
                widen(&mut wide, &work, &part, row..row + count);
            }
            let tile = Tile { panel: &panel, wide: &wide, row, part: &part, work };
            match count {
                1 => tile.run::<BITS, 1>(),
                2 => tile.run::<BITS, 2>(),
                3 => tile.run::<BITS, 3>(),
                _ => tile.run::<BITS, ROWS>(),
            }
            row += count;
        }
    }
}

/// Makes levels of 16 bits of some rows in a part.
#[target_feature(enable = "avx2,fma")]
fn widen(wide: &mut Vec<i16>, work: &Work<'_>, part: &Part, rows: Range<usize>) {
    let inputs = part.blocks.len() * work.weight.block;
    wide.clear();
    for row in rows {
        wide.extend(work.left.levels(part.number, row)[..inputs].iter().map(|level| i16::from(*level)));
    }
}

impl Panel {
    #[target_feature(enable = "avx2,fma")]
    fn fill(&mut self, weight: &Blockwise<'_>, part: &Part) {
        let inputs = part.blocks.len() * weight.block;
        let values = if weight.bits == 8 { 2 } else { 4 };
        self.levels.resize(inputs / values * COLUMNS / LANES, _mm256_setzero_si256());
        self.scales.clear();
        self.scales.resize(part.blocks.len() * COLUMNS, 0.0);
        self.zeros.clear();
        if weight.bits == 4 {
            self.zeros.resize(part.blocks.len() * COLUMNS, 0.0);
        }
        for (column, output) in part.outputs.clone().enumerate() {
            let scales = weight.row_scales(output);
            for (place, block) in part.blocks.clone().enumerate() {
                self.scales[place * COLUMNS + column] = scales[block];
                if weight.bits == 4 {
                    self.zeros[place * COLUMNS + column] = weight.zero(output, block).into();
                }
            }
        }
        for first in (0..COLUMNS).step_by(LANES) {
            for pairs in (0..inputs).step_by(PAIRS) {
                match weight.bits {
                    8 => self.fill_wide(weight, part, first, pairs),
                    _ => self.fill_bytes(weight, part, first, pairs),
                }
            }
        }
    }

    /// 32 inputs of 8 columns in 8 bits.
    #[target_feature(enable = "avx2,fma")]
    fn fill_wide(&mut self, weight: &Blockwise<'_>, part: &Part, first: usize, pairs: usize) {
        let mut rows = [[_mm256_setzero_si256(); LANES]; 2];
        let start = part.blocks.start * weight.block + pairs;
        let middle = _mm256_set1_epi16(weight.middle().into());
        for (row, output) in part.outputs.clone().skip(first).take(LANES).enumerate() {
            let levels = &weight.row(output)[start..start + PAIRS];
            for (half, levels) in halves(levels).into_iter().enumerate() {
                rows[half][row] = _mm256_sub_epi16(_mm256_cvtepu8_epi16(levels), middle);
            }
        }
        for (half, rows) in rows.iter_mut().enumerate() {
            transpose(rows);
            for (step, row) in rows.iter().enumerate() {
                self.levels[(pairs / 2 + half * LANES + step) * COLUMNS / LANES + first / LANES] = *row;
            }
        }
    }

    /// 32 inputs of 8 columns in 4 bits.
    #[target_feature(enable = "avx2,fma")]
    fn fill_bytes(&mut self, weight: &Blockwise<'_>, part: &Part, first: usize, pairs: usize) {
        let mut rows = [_mm256_setzero_si256(); LANES];
        let start = part.blocks.start * weight.block + pairs;
        for (row, output) in part.outputs.clone().skip(first).take(LANES).enumerate() {
            let [low, high] = halves(&weight.row(output)[start / 2..(start + PAIRS) / 2]);
            rows[row] = _mm256_set_m128i(high, low);
        }
        transpose(&mut rows);
        for (step, row) in rows.iter().enumerate() {
            self.levels[(pairs / 4 + step) * COLUMNS / LANES + first / LANES] = *row;
        }
    }
}

/// Numbers of a block's columns.
#[inline]
#[target_feature(enable = "avx2")]
fn columns(numbers: &[f32], block: usize) -> Pair<__m256> {
    let numbers = numbers[block * COLUMNS..][..COLUMNS].as_ptr();
    // SAFETY: 16 numbers.
    unsafe { [_mm256_loadu_ps(numbers), _mm256_loadu_ps(numbers.add(LANES))] }
}

/// 32 levels, each in a byte, in the kernels' order: of 8 bits from 32 bytes, of 4 bits from 16.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(bytes: &[u8]) -> [__m128i; 2] {
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
    /// For 8 bits, the rows of activations in this part.
    wide: &'a [i16],
    /// The first row.
    row: usize,
    part: &'a Part,
    work: Work<'a>,
}

/// Rows of activations for weights in 4 bits.
struct Bytes<'a, const COUNT: usize> {
    levels: [&'a [i8]; COUNT],
    /// Of each block.
    sums: [&'a [f32]; COUNT],
}

/// Numbers of 16 columns.
type Pair<T> = [T; 2];

impl Tile<'_> {
    /// Adds the products of as many rows.
    // Loops and no closures: those of `map` and `from_fn` would be called, for the functions of arrays lack these instructions.
    #[target_feature(enable = "avx2,fma")]
    fn run<const BITS: usize, const COUNT: usize>(&self) {
        let (part, left) = (self.part, self.work.left);
        let mut scales = [&[][..]; COUNT];
        let mut bytes = Bytes { levels: [&[]; COUNT], sums: [&[]; COUNT] };
        for row in 0..COUNT {
            scales[row] = &left.row_scales(self.row + row)[part.blocks.clone()];
            if BITS == 4 {
                bytes.levels[row] = left.levels(part.number, self.row + row);
                bytes.sums[row] = &left.row_sums(self.row + row)[part.blocks.clone()];
            }
            self.work.out.fetch(self.row + row, part.outputs.clone());
        }
        let mut sums = [[_mm256_setzero_ps(); 2]; COUNT];
        for place in 0..part.blocks.len() {
            let whole =
                if BITS == 8 { self.multiply_wide(place) } else { self.multiply_bytes(place, &bytes) };
            let factors = columns(&self.panel.scales, place);
            let zeros = if BITS == 4 { columns(&self.panel.zeros, place) } else { [_mm256_setzero_ps(); 2] };
            for row in 0..COUNT {
                let scale = _mm256_set1_ps(scales[row][place]);
                for half in 0..2 {
                    let mut number = _mm256_cvtepi32_ps(whole[row][half]);
                    if BITS == 4 {
                        // whole numbers below 2^24: exact
                        number =
                            _mm256_fnmadd_ps(zeros[half], _mm256_set1_ps(bytes.sums[row][place]), number);
                    }
                    let scaled = _mm256_mul_ps(number, factors[half]);
                    sums[row][half] = _mm256_fmadd_ps(scaled, scale, sums[row][half]);
                }
            }
        }
        for row in 0..COUNT {
            self.add(self.row + row, sums[row]);
        }
    }

    /// The sums of a block of 8 bits: rows by columns.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn multiply_wide<const COUNT: usize>(&self, block: usize) -> [Pair<__m256i>; COUNT] {
        const STEP: usize = 2;
        let length = self.work.weight.block;
        let vectors = length / STEP * COLUMNS / LANES;
        let panel = self.panel.levels[block * vectors..][..vectors].as_ptr();
        let mut levels = [ptr::null(); COUNT];
        for row in 0..COUNT {
            levels[row] = self.wide[row * (self.wide.len() / COUNT) + block * length..][..length].as_ptr();
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

    /// The sums of a block of 4 bits: rows by columns.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn multiply_bytes<const COUNT: usize>(
        &self,
        block: usize,
        rows: &Bytes<'_, COUNT>,
    ) -> [Pair<__m256i>; COUNT] {
        let length = self.work.weight.block;
        let mut sums = self.multiply_pairs(block * length, &rows.levels);
        for first in (block * length..(block + 1) * length).step_by(PAIRS).skip(1) {
            let part_sums: [Pair<__m256i>; COUNT] = self.multiply_pairs(first, &rows.levels);
            for row in 0..COUNT {
                for half in 0..2 {
                    sums[row][half] = _mm256_add_epi32(sums[row][half], part_sums[row][half]);
                }
            }
        }
        sums
    }

    /// The sums of 32 inputs in 4 bits.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn multiply_pairs<const COUNT: usize>(
        &self,
        first: usize,
        rows: &[&[i8]; COUNT],
    ) -> [Pair<__m256i>; COUNT] {
        const STEP: usize = 4;
        let panel =
            self.panel.levels[first / STEP * COLUMNS / LANES..][..PAIRS / STEP * COLUMNS / LANES].as_ptr();
        let mut levels = [ptr::null(); COUNT];
        for row in 0..COUNT {
            levels[row] = rows[row][first..][..PAIRS].as_ptr();
        }
        let mut sums = [[_mm256_setzero_si256(); 2]; COUNT];
        // SAFETY: the slices' bounds say that 32 values of 16 columns and as many of each row are there.
        unsafe {
            for step in 0..PAIRS / STEP {
                let right = [*panel.add(2 * step), *panel.add(2 * step + 1)];
                for row in 0..COUNT {
                    let left = _mm256_set1_epi32(levels[row].add(step * STEP).cast::<i32>().read_unaligned());
                    for half in 0..2 {
                        let pairs = _mm256_maddubs_epi16(right[half], left);
                        sums[row][half] = _mm256_add_epi16(sums[row][half], pairs);
                    }
                }
            }
            for row in 0..COUNT {
                for half in 0..2 {
                    sums[row][half] = _mm256_madd_epi16(sums[row][half], _mm256_set1_epi16(1));
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
