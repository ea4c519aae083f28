//! Float32 in parts of bfloat16, for products that must not lose more than float32 does: Henry, Tang, Heinecke, "Leveraging the
//! bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", <https://arxiv.org/abs/1904.06376>.

use std::arch::asm;
use std::arch::x86_64::*;

use super::tiles::{Pair, SIDE, Tiles};

/// 32 numbers of 32 rows or columns: the first 8 bits of each number, the next 8, and the last.
pub(in crate::kernels) type Parts = [Pair; 3];

/// Rows of sums, 32 of 32 numbers.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Sums {
    pub(in crate::kernels) first: *mut f32,
    /// Numbers from row to row.
    pub(in crate::kernels) stride: usize,
}

/// The parts of numbers, those of the second vector each beside that of the first.
///
/// What is not finite gives anything.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(in crate::kernels) fn split(numbers: [__m512; 2]) -> [__m512i; 3] {
    const SECOND: u32 = 0xAAAA_AAAA;
    let top = _mm512_set1_epi32(0xFFFF_0000_u32 as i32);
    let (mut parts, mut rest) = ([_mm512_setzero_si512(); 3], numbers);
    for part in 0..3 {
        let [first, second] = [_mm512_castps_si512(rest[0]), _mm512_castps_si512(rest[1])];
        parts[part] = _mm512_mask_mov_epi16(_mm512_srli_epi32::<16>(first), SECOND, second);
        if part < 2 {
            rest[0] = _mm512_sub_ps(rest[0], _mm512_castsi512_ps(_mm512_and_si512(first, top)));
            rest[1] = _mm512_sub_ps(rest[1], _mm512_castsi512_ps(_mm512_and_si512(second, top)));
        }
    }
    parts
}

impl Tiles {
    /// 32 rows times 32 columns, added to `start` if there is one, go to `end`: the products of parts, without those that float32
    /// would lose.
    ///
    /// # Safety
    /// 32 numbers of 32 rows of `start` can be read, and there is room for as many at `end`.
    #[inline]
    pub(in crate::kernels) unsafe fn multiply_parts(
        &self,
        left: &[Parts],
        right: &[Parts],
        start: Option<Sums>,
        end: Sums,
    ) {
        let count = left.len();
        assert!(count > 0 && right.len() == count, "as many values of rows as of columns");
        let start = start.unwrap_or(Sums { first: std::ptr::null_mut(), stride: 0 });
        let [from, to] = [start, end].map(|sums| sums.stride * size_of::<f32>());
        // SAFETY: by this function's contract; the lengths were checked.
        unsafe {
            asm!(
                "test {start}, {start}; jz 3f",
                "tileloadd tmm0, [{start} + {from}]; tileloadd tmm1, [{start} + {from} + 64]",
                "tileloadd tmm2, [{below} + {from}]; tileloadd tmm3, [{below} + {from} + 64]",
                "jmp 2f",
                "3: tilezero tmm0; tilezero tmm1; tilezero tmm2; tilezero tmm3",
                "2:",
                // third and first
                "tileloadd tmm4, [{left} + {line} + 4096]; tileloadd tmm6, [{right} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6; tileloadd tmm7, [{right} + {line} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7; tileloadd tmm5, [{left} + {line} + 5120]",
                "tdpbf16ps tmm2, tmm5, tmm6; tdpbf16ps tmm3, tmm5, tmm7",
                // second and first
                "tileloadd tmm4, [{left} + {line} + 2048]; tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7; tileloadd tmm5, [{left} + {line} + 3072]",
                "tdpbf16ps tmm2, tmm5, tmm6; tdpbf16ps tmm3, tmm5, tmm7",
                // second and second
                "tileloadd tmm6, [{right} + {line} + 2048]; tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6; tileloadd tmm7, [{right} + {line} + 3072]",
                "tdpbf16ps tmm1, tmm4, tmm7; tdpbf16ps tmm3, tmm5, tmm7",
                // first and second
                "tileloadd tmm4, [{left} + {line}]; tdpbf16ps tmm0, tmm4, tmm6; tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {line} + 1024]; tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                // first and third
                "tileloadd tmm6, [{right} + {line} + 4096]; tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6; tileloadd tmm7, [{right} + {line} + 5120]",
                "tdpbf16ps tmm1, tmm4, tmm7; tdpbf16ps tmm3, tmm5, tmm7",
                // first and first
                "tileloadd tmm6, [{right} + {line}]; tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm2, tmm5, tmm6; tileloadd tmm7, [{right} + {line} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7; tdpbf16ps tmm3, tmm5, tmm7",
                "add {left}, 6144; add {right}, 6144; dec {count}; jnz 2b",
                "tilestored [{end} + {to}], tmm0; tilestored [{end} + {to} + 64], tmm1",
                "tilestored [{under} + {to}], tmm2; tilestored [{under} + {to} + 64], tmm3",
                start = in(reg) start.first, from = in(reg) from,
                below = in(reg) start.first.wrapping_add(SIDE * start.stride),
                end = in(reg) end.first, to = in(reg) to,
                under = in(reg) end.first.wrapping_add(SIDE * end.stride),
                left = inout(reg) left.as_ptr() => _, right = inout(reg) right.as_ptr() => _,
                line = in(reg) size_of::<__m512i>(), count = inout(reg) count => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _, options(nostack)
            );
        }
    }
}
