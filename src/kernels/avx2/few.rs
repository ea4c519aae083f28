//! Few rows of activations: 8 rows of the weight at a time, an output in each lane.

use std::arch::x86_64::*;
use std::ops::Range;

use crate::kernels::few::{Few, Group, Lines, QUADS, ROWS, STEP, UNIT, WORDS};
use crate::kernels::panel::{Part, Work};

/// Lanes of a vector of 32 bits.
const LANES: usize = 8;

/// Results for few rows: these outputs.
#[target_feature(enable = "avx2,fma")]
pub(in crate::kernels) fn few(work: Work<'_, Few>, outputs: &Range<usize>) {
    for first in outputs.clone().step_by(LANES) {
        let outputs = first..outputs.end.min(first + LANES);
        match (work.weight.bits, work.weight.block == STEP) {
            (8, true) => group::<8, true>(work, &outputs),
            (8, false) => group::<8, false>(work, &outputs),
            (_, true) => group::<4, true>(work, &outputs),
            (_, false) => group::<4, false>(work, &outputs),
        }
    }
}

/// An output in each lane. `SHORT`: a block is one step.
#[target_feature(enable = "avx2,fma")]
fn group<const BITS: usize, const SHORT: bool>(work: Work<'_, Few>, outputs: &Range<usize>) {
    let Work { left, weight, .. } = work;
    let group = Group::new(weight, outputs, LANES);
    let (rows, steps) = (left.rows().min(ROWS), if SHORT { 1 } else { weight.block / STEP });
    let mut zero = _mm256_set1_ps(f32::from(weight.middle()));
    let mut wholes = [_mm256_setzero_si256(); ROWS];
    let (mut factors, mut zeros) = ([_mm256_setzero_si256(); WORDS], [_mm256_setzero_si256(); WORDS]);
    for part in Part::of(weight, outputs) {
        let mut sums = [_mm256_setzero_ps(); ROWS];
        for block in part.blocks.clone() {
            if block.is_multiple_of(WORDS) {
                factors = words(&group.scales, block / WORDS);
            }
            let factor = _mm256_castsi256_ps(factors[block % WORDS]);
            if let Some(lines) = &group.zeros {
                if block.is_multiple_of(2 * UNIT) {
                    zeros = words(lines, block / (2 * UNIT));
                }
                zero = nibbles(&zeros, block % (2 * UNIT));
            }
            let (row_scales, row_sums) = left.block(block);
            for step in 0..steps {
                let right = Right::<BITS>::new(&group.levels, block * steps + step);
                let left = left.levels(block * steps + step);
                for row in 0..rows {
                    let mut whole = right.dot(&left[row * STEP..][..STEP]);
                    if step > 0 {
                        whole = _mm256_add_epi32(whole, wholes[row]);
                    }
                    if step + 1 < steps {
                        wholes[row] = whole;
                        continue;
                    }
                    let mut number = _mm256_cvtepi32_ps(whole);
                    if BITS == 4 {
                        // whole numbers below 2^24: exact
                        number = _mm256_fnmadd_ps(zero, _mm256_set1_ps(row_sums[row]), number);
                    }
                    let scaled = _mm256_mul_ps(number, factor);
                    sums[row] = _mm256_fmadd_ps(scaled, _mm256_set1_ps(row_scales[row]), sums[row]);
                }
            }
        }
        for row in 0..rows {
            let mut numbers = [0.0; LANES];
            // SAFETY: 8 numbers.
            unsafe { _mm256_storeu_ps(numbers.as_mut_ptr(), sums[row]) };
            work.add(&part, row, &numbers[..outputs.len()]);
        }
    }
}

/// The levels of 32 inputs: four of each row in a vector.
struct Right<const BITS: usize> {
    /// Those of 8 bits less the level of zero.
    levels: [__m256i; QUADS],
    /// Without their sign, for 8 bits.
    sizes: [__m256i; QUADS],
}

