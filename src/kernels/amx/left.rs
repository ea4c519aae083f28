//! Activations in bfloat16.

use std::arch::x86_64::*;
use std::cell::Cell;
use std::mem;
use std::ops::Range;

use super::tiles::{DEPTH, Pair, SIDE};
use crate::kernels::blockwise::Blockwise;
use crate::kernels::output::Output;
use crate::kernels::threads::Threads;

/// Rows of a pair of tiles.
pub(super) const ROWS: usize = 2 * SIDE;

thread_local! {
    /// Memory of activations that are not needed any more. To get as much from the system each time would take longer than to
    /// round them.
    static SPARE: Cell<Vec<Pair>> = const { Cell::new(Vec::new()) };
}

/// Rows of activations, rounded.
pub(super) struct Activations {
    /// `[strips, steps]`: of each 32 rows 32 inputs at a time, zeros where there are no more.
    pairs: Vec<Pair>,
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
        let mut pairs = SPARE.take();
        // SAFETY: zeros are numbers.
        pairs.resize(strips * steps, unsafe { mem::zeroed() });
        let out = Output::new(&mut pairs, steps);
        threads.each(strips, &|strip| {
            // SAFETY: each task has a strip of its own, and the machine has the instructions.
            unsafe { fill(rows, weight, strip, out.rows(strip..strip + 1)) }
        });
        Self { pairs, steps }
    }

    /// Some inputs of a strip.
    pub(super) fn strip(&self, strip: usize, steps: Range<usize>) -> &[Pair] {
        &self.pairs[strip * self.steps..][steps]
    }
}

impl Drop for Activations {
    fn drop(&mut self) {
        SPARE.set(mem::take(&mut self.pairs));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn fill(rows: &[f32], weight: &Blockwise<'_>, strip: usize, pairs: &mut [Pair]) {
    let count = rows.len() / weight.inputs;
    for place in 0..ROWS {
        let row = strip * ROWS + place;
        let values = if row < count { &rows[row * weight.inputs..][..weight.inputs] } else { &[] };
        for (step, pair) in pairs.iter_mut().enumerate() {
            let values = &values[values.len().min(step * DEPTH)..];
            pair[place / SIDE][place % SIDE] = round(values, weight.bits);
        }
    }
}

/// 32 values, or as many as there are and zeros: of 4 bits those with an even place, then those with an odd one.
///
/// What is infinite becomes no number, for products with levels of zero would be none and others not.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn round(values: &[f32], bits: usize) -> __m512i {
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
    let [low, high] = match bits {
        8 => checked,
        _ => {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [even, odd].map(|places| _mm512_permutex2var_ps(checked[0], places, checked[1]))
        }
    };
    // SAFETY: both are 512 bits.
    unsafe { mem::transmute(_mm512_cvtne2ps_pbh(high, low)) }
}
