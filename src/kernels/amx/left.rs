//! Activations in bfloat16.

use std::arch::x86_64::*;
use std::cell::Cell;
use std::mem;
use std::ops::Range;

use super::tiles::{DEPTH, Pair, SIDE};
use crate::kernels::blockwise::Blockwise;
use crate::kernels::output::Output;
use crate::kernels::scratch::{Scratch, Spare};
use crate::kernels::threads::Threads;

/// Rows of a pair of tiles.
pub(super) const ROWS: usize = 2 * SIDE;
/// Steps that are written at a time: so few that they stay in the first cache until their lines are full.
const GROUP: usize = 8;

thread_local! {
    static SPARE: Spare<Pair> = const { Cell::new(Vec::new()) };
}

/// Rows of activations, rounded.
pub(super) struct Activations {
    /// `[strips, steps]`: of each 32 rows 32 inputs at a time, zeros where there are no more.
    pairs: Scratch<Pair>,
    rows: usize,
    strips: usize,
    steps: usize,
}

impl Activations {
    /// `[rows, weight.inputs]` in the order in which a weight of so many bits is unpacked.
    ///
    /// # Safety
    /// The machine has the instructions.
    pub(super) unsafe fn round(rows: &[f32], weight: &Blockwise<'_>, threads: &dyn Threads) -> Self {
        let (count, steps) = (rows.len() / weight.inputs, weight.padded() / DEPTH);
        let strips = count.div_ceil(ROWS);
        // SAFETY: zeros are numbers.
        let mut pairs = Scratch::take(&SPARE, strips * steps, unsafe { mem::zeroed() });
        let out = Output::new(&mut pairs[..strips * steps], steps);
        threads.each(strips, &|strip| {
            // SAFETY: each task has a strip of its own, and the machine has the instructions.
            unsafe { fill(rows, weight, strip, out.rows(strip..strip + 1)) }
        });
        Self { pairs, rows: count, strips, steps }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Some inputs of a strip; none where there is no such strip.
    pub(super) fn strip(&self, strip: usize, steps: &Range<usize>) -> &[Pair] {
        if strip < self.strips { &self.pairs[strip * self.steps..][steps.clone()] } else { &[] }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn fill(rows: &[f32], weight: &Blockwise<'_>, strip: usize, pairs: &mut [Pair]) {
    let count = rows.len() / weight.inputs;
    // SAFETY: 32 numbers.
    let order = unsafe { _mm512_loadu_si512(order(weight.bits).as_ptr().cast()) };
    for (group, pairs) in pairs.chunks_mut(GROUP).enumerate() {
        for place in 0..ROWS {
            let row = strip * ROWS + place;
            let values = if row < count { &rows[row * weight.inputs..][..weight.inputs] } else { &[] };
            for (step, pair) in pairs.iter_mut().enumerate() {
                let values = &values[values.len().min((group * GROUP + step) * DEPTH)..];
                let ahead = values.as_ptr().wrapping_add(GROUP * DEPTH);
                _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(SIDE).cast());
                pair[place / SIDE][place % SIDE] = round(values, order);
            }
        }
    }
}

/// Which of 32 inputs stands at each place, as a panel of a weight of so many bits is unpacked: those of a row's two places are a
/// word of 32 bits apart.
pub(super) fn order(bits: usize) -> [u16; DEPTH] {
    let apart = 32 / bits;
    std::array::from_fn(|place| {
        let (row, side) = (place / 2, place % 2);
        ((row / apart * 2 + side) * apart + row % apart) as u16
    })
}

/// 32 values, or as many as there are and zeros, in this order.
///
/// What is infinite becomes no number, for products with levels of zero would be none and others not.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn round(values: &[f32], order: __m512i) -> __m512i {
    let mask = ((1_u64 << values.len().min(DEPTH)) - 1) as u32;
    let (low, high) = (mask as u16, (mask >> SIDE) as u16);
    // SAFETY: only the numbers that are there are read.
    let halves = unsafe {
        [
            _mm512_maskz_loadu_ps(low, values.as_ptr()),
            _mm512_maskz_loadu_ps(high, values.as_ptr().wrapping_add(SIDE)),
        ]
    };
    let mut checked = [_mm512_setzero_ps(); 2];
    for half in 0..2 {
        let nothing = _mm512_sub_ps(halves[half], halves[half]);
        checked[half] = _mm512_add_ps(halves[half], nothing);
    }
    // SAFETY: both are 512 bits.
    let rounded = unsafe { mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(checked[1], checked[0])) };
    _mm512_permutexvar_epi16(order, rounded)
}