impl<const BITS: usize> Right<BITS> {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn new(lines: &Lines<'_>, step: usize) -> Self {
        lines.fetch(step * STEP * BITS / 8, STEP * BITS / 8);
        let (mut levels, mut sizes) = ([_mm256_setzero_si256(); QUADS], [_mm256_setzero_si256(); QUADS]);
        if BITS == 8 {
            let halves = [words(lines, 2 * step), words(lines, 2 * step + 1)];
            for quad in 0..QUADS {
                let level = halves[quad / WORDS][quad % WORDS];
                levels[quad] = _mm256_xor_si256(level, _mm256_set1_epi8(i8::MIN));
                sizes[quad] = _mm256_abs_epi8(levels[quad]);
            }
        } else {
            let (mask, words) = (_mm256_set1_epi8(15), words(lines, step));
            for word in 0..WORDS {
                levels[word] = _mm256_and_si256(words[word], mask);
                levels[WORDS + word] = _mm256_and_si256(_mm256_srli_epi16::<4>(words[word]), mask);
            }
        }
        Self { levels, sizes }
    }

    /// The products with 32 inputs of a row of activations.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn dot(&self, left: &[i8]) -> __m256i {
        let (left, ones) = (left[..STEP].as_ptr().cast::<i32>(), _mm256_set1_epi16(1));
        let mut sums = [_mm256_setzero_si256(); 2];
        for quad in 0..QUADS {
            let (sum, right) = (&mut sums[quad % 2], self.levels[quad]);
            // SAFETY: 32 bytes.
            let left = unsafe { _mm256_set1_epi32(left.add(quad).read_unaligned()) };
            *sum = if BITS == 8 {
                // the sign goes over to the activation: sizes of at most 128 and 127 do not saturate in pairs
                let pairs = _mm256_maddubs_epi16(self.sizes[quad], _mm256_sign_epi8(left, right));
                _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones))
            } else {
                // 16 products of at most 15 and 127 fit in 16 bits
                _mm256_add_epi16(*sum, _mm256_maddubs_epi16(right, left))
            };
        }
        if BITS == 8 {
            return _mm256_add_epi32(sums[0], sums[1]);
        }
        _mm256_madd_epi16(_mm256_add_epi16(sums[0], sums[1]), ones)
    }
}

/// Number `place` of the 32 in each lane's 16 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles(words: &[__m256i; WORDS], place: usize) -> __m256 {
    let shift = _mm_cvtsi32_si128((place % 8 * 4) as i32);
    let single = _mm256_and_si256(_mm256_srl_epi32(words[place / 8], shift), _mm256_set1_epi32(15));
    _mm256_cvtepi32_ps(single)
}

/// A unit of each row, word by word.
#[inline]
#[target_feature(enable = "avx2")]
fn words(lines: &Lines<'_>, unit: usize) -> [__m256i; WORDS] {
    let (start, stride) = lines.unit(unit);
    let bases = [start, start.wrapping_add(4 * stride)];
    let mut rows = [_mm256_setzero_si256(); 4];
    for row in 0..4 {
        // SAFETY: `Lines` has a unit of 8 rows there.
        unsafe {
            let half = |base: *const u8| _mm_loadu_si128(base.add(row * stride).cast());
            rows[row] = _mm256_set_m128i(half(bases[1]), half(bases[0]));
        }
    }
    let low = [_mm256_unpacklo_epi32(rows[0], rows[1]), _mm256_unpacklo_epi32(rows[2], rows[3])];
    let high = [_mm256_unpackhi_epi32(rows[0], rows[1]), _mm256_unpackhi_epi32(rows[2], rows[3])];
    [
        _mm256_unpacklo_epi64(low[0], low[1]),
        _mm256_unpackhi_epi64(low[0], low[1]),
        _mm256_unpacklo_epi64(high[0], high[1]),
        _mm256_unpackhi_epi64(high[0], high[1]),
    ]
}
