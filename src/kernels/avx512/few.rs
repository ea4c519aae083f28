//! Few rows of activations: 16 rows of the weight at a time, an output in each lane.

use std::arch::x86_64::*;
use std::ops::Range;

use super::many::add;
use crate::kernels::few::{Few, Group, Lines, QUADS, ROWS, STEP, UNIT, WORDS};
use crate::kernels::panel::{Part, Work};

/// Lanes of a vector of 32 bits.
const LANES: usize = 16;

/// Results for few rows: these outputs.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn group<const BITS: usize, const SHORT: bool>(work: Work<'_, Few>, outputs: &Range<usize>) {
    let Work { left, weight, .. } = work;
    let group = Group::new(weight, outputs, LANES);
    let (rows, steps) = (left.rows().min(ROWS), if SHORT { 1 } else { weight.block / STEP });
    let mut zero = _mm512_set1_ps(f32::from(weight.middle()));
    let mut wholes = [_mm512_setzero_si512(); ROWS];
    let (mut factors, mut zeros) = ([_mm512_setzero_si512(); WORDS], [_mm512_setzero_si512(); WORDS]);
    for part in Part::of(weight, outputs) {
        let mut sums = [_mm512_setzero_ps(); ROWS];
        for block in part.blocks.clone() {
            if block.is_multiple_of(WORDS) {
                factors = words(&group.scales, block / WORDS);
            }
            let factor = _mm512_castsi512_ps(factors[block % WORDS]);
            if let Some(lines) = &group.zeros {
                if block.is_multiple_of(2 * UNIT) {
                    zeros = words(lines, block / (2 * UNIT));
                }
                zero = nibbles(&zeros, block % (2 * UNIT));
            }
            let (row_scales, row_sums) = left.block(block);
            for step in 0..steps {
                let right = levels::<BITS>(&group.levels, block * steps + step);
                let left = left.levels(block * steps + step);
                for row in 0..rows {
                    let start = if step == 0 { _mm512_setzero_si512() } else { wholes[row] };
                    let whole = dot(start, &right, &left[row * STEP..][..STEP]);
                    if step + 1 < steps {
                        wholes[row] = whole;
                        continue;
                    }
                    // whole numbers below 2^24: exact
                    let number = _mm512_cvtepi32_ps(whole);
                    let number = _mm512_fnmadd_ps(zero, _mm512_set1_ps(row_sums[row]), number);
                    let scaled = _mm512_mul_ps(number, factor);
                    sums[row] = _mm512_fmadd_ps(scaled, _mm512_set1_ps(row_scales[row]), sums[row]);
                }
            }
        }
        for row in 0..rows {
            add(&work, &part, row, [sums[row]]);
        }
    }
}

/// Adds the products of 32 inputs of a row of activations.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn dot(start: __m512i, right: &[__m512i; QUADS], left: &[i8]) -> __m512i {
    let left = left[..STEP].as_ptr().cast::<i32>();
    // two sums: each step of one waits for the one before
    let mut sums = [start, _mm512_setzero_si512()];
    for quad in 0..QUADS {
        // SAFETY: 32 bytes.
        let left = unsafe { _mm512_set1_epi32(left.add(quad).read_unaligned()) };
        sums[quad % 2] = _mm512_dpbusd_epi32(sums[quad % 2], right[quad], left);
    }
    _mm512_add_epi32(sums[0], sums[1])
}

/// The levels of 32 inputs: four of each row in a vector.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn levels<const BITS: usize>(lines: &Lines<'_>, step: usize) -> [__m512i; QUADS] {
    lines.fetch(step * STEP * BITS / 8, STEP * BITS / 8);
    let mut levels = [_mm512_setzero_si512(); QUADS];
    if BITS == 8 {
        let halves = [words(lines, 2 * step), words(lines, 2 * step + 1)];
        for word in 0..WORDS {
            (levels[word], levels[WORDS + word]) = (halves[0][word], halves[1][word]);
        }
    } else {
        let (mask, words) = (_mm512_set1_epi8(15), words(lines, step));
        for word in 0..WORDS {
            levels[word] = _mm512_and_si512(words[word], mask);
            levels[WORDS + word] = _mm512_and_si512(_mm512_srli_epi16::<4>(words[word]), mask);
        }
    }
    levels
}

/// Number `place` of the 32 in each lane's 16 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
fn nibbles(words: &[__m512i; WORDS], place: usize) -> __m512 {
    let shift = _mm_cvtsi32_si128((place % 8 * 4) as i32);
    let single = _mm512_and_si512(_mm512_srl_epi32(words[place / 8], shift), _mm512_set1_epi32(15));
    _mm512_cvtepi32_ps(single)
}

/// A unit of each row, word by word.
#[inline]
#[target_feature(enable = "avx512f")]
fn words(lines: &Lines<'_>, unit: usize) -> [__m512i; WORDS] {
    let (start, stride) = lines.unit(unit);
    let bases = [0, 4, 8, 12].map(|row| start.wrapping_add(row * stride));
    let mut rows = [_mm512_setzero_si512(); 4];
    for row in 0..4 {
        // SAFETY: `Lines` has a unit of 16 rows there.
        unsafe {
            let quarter = |base: *const u8| _mm_loadu_si128(base.add(row * stride).cast());
            let first = _mm512_castsi128_si512(quarter(bases[0]));
            let two = _mm512_inserti32x4::<1>(first, quarter(bases[1]));
            let three = _mm512_inserti32x4::<2>(two, quarter(bases[2]));
            rows[row] = _mm512_inserti32x4::<3>(three, quarter(bases[3]));
        }
    }
    let low = [_mm512_unpacklo_epi32(rows[0], rows[1]), _mm512_unpacklo_epi32(rows[2], rows[3])];
    let high = [_mm512_unpackhi_epi32(rows[0], rows[1]), _mm512_unpackhi_epi32(rows[2], rows[3])];
    [
        _mm512_unpacklo_epi64(low[0], low[1]),
        _mm512_unpackhi_epi64(low[0], low[1]),
        _mm512_unpacklo_epi64(high[0], high[1]),
        _mm512_unpackhi_epi64(high[0], high[1]),
    ]
}
