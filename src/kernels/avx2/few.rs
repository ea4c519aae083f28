//! Few rows of activations: each row of the weight is read once, as it stands.

use std::arch::x86_64::*;
use std::ops::Range;

use super::many::halves;
use crate::kernels::activations::{CHUNK, PAIRS};
use crate::kernels::blockwise::Blockwise;
use crate::kernels::few::{AHEAD, Few, LANES, Left, ROWS, Row, weight_rows};
use crate::kernels::output::Output;

/// Results for few rows: these outputs. They hold the bias already.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn few(left: &Few, weight: &Blockwise<'_>, outputs: &Range<usize>, out: Output<'_>) {
    let dots = Dots { left, weight, out };
    match weight.bits {
        8 => dots.all::<8>(outputs),
        _ => dots.all::<4>(outputs),
    }
}

struct Dots<'a> {
    left: &'a Few,
    weight: &'a Blockwise<'a>,
    out: Output<'a>,
}

/// The two halves of [`LANES`] sums.
pub(in crate::kernels) type Halves<T> = [T; 2];
/// A vector of numbers.
const WIDTH: usize = LANES / 2;

impl Dots<'_> {
    #[target_feature(enable = "avx2,fma")]
    fn all<const BITS: usize>(&self, outputs: &Range<usize>) {
        let lefts = self.left.lefts();
        let lefts = &lefts[..self.left.rows()];
        match lefts.len() {
            1 => self.run::<BITS, 2>(outputs, lefts),
            _ => self.run::<BITS, 1>(outputs, lefts),
        }
    }

    /// `COLUMNS` rows of the weight at a time.
    #[target_feature(enable = "avx2,fma")]
    fn run<const BITS: usize, const COLUMNS: usize>(&self, outputs: &Range<usize>, lefts: &[Left<'_>]) {
        let mut output = outputs.start;
        while output + COLUMNS <= outputs.end {
            self.rows::<BITS, COLUMNS>(output, lefts);
            output += COLUMNS;
        }
        for output in output..outputs.end {
            self.rows::<BITS, 1>(output, lefts);
        }
    }

    /// All rows of activations.
    #[target_feature(enable = "avx2,fma")]
    fn rows<const BITS: usize, const COLUMNS: usize>(&self, output: usize, lefts: &[Left<'_>]) {
        match *lefts {
            [a] => self.columns::<BITS, 1, COLUMNS>(output, [a]),
            [a, b] => self.columns::<BITS, 2, COLUMNS>(output, [a, b]),
            [a, b, c] => self.columns::<BITS, 3, COLUMNS>(output, [a, b, c]),
            [a, b, c, d] => self.columns::<BITS, ROWS, COLUMNS>(output, [a, b, c, d]),
            _ => {}
        }
    }

    #[target_feature(enable = "avx2,fma")]
    fn columns<const BITS: usize, const COUNT: usize, const COLUMNS: usize>(
        &self,
        output: usize,
        lefts: [Left<'_>; COUNT],
    ) {
        let rows = weight_rows::<COLUMNS>(self.weight, output);
        let sums = if self.weight.block < CHUNK {
            self.halves::<BITS, COUNT, COLUMNS>(rows, &lefts)
        } else {
            self.blocks::<BITS, COUNT, COLUMNS>(rows, &lefts)
        };
        for column in 0..COLUMNS {
            for row in 0..COUNT {
                let mut lanes = sums[column][row];
                if BITS == 4 {
                    let shifts = self.shifts(output + column, lefts[row]);
                    lanes = [_mm256_sub_ps(lanes[0], shifts[0]), _mm256_sub_ps(lanes[1], shifts[1])];
                }
                let result = fold(lanes);
                // SAFETY: the caller of `few` says that these results are its own.
                unsafe { self.out.at(row, output + column, 1)[0] += result };
            }
        }
    }

    /// Blocks of half a chunk.
    #[target_feature(enable = "avx2,fma")]
    fn halves<const BITS: usize, const COUNT: usize, const COLUMNS: usize>(
        &self,
        rows: [Row<'_>; COLUMNS],
        lefts: &[Left<'_>; COUNT],
    ) -> [[Halves<__m256>; COUNT]; COLUMNS] {
        let mut sums = [[[_mm256_setzero_ps(); 2]; COUNT]; COLUMNS];
        for chunk in 0..self.weight.padded().div_ceil(CHUNK) {
            for half in 0..2 {
                let block = 2 * chunk + half;
                if block == self.weight.blocks() {
                    break;
                }
                for column in 0..COLUMNS {
                    let right = levels::<BITS>(rows[column].levels, block * PAIRS);
                    for row in 0..COUNT {
                        let whole = products::<BITS>(right, lefts[row].levels, block * PAIRS);
                        let scale = _mm256_set1_ps(rows[column].scales[block] * lefts[row].scales[block]);
                        let sum = &mut sums[column][row][half];
                        *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), scale, *sum);
                    }
                }
            }
        }
        sums
    }

    /// Blocks of whole chunks.
    #[target_feature(enable = "avx2,fma")]
    fn blocks<const BITS: usize, const COUNT: usize, const COLUMNS: usize>(
        &self,
        rows: [Row<'_>; COLUMNS],
        lefts: &[Left<'_>; COUNT],
    ) -> [[Halves<__m256>; COUNT]; COLUMNS] {
        let mut sums = [[[_mm256_setzero_ps(); 2]; COUNT]; COLUMNS];
        let block_length = self.weight.block;
        for block in 0..self.weight.blocks() {
            let mut whole = [[[_mm256_setzero_si256(); 2]; COUNT]; COLUMNS];
            for chunk in (block * block_length..(block + 1) * block_length).step_by(CHUNK) {
                for half in 0..2 {
                    let start = chunk + half * PAIRS;
                    for column in 0..COLUMNS {
                        let right = levels::<BITS>(rows[column].levels, start);
                        for row in 0..COUNT {
                            let products = products::<BITS>(right, lefts[row].levels, start);
                            let sum = &mut whole[column][row][half];
                            *sum = _mm256_add_epi32(*sum, products);
                        }
                    }
                }
            }
            for column in 0..COLUMNS {
                for row in 0..COUNT {
                    let scale = _mm256_set1_ps(rows[column].scales[block] * lefts[row].scales[block]);
                    for half in 0..2 {
                        let whole = _mm256_cvtepi32_ps(whole[column][row][half]);
                        let sum = &mut sums[column][row][half];
                        *sum = _mm256_fmadd_ps(whole, scale, *sum);
                    }
                }
            }
        }
        sums
    }

    /// What the levels of zero make in a row.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn shifts(&self, output: usize, left: Left<'_>) -> Halves<__m256> {
        let (weight, scales, sums) = (self.weight, self.weight.row_scales(output), left.sums);
        let middle = _mm256_set1_ps(f32::from(weight.middle()));
        let mut shifts = [_mm256_setzero_ps(); 2];
        for first in (0..scales.len()).step_by(LANES) {
            let mut padded = [0.0; LANES];
            let factors = match scales[first..].first_chunk::<LANES>() {
                Some(whole) => whole,
                None => {
                    padded[..scales.len() - first].copy_from_slice(&scales[first..]);
                    &padded
                }
            };
            let zeros = match weight.row_zeros(output) {
                None => [middle; 2],
                Some(zeros) => nibbles(&zeros[first / 2..]),
            };
            let sums = &sums[first..][..LANES];
            for half in 0..2 {
                // SAFETY: 8 numbers of 16.
                let (factors, sums) = unsafe {
                    let place = half * WIDTH;
                    (_mm256_loadu_ps(factors.as_ptr().add(place)), _mm256_loadu_ps(sums.as_ptr().add(place)))
                };
                shifts[half] = _mm256_fmadd_ps(_mm256_mul_ps(factors, zeros[half]), sums, shifts[half]);
            }
        }
        shifts
    }
}

/// 32 levels of a row.
#[inline]
#[target_feature(enable = "avx2")]
fn levels<const BITS: usize>(row: &[u8], start: usize) -> __m256i {
    _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(start * BITS / 8 + AHEAD).cast());
    let [low, high] = halves(&row[start * BITS / 8..][..PAIRS * BITS / 8]);
    let levels = _mm256_set_m128i(high, low);
    if BITS == 8 { _mm256_xor_si256(levels, _mm256_set1_epi8(i8::MIN)) } else { levels }
}

/// The products of 32 levels with those of activations, each four added up.
#[inline]
#[target_feature(enable = "avx2")]
fn products<const BITS: usize>(right: __m256i, left: &[i8], start: usize) -> __m256i {
    let left = &left[start..][..PAIRS];
    // SAFETY: 32 bytes.
    let left = unsafe { _mm256_loadu_si256(left.as_ptr().cast()) };
    let pairs = if BITS == 8 {
        // the sign goes over to the activation: sizes of at most 128 and 127 do not saturate in pairs
        _mm256_maddubs_epi16(_mm256_abs_epi8(right), _mm256_sign_epi8(left, right))
    } else {
        _mm256_maddubs_epi16(right, left)
    };
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

/// 16 numbers of 4 bits from the first 8 bytes, or as many as there are.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(bytes: &[u8]) -> Halves<__m256> {
    let mut packed = [0; WIDTH];
    let count = bytes.len().min(WIDTH);
    packed[..count].copy_from_slice(&bytes[..count]);
    let packed = _mm_cvtsi64_si128(i64::from_le_bytes(packed));
    let pairs = _mm_unpacklo_epi8(packed, _mm_srli_epi16::<4>(packed));
    let single = _mm_and_si128(pairs, _mm_set1_epi8(15));
    let numbers = |bytes| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    [numbers(single), numbers(_mm_srli_si128::<8>(single))]
}

/// The sum of all lanes, in the order of [`fold`](crate::kernels::few::fold).
#[inline]
#[target_feature(enable = "avx2")]
pub(in crate::kernels) fn fold(lanes: Halves<__m256>) -> f32 {
    let eight = _mm256_add_ps(lanes[0], lanes[1]);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}
