//! Weights in bfloat16.

use std::arch::x86_64::*;
use std::cell::Cell;
use std::mem;
use std::ops::Range;

use super::tiles::{DEPTH, Pair, SIDE, Tile};
use crate::kernels::blockwise::Blockwise;
use crate::kernels::scratch::{Scratch, Spare};

/// Columns of a pair of tiles: rows of the weight.
pub(super) const COLUMNS: usize = 2 * SIDE;
/// Columns whose levels are transposed together: words of 64 bits in a vector.
const WORDS: usize = 8;
/// Bits of a vector.
const VECTOR: usize = 512;

thread_local! {
    static SPARE: Spare<Pair> = const { Cell::new(Vec::new()) };
}

/// A part of a weight as the tiles read it.
pub(super) struct Panel {
    /// `[columns / COLUMNS, steps]`: of each 32 columns 32 inputs at a time, pairs of inputs side by side.
    pairs: Scratch<Pair>,
    steps: usize,
}

impl Panel {
    /// With room for so many pairs.
    pub(super) fn new(pairs: usize) -> Self {
        // SAFETY: zeros are numbers.
        Self { pairs: Scratch::take(&SPARE, pairs, unsafe { mem::zeroed() }), steps: 0 }
    }

    /// These outputs and steps of 32 inputs, from the first of a block on. Where outputs end within a tile the last one is
    /// repeated, and where they end within a pair what follows is left as it is.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    pub(super) fn fill(&mut self, weight: &Blockwise<'_>, outputs: &Range<usize>, steps: &Range<usize>) {
        self.steps = steps.len();
        for first in outputs.clone().step_by(SIDE) {
            let half = (first - outputs.start) / SIDE;
            let pairs = &mut self.pairs[half / 2 * self.steps..][..self.steps];
            let columns = Columns { weight, first, last: outputs.end.min(first + SIDE) - 1 };
            match weight.bits {
                8 => columns.unpack::<8>(steps.start, pairs, half % 2),
                _ => columns.unpack::<4>(steps.start, pairs, half % 2),
            }
        }
    }

    /// 32 columns.
    pub(super) fn columns(&self, number: usize) -> &[Pair] {
        &self.pairs[number * self.steps..][..self.steps]
    }
}

/// 16 rows of a weight: columns of a tile.
struct Columns<'a> {
    weight: &'a Blockwise<'a>,
    first: usize,
    last: usize,
}

/// What turns the levels of a block into numbers: twice for each of 8 columns, and for each of the other 8.
struct Scaling {
    /// Levels of zero, with [`WHOLE`] added.
    zeros: [__m512; 2],
    scales: [__m512; 2],
}

/// A number so large that its lowest bits count ones: a level put there is added to it.
const WHOLE: f32 = (1 << 23) as f32;

impl Columns<'_> {
    /// As many steps as there are pairs. Of 32 inputs those come side by side that stand 8 levels of 4 bits or 4 of 8 apart:
    /// the same order as [`order`](super::left::order) gives activations.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn unpack<const BITS: u32>(&self, start: usize, pairs: &mut [Pair], half: usize) {
        let bits = BITS as usize;
        let chunk = VECTOR / bits / DEPTH;
        let mut scaling = self.scaling(start * DEPTH / self.weight.block);
        for (number, pairs) in pairs.chunks_mut(chunk).enumerate() {
            let first = start + number * chunk;
            let levels = self.levels(first * DEPTH * bits / 8, pairs.len() * DEPTH * bits / 8);
            for (step, pair) in pairs.iter_mut().enumerate() {
                let input = (first + step) * DEPTH;
                if input.is_multiple_of(self.weight.block) {
                    scaling = self.scaling(input / self.weight.block);
                }
                // a vector holds 64 bits of each column
                let word = step * DEPTH * bits / 64;
                let tile = &mut pair[half];
                match BITS {
                    8 => scaling.apply::<8>([&levels[0][word..], &levels[1][word..]], tile),
                    _ => scaling.apply::<4>([&levels[0][word..], &levels[1][word..]], tile),
                }
            }
        }
    }

    /// Up to 64 bytes of each column from one on: 8 bytes of 8 columns in each vector, and in others those of the other 8.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn levels(&self, start: usize, count: usize) -> [[__m512i; WORDS]; 2] {
        let mask = u64::MAX >> (64 - count);
        let mut levels = [[_mm512_setzero_si512(); WORDS]; 2];
        let bytes = self.weight.padded() * self.weight.bits / 8;
        let rows = &self.weight.levels[self.first * bytes..(self.last + 1) * bytes];
        assert!(start + count <= bytes, "within each row");
        for half in 0..2 {
            for column in 0..WORDS {
                let row = (self.last - self.first).min(half * WORDS + column);
                let first = rows.as_ptr().wrapping_add(row * bytes + start);
                // the column's place in the next tile
                _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(SIDE * bytes).cast());
                // SAFETY: only bytes within a row are read.
                levels[half][column] = unsafe { _mm512_maskz_loadu_epi8(mask, first.cast()) };
            }
            transpose(&mut levels[half]);
        }
        levels
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn scaling(&self, block: usize) -> Scaling {
        let Self { weight, first, last } = *self;
        let scales = &weight.scales[first * weight.blocks() + block..=last * weight.blocks() + block];
        let columns = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let columns = _mm512_min_epi32(columns, _mm512_set1_epi32((last - first) as i32));
        let places = _mm512_mullo_epi32(columns, _mm512_set1_epi32(weight.blocks() as i32));
        // SAFETY: from the first column's scale to the last one's.
        let scales = unsafe { _mm512_i32gather_ps::<4>(places, scales.as_ptr()) };
        let mut zeros = _mm512_set1_ps(WHOLE + f32::from(weight.middle()));
        if let Some(stored) = weight.zeros {
            let bytes = weight.blocks().div_ceil(2);
            let places = _mm512_mullo_epi32(columns, _mm512_set1_epi32(bytes as i32));
            let levels = gather(stored, first * bytes + block / 2, places);
            let levels = _mm512_srl_epi32(levels, _mm_cvtsi32_si128((block % 2 * 4) as i32));
            let levels = _mm512_and_si512(levels, _mm512_set1_epi32(15));
            zeros = _mm512_add_ps(_mm512_cvtepi32_ps(levels), _mm512_set1_ps(WHOLE));
        }
        Scaling { zeros: twice(zeros), scales: twice(scales) }
    }
}

