//! Few rows of activations: each row of the weight is read once, as it stands.

use std::arch::x86_64::*;
use std::ops::Range;

use super::levels::{eight, four};
use crate::kernels::activations::CHUNK;
use crate::kernels::blockwise::Blockwise;
use crate::kernels::few::{AHEAD, Few, LANES, ROWS, Row, fold, weight_rows};
use crate::kernels::output::Output;

/// Results for few rows: these outputs. They hold the bias already.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
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

impl Dots<'_> {
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn all<const BITS: usize>(&self, outputs: &Range<usize>) {
        match self.left.rows() {
            1 => self.run::<BITS, 1, 4>(outputs),
            2 => self.run::<BITS, 2, 4>(outputs),
            3 => self.run::<BITS, 3, 2>(outputs),
            _ => self.run::<BITS, ROWS, 2>(outputs),
        }
    }

    /// `COUNT` rows of activations and `COLUMNS` rows of the weight at a time.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn run<const BITS: usize, const COUNT: usize, const COLUMNS: usize>(&self, outputs: &Range<usize>) {
        let mut output = outputs.start;
        while output + COLUMNS <= outputs.end {
            self.columns::<BITS, COUNT, COLUMNS>(output);
            output += COLUMNS;
        }
        for output in output..outputs.end {
            self.columns::<BITS, COUNT, 1>(output);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn columns<const BITS: usize, const COUNT: usize, const COLUMNS: usize>(&self, output: usize) {
        let rows = weight_rows::<COLUMNS>(self.weight, output);
        let sums = if self.weight.block < CHUNK {
            self.halves::<BITS, COUNT, COLUMNS>(rows)
        } else {
            self.blocks::<BITS, COUNT, COLUMNS>(rows)
        };
        for column in 0..COLUMNS {
            let shifts: [__m512; COUNT] =
                if BITS == 4 { self.shifts(output + column) } else { [_mm512_setzero_ps(); COUNT] };
            for row in 0..COUNT {
                let result = fold(numbers(sums[column][row])) - fold(numbers(shifts[row]));
                // SAFETY: the caller of `few` says that these results are its own.
                unsafe { self.out.at(row, output + column, 1)[0] += result };
            }
        }
    }

    /// Blocks of half a chunk: the halves of a vector have scales of their own.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn halves<const BITS: usize, const COUNT: usize, const COLUMNS: usize>(
        &self,
        rows: [Row<'_>; COLUMNS],
    ) -> [[__m512; COUNT]; COLUMNS] {
        let mut sums = [[_mm512_setzero_ps(); COUNT]; COLUMNS];
        for chunk in 0..self.weight.padded().div_ceil(CHUNK) {
            let (left, starts): ([__m512i; COUNT], [__m512i; COUNT]) =
                (self.chunk(chunk), self.starts::<BITS, COUNT>(chunk));
            let lanes: [__m512; COUNT] = self.lanes(chunk);
            for column in 0..COLUMNS {
                let right = levels::<BITS>(rows[column].levels, chunk);
                let pair = &rows[column].scales[chunk * 2..];
                let factors = _mm512_set1_ps(pair[0]);
                let second = pair.get(1).copied().unwrap_or(0.0);
                let factors = _mm512_mask_broadcastss_ps(factors, 0xFF00, _mm_set_ss(second));
                for row in 0..COUNT {
                    let whole = _mm512_dpbusd_epi32(starts[row], right, left[row]);
                    let scale = _mm512_mul_ps(factors, lanes[row]);
                    sums[column][row] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), scale, sums[column][row]);
                }
            }
        }
        sums
    }

    /// Blocks of whole chunks.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn blocks<const BITS: usize, const COUNT: usize, const COLUMNS: usize>(
        &self,
        rows: [Row<'_>; COLUMNS],
    ) -> [[__m512; COUNT]; COLUMNS] {
        let mut sums = [[_mm512_setzero_ps(); COUNT]; COLUMNS];
        let chunks = self.weight.block / CHUNK;
        for block in 0..self.weight.blocks() {
            let mut whole = [[_mm512_setzero_si512(); COUNT]; COLUMNS];
            for chunk in block * chunks..(block + 1) * chunks {
                let (left, starts): ([__m512i; COUNT], [__m512i; COUNT]) =
                    (self.chunk(chunk), self.starts::<BITS, COUNT>(chunk));
                for column in 0..COLUMNS {
                    let right = levels::<BITS>(rows[column].levels, chunk);
                    for row in 0..COUNT {
                        let start = _mm512_add_epi32(whole[column][row], starts[row]);
                        whole[column][row] = _mm512_dpbusd_epi32(start, right, left[row]);
                    }
                }
            }
            for column in 0..COLUMNS {
                for row in 0..COUNT {
                    let scale = _mm512_set1_ps(rows[column].scales[block] * self.left.scale(row, block));
                    let whole = _mm512_cvtepi32_ps(whole[column][row]);
                    sums[column][row] = _mm512_fmadd_ps(whole, scale, sums[column][row]);
                }
            }
        }
        sums
    }

    /// The levels of a chunk of all rows of activations.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn chunk<const COUNT: usize>(&self, chunk: usize) -> [__m512i; COUNT] {
        let mut levels = [_mm512_setzero_si512(); COUNT];
        for row in 0..COUNT {
            let row_levels = &self.left.row(row)[chunk * CHUNK..][..CHUNK];
            // SAFETY: 64 bytes.
            levels[row] = unsafe { _mm512_loadu_si512(row_levels.as_ptr().cast()) };
        }
        levels
    }

    /// What the sums of a chunk begin with.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn starts<const BITS: usize, const COUNT: usize>(&self, chunk: usize) -> [__m512i; COUNT] {
        let mut starts = [_mm512_setzero_si512(); COUNT];
        if BITS == 8 {
            for row in 0..COUNT {
                // SAFETY: 16 numbers.
                starts[row] = unsafe { _mm512_loadu_si512(self.left.starts(row, chunk).as_ptr().cast()) };
            }
        }
        starts
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn lanes<const COUNT: usize>(&self, chunk: usize) -> [__m512; COUNT] {
        let mut lanes = [_mm512_setzero_ps(); COUNT];
        for row in 0..COUNT {
            let scales = &self.left.lane_scales(row)[chunk * LANES..][..LANES];
            // SAFETY: 16 numbers.
            lanes[row] = unsafe { _mm512_loadu_ps(scales.as_ptr()) };
        }
        lanes
    }

    /// What the level of zero makes in each row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn shifts<const COUNT: usize>(&self, output: usize) -> [__m512; COUNT] {
        let (scales, weight) = (self.weight.row_scales(output), self.weight);
        let mut shifts = [_mm512_setzero_ps(); COUNT];
        for first in (0..scales.len()).step_by(LANES) {
            let mask = (1_u32 << (scales.len() - first).min(LANES)) - 1;
            // SAFETY: only the numbers that are there are read.
            let factors = unsafe { _mm512_maskz_loadu_ps(mask as u16, scales[first..].as_ptr()) };
            let zeros = match weight.row_zeros(output) {
                None => _mm512_set1_ps(f32::from(weight.middle())),
                Some(zeros) => nibbles(&zeros[first / 2..]),
            };
            let factors = _mm512_mul_ps(factors, zeros);
            for (row, shift) in shifts.iter_mut().enumerate() {
                let sums = &self.left.sums(row)[first..][..LANES];
                // SAFETY: 16 numbers.
                *shift = unsafe { _mm512_fmadd_ps(factors, _mm512_loadu_ps(sums.as_ptr()), *shift) };
            }
        }
        shifts
    }
}

/// The levels of a chunk of a row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn levels<const BITS: usize>(row: &[u8], chunk: usize) -> __m512i {
    _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(chunk * CHUNK * BITS / 8 + AHEAD).cast());
    match BITS {
        8 => eight(&row[chunk * CHUNK..]),
        _ => four(&row[chunk * CHUNK / 2..]),
    }
}

/// 16 numbers of 4 bits from the first 8 bytes, or as many as there are.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn nibbles(bytes: &[u8]) -> __m512 {
    let mask = (1_u32 << bytes.len().min(LANES / 2)) - 1;
    // SAFETY: only the bytes that are there are read.
    let packed = unsafe { _mm_maskz_loadu_epi8(mask as u16, bytes.as_ptr().cast()) };
    let (low, high) = (packed, _mm_srli_epi16::<4>(packed));
    let single = _mm_and_si128(_mm_unpacklo_epi8(low, high), _mm_set1_epi8(15));
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(single))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn numbers(lanes: __m512) -> [f32; LANES] {
    let mut numbers = [0.0; LANES];
    // SAFETY: 16 numbers.
    unsafe { _mm512_storeu_ps(numbers.as_mut_ptr(), lanes) };
    numbers
}
