//! Weights in bfloat16.

use std::arch::x86_64::*;
use std::cell::Cell;
use std::mem;
use std::ops::Range;

use super::tiles::{DEPTH, Pair, SIDE, Tile};
use crate::kernels::avx512::transpose;
use crate::kernels::blockwise::Blockwise;

/// Columns of a pair of tiles: rows of the weight.
pub(super) const COLUMNS: usize = 2 * SIDE;

thread_local! {
    /// Memory of a panel that is not needed any more: see that of activations.
    static SPARE: Cell<Vec<Pair>> = const { Cell::new(Vec::new()) };
}

/// A part of a weight as the tiles read it.
pub(super) struct Panel {
    /// `[columns / COLUMNS, steps]`: of each 32 columns 32 inputs at a time, pairs of inputs side by side.
    pairs: Vec<Pair>,
    steps: usize,
}

impl Panel {
    pub(super) fn new() -> Self {
        Self { pairs: SPARE.take(), steps: 0 }
    }

    /// These outputs and steps of 32 inputs. Where outputs end within a pair of tiles, what follows is left as it is.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) fn fill(&mut self, weight: &Blockwise<'_>, outputs: &Range<usize>, steps: &Range<usize>) {
        self.steps = steps.len();
        // SAFETY: zeros are numbers.
        self.pairs.resize(outputs.len().div_ceil(COLUMNS) * self.steps, unsafe { mem::zeroed() });
        for first in outputs.clone().step_by(SIDE) {
            let half = (first - outputs.start) / SIDE;
            let pairs = &mut self.pairs[half / 2 * self.steps..][..self.steps];
            let columns = Columns::new(weight, first..outputs.end.min(first + SIDE));
            for (pair, step) in pairs.iter_mut().zip(steps.clone()) {
                let tile = &mut pair[half % 2];
                match weight.bits {
                    8 => columns.unpack::<8>(weight, step, tile),
                    _ => columns.unpack::<4>(weight, step, tile),
                }
                transpose(tile);
            }
        }
    }

    /// 32 columns.
    pub(super) fn columns(&self, number: usize) -> &[Pair] {
        &self.pairs[number * self.steps..][..self.steps]
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        SPARE.set(mem::take(&mut self.pairs));
    }
}

/// Up to 16 rows of a weight: columns of a tile.
struct Columns<'a> {
    levels: [&'a [u8]; SIDE],
    scales: [&'a [f32]; SIDE],
    /// Levels of zero, packed, where they are stored.
    zeros: Option<[&'a [u8]; SIDE]>,
    count: usize,
}

impl<'a> Columns<'a> {
    fn new(weight: &Blockwise<'a>, outputs: Range<usize>) -> Self {
        let count = outputs.len();
        let (mut levels, mut scales, mut zeros) = ([&[][..]; SIDE], [&[][..]; SIDE], None);
        for (column, output) in outputs.enumerate() {
            levels[column] = weight.row(output);
            scales[column] = weight.row_scales(output);
            if let Some(row) = weight.row_zeros(output) {
                zeros.get_or_insert([&[][..]; SIDE])[column] = row;
            }
        }
        Self { levels, scales, zeros, count }
    }

    /// 32 inputs, a row for each column.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn unpack<const BITS: usize>(&self, weight: &Blockwise<'_>, step: usize, tile: &mut Tile) {
        let (bytes, block) = (DEPTH * BITS / 8, step * DEPTH / weight.block);
        let mut zero = _mm512_set1_ps(f32::from(weight.middle()));
        for column in 0..self.count {
            let levels = &self.levels[column][step * bytes..][..bytes];
            let scale = _mm512_set1_ps(self.scales[column][block]);
            if let Some(zeros) = &self.zeros {
                zero = _mm512_set1_ps(f32::from(zeros[column][block / 2] >> (block % 2 * 4) & 15));
            }
            // SAFETY: 32 levels, as the slice's bounds say.
            let [low, high] = unsafe {
                let first = _mm512_cvtepu8_epi32(_mm_loadu_si128(levels.as_ptr().cast()));
                match BITS {
                    8 => [first, _mm512_cvtepu8_epi32(_mm_loadu_si128(levels[SIDE..].as_ptr().cast()))],
                    _ => [_mm512_and_si512(first, _mm512_set1_epi32(15)), _mm512_srli_epi32::<4>(first)],
                }
            };
            let mut numbers = [_mm512_setzero_ps(); 2];
            for (number, levels) in numbers.iter_mut().zip([low, high]) {
                *number = _mm512_mul_ps(_mm512_sub_ps(_mm512_cvtepi32_ps(levels), zero), scale);
            }
            // SAFETY: both are 512 bits.
            tile[column] =
                unsafe { mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(numbers[1], numbers[0])) };
        }
    }
}