impl Scaling {
    /// 32 inputs of 16 columns.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn apply<const BITS: u32>(&self, words: [&[__m512i]; 2], tile: &mut Tile) {
        let (mask, whole) = (_mm512_set1_epi32((1 << BITS) - 1), _mm512_set1_epi32(WHOLE.to_bits() as i32));
        let rows = 32 / BITS as usize;
        for word in 0..SIDE / rows {
            let mut levels = [words[0][word], words[1][word]];
            for row in 0..rows {
                let mut numbers = [_mm512_setzero_ps(); 2];
                for half in 0..2 {
                    // the level and the large number's bits
                    let level = _mm512_ternarylogic_epi32::<0xF8>(whole, levels[half], mask);
                    let level = _mm512_sub_ps(_mm512_castsi512_ps(level), self.zeros[half]);
                    numbers[half] = _mm512_mul_ps(level, self.scales[half]);
                    levels[half] = _mm512_srli_epi32::<BITS>(levels[half]);
                }
                // SAFETY: both are 512 bits.
                tile[word * rows + row] = unsafe {
                    mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(numbers[1], numbers[0]))
                };
            }
        }
    }
}

/// The bytes at these places from the first one on, with others above them.
#[inline]
#[target_feature(enable = "avx512f")]
fn gather(bytes: &[u8], first: usize, places: __m512i) -> __m512i {
    const READ: usize = 4;
    let mut padded = [0; READ];
    let bytes = if bytes.len() < READ {
        padded[..bytes.len()].copy_from_slice(bytes);
        &padded
    } else {
        bytes
    };
    // four bytes are read at once, so the last places begin earlier
    let start = first.min(bytes.len() - READ);
    let last = _mm512_set1_epi32((bytes.len() - READ - start).min(i32::MAX as usize) as i32);
    let places = _mm512_add_epi32(places, _mm512_set1_epi32((first - start) as i32));
    let read = _mm512_min_epi32(places, last);
    // SAFETY: each ends with the last byte or before it.
    let found = unsafe { _mm512_i32gather_epi32::<1>(read, bytes[start..].as_ptr().cast()) };
    _mm512_srlv_epi32(found, _mm512_slli_epi32::<3>(_mm512_sub_epi32(places, read)))
}

/// Each number twice: 16 in two vectors.
#[inline]
#[target_feature(enable = "avx512f")]
fn twice(numbers: __m512) -> [__m512; 2] {
    let places = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    let others = _mm512_add_epi32(places, _mm512_set1_epi32(WORDS as i32));
    [_mm512_permutexvar_ps(places, numbers), _mm512_permutexvar_ps(others, numbers)]
}

/// Lane `n` of row `m` becomes lane `m` of row `n`, lanes of 64 bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: &mut [__m512i; WORDS]) {
    let mut pairs = [_mm512_setzero_si512(); WORDS];
    for row in (0..WORDS).step_by(2) {
        pairs[row] = _mm512_unpacklo_epi64(rows[row], rows[row + 1]);
        pairs[row + 1] = _mm512_unpackhi_epi64(rows[row], rows[row + 1]);
    }
    // pairs[2 q + c] holds columns c, 2 + c, 4 + c and 6 + c of the rows 2 q and 2 q + 1, a quarter each
    for column in 0..2 {
        let [a, b, c, d] = [pairs[column], pairs[2 + column], pairs[4 + column], pairs[6 + column]];
        let (low, high) = (_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0x44>(c, d));
        rows[column] = _mm512_shuffle_i64x2::<0x88>(low, high);
        rows[2 + column] = _mm512_shuffle_i64x2::<0xDD>(low, high);
        let (low, high) = (_mm512_shuffle_i64x2::<0xEE>(a, b), _mm512_shuffle_i64x2::<0xEE>(c, d));
        rows[4 + column] = _mm512_shuffle_i64x2::<0x88>(low, high);
        rows[6 + column] = _mm512_shuffle_i64x2::<0xDD>(low, high);
    }
}
