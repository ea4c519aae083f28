//! Few rows of activations: each row of the weight is read once, as it stands.

use std::arch::x86_64::*;
use std::ops::Range;

use super::levels::{eight, four};
use crate::kernels::activations::CHUNK;
use crate::kernels::avx2;
use crate::kernels::blockwise::Blockwise;
use crate::kernels::few::{AHEAD, Few, LANES, Left, ROWS, Row, weight_rows};
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
        let lefts = self.left.lefts();
        let lefts = &lefts[..self.left.rows()];
        match lefts.len() {
            1 | 2 => self.run::<BITS, 4>(outputs, lefts),
            _ => self.run::<BITS, 2>(outputs, lefts),
        }
    }

    /// `COLUMNS` rows of the weight at a time.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
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
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    fn rows<const BITS: usize, const COLUMNS: usize>(&self, output: usize, lefts: &[Left<'_>]) {
        match *lefts {
            [a] => self.columns::<BITS, 1, COLUMNS>(output, [a]),
            [a, b] => self.columns::<BITS, 2, COLUMNS>(output, [a, b]),
            [a, b, c] => self.columns::<BITS, 3, COLUMNS>(output, [a, b, c]),
            [a, b, c, d] => self.columns::<BITS, ROWS, COLUMNS>(output, [a, b, c, d]),
            _ => {}
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
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
            let shifts: [__m512; COUNT] =
                if BITS == 4 { self.shifts(output + column, &lefts) } else { [_mm512_setzero_ps(); COUNT] };
            for row in 0..COUNT {
                let result = fold(_mm512_sub_ps(sums[column][row], shifts[row]));
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
        lefts: &[Left<'_>; COUNT],
    ) -> [[__m512; COUNT]; COLUMNS] {
        let mut sums = [[_mm512_setzero_ps(); COUNT]; COLUMNS];
        for chunk in 0..self.weight.padded().div_ceil(CHUNK) {
            let (left, starts): ([__m512i; COUNT], [__m512i; COUNT]) =
                (levels_of(lefts, chunk), starts_of::<BITS, COUNT>(lefts, chunk));
            let lanes: [__m512; COUNT] = lanes_of(lefts, chunk);
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
        lefts: &[Left<'_>; COUNT],
    ) -> [[__m512; COUNT]; COLUMNS] {
        let mut sums = [[_mm512_setzero_ps(); COUNT]; COLUMNS];
        let chunks = self.weight.block / CHUNK;
        for block in 0..self.weight.blocks() {
            let mut whole = [[_mm512_setzero_si512(); COUNT]; COLUMNS];
            for chunk in block * chunks..(block + 1) * chunks {
                let (left, starts): ([__m512i; COUNT], [__m512i; COUNT]) =
                    (levels_of(lefts, chunk), starts_of::<BITS, COUNT>(lefts, chunk));
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
                    let scale = _mm512_set1_ps(rows[column].scales[block] * lefts[row].scales[block]);
                    let whole = _mm512_cvtepi32_ps(whole[column][row]);
                    sums[column][row] = _mm512_fmadd_ps(whole, scale, sums[column][row]);
                }
            }
        }
        sums
    }

    /// What the level of zero makes in each row.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn shifts<const COUNT: usize>(&self, output: usize, lefts: &[Left<'_>; COUNT]) -> [__m512; COUNT] {
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
                let sums = &lefts[row].sums[first..][..LANES];
                // SAFETY: 16 numbers.
                *shift = unsafe { _mm512_fmadd_ps(factors, _mm512_loadu_ps(sums.as_ptr()), *shift) };
            }
        }
        shifts
    }
}

/// The levels of a chunk of all rows of activations.
#[inline]
#[target_feature(enable = "avx512f")]
fn levels_of<const COUNT: usize>(lefts: &[Left<'_>; COUNT], chunk: usize) -> [__m512i; COUNT] {
    let mut levels = [_mm512_setzero_si512(); COUNT];
    for row in 0..COUNT {
        let row_levels = &lefts[row].levels[chunk * CHUNK..][..CHUNK];
        // SAFETY: 64 bytes.
        levels[row] = unsafe { _mm512_loadu_si512(row_levels.as_ptr().cast()) };
    }
    levels
}

/// What the sums of a chunk begin with.
#[inline]
#[target_feature(enable = "avx512f")]
fn starts_of<const BITS: usize, const COUNT: usize>(
    lefts: &[Left<'_>; COUNT],
    chunk: usize,
) -> [__m512i; COUNT] {
    let mut starts = [_mm512_setzero_si512(); COUNT];
    if BITS == 8 {
        for row in 0..COUNT {
            let row_starts = &lefts[row].starts[chunk * LANES..][..LANES];
            // SAFETY: 16 numbers.
            starts[row] = unsafe { _mm512_loadu_si512(row_starts.as_ptr().cast()) };
        }
    }
    starts
}

/// The scales of a chunk's lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn lanes_of<const COUNT: usize>(lefts: &[Left<'_>; COUNT], chunk: usize) -> [__m512; COUNT] {
    let mut lanes = [_mm512_setzero_ps(); COUNT];
    for row in 0..COUNT {
        let scales = &lefts[row].lane_scales[chunk * LANES..][..LANES];
        // SAFETY: 16 numbers.
        lanes[row] = unsafe { _mm512_loadu_ps(scales.as_ptr()) };
    }
    lanes
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

/// The sum of all lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn fold(lanes: __m512) -> f32 {
    let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(lanes)));
    avx2::fold([_mm512_castps512_ps256(lanes), upper])
}
