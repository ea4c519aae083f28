//! Vectors of float32, so that what is no more than arithmetic is written once for all instructions.
//!
//! Everything is inlined into functions that have the instructions.

/// Numbers that are computed with at once.
///
/// # Safety
/// All methods need the instructions of the type; `load` and `store` reach [`Vector::LANES`] numbers.
pub(super) trait Vector: Copy {
    const LANES: usize;

    unsafe fn load(place: *const f32) -> Self;
    unsafe fn store(self, place: *mut f32);
    unsafe fn splat(number: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn multiply(self, other: Self) -> Self;
    unsafe fn divided(self, divisor: Self) -> Self;
    unsafe fn larger(self, other: Self) -> Self;
    /// `self * factor + summand`, rounded once.
    unsafe fn fused(self, factor: Self, summand: Self) -> Self;
    /// Times two to the power of whole numbers from -126 to 127.
    unsafe fn scaled(self, whole: Self) -> Self;
    /// Whether a number is above its limit.
    unsafe fn any_above(self, limits: Self) -> bool;
    /// Zero in each lane where `condition` is below `limit`.
    unsafe fn zero_below(self, condition: Self, limit: f32) -> Self;
    /// Makes rows of `LANES` numbers, `stride` apart, columns at `target`, `LANES` rows of them `target_stride` apart.
    unsafe fn transpose(source: *const f32, stride: usize, target: *mut f32, target_stride: usize);

    /// e to the power of numbers of at most zero. Off by 2 units of the last place at most; zero below -87.
    // The polynomial: coefficients of least maximal error for e to the power of -ln(2) / 2 to ln(2) / 2, the last two set to 1.
    #[inline(always)]
    unsafe fn exponential(self) -> Self {
        const LEAST: f32 = -87.0;
        /// Numbers that are added to this are rounded to whole ones.
        const ROUND: f32 = (3 << 22) as f32;
        const TERMS: [f32; 7] =
            [1.381_446_5e-3, 8.368_781e-3, 4.166_839_3e-2, 1.666_652e-1, 0.499_999_94, 1.0, 1.0];
        // SAFETY: by the contract of the trait.
        unsafe {
            let whole = self
                .fused(Self::splat(std::f32::consts::LOG2_E), Self::splat(ROUND))
                .add(Self::splat(-ROUND));
            // float32 knows ln(2) so well that what is lost here stays below the last place
            let rest = whole.fused(Self::splat(-std::f32::consts::LN_2), self);
            let mut sum = Self::splat(TERMS[0]);
            for term in &TERMS[1..] {
                sum = sum.fused(rest, Self::splat(*term));
            }
            sum.scaled(whole).zero_below(self, LEAST)
        }
    }
}

/// Without a machine's instructions.
impl Vector for [f32; 8] {
    const LANES: usize = 8;

    unsafe fn load(place: *const f32) -> Self {
        // SAFETY: by the contract of the trait.
        unsafe { place.cast::<Self>().read_unaligned() }
    }

    unsafe fn store(self, place: *mut f32) {
        // SAFETY: by the contract of the trait.
        unsafe { place.cast::<Self>().write_unaligned(self) }
    }

    unsafe fn splat(number: f32) -> Self {
        [number; 8]
    }

    unsafe fn add(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }

    unsafe fn multiply(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] * other[lane])
    }

    unsafe fn divided(self, divisor: Self) -> Self {
        std::array::from_fn(|lane| self[lane] / divisor[lane])
    }

    unsafe fn larger(self, other: Self) -> Self {
        // not-a-number is kept, as by the instructions, whose second operand is the result then
        std::array::from_fn(|lane| if other[lane] > self[lane] { other[lane] } else { self[lane] })
    }

    unsafe fn fused(self, factor: Self, summand: Self) -> Self {
        std::array::from_fn(|lane| self[lane].mul_add(factor[lane], summand[lane]))
    }

    unsafe fn scaled(self, whole: Self) -> Self {
        std::array::from_fn(|lane| self[lane] * f32::from_bits(((whole[lane] as i32 + 127) as u32) << 23))
    }

    unsafe fn any_above(self, limits: Self) -> bool {
        self.iter().zip(limits).any(|(number, limit)| *number > limit)
    }

    unsafe fn zero_below(self, condition: Self, limit: f32) -> Self {
        std::array::from_fn(|lane| if condition[lane] < limit { 0.0 } else { self[lane] })
    }

    unsafe fn transpose(source: *const f32, stride: usize, target: *mut f32, target_stride: usize) {
        for (row, column) in (0..8).flat_map(|row| (0..8).map(move |column| (row, column))) {
            // SAFETY: by the contract of the trait.
            unsafe { *target.add(column * target_stride + row) = *source.add(row * stride + column) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Vector;
    use crate::kernels::{avx2, avx512};

    // SAFETY: in all of them by the contract of the trait.
    impl Vector for __m256 {
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn load(place: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(place) }
        }

        #[inline(always)]
        unsafe fn store(self, place: *mut f32) {
            unsafe { _mm256_storeu_ps(place, self) }
        }

        #[inline(always)]
        unsafe fn splat(number: f32) -> Self {
            unsafe { _mm256_set1_ps(number) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm256_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn multiply(self, other: Self) -> Self {
            unsafe { _mm256_mul_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn divided(self, divisor: Self) -> Self {
            unsafe { _mm256_div_ps(self, divisor) }
        }

        #[inline(always)]
        unsafe fn larger(self, other: Self) -> Self {
            unsafe { _mm256_max_ps(other, self) }
        }

        #[inline(always)]
        unsafe fn fused(self, factor: Self, summand: Self) -> Self {
            unsafe { _mm256_fmadd_ps(self, factor, summand) }
        }

        #[inline(always)]
        unsafe fn scaled(self, whole: Self) -> Self {
            unsafe {
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127));
                _mm256_mul_ps(self, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
            }
        }

        #[inline(always)]
        unsafe fn any_above(self, limits: Self) -> bool {
            unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(self, limits)) != 0 }
        }

        #[inline(always)]
        unsafe fn zero_below(self, condition: Self, limit: f32) -> Self {
            unsafe { _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(condition, _mm256_set1_ps(limit)), self) }
        }

        #[inline(always)]
        unsafe fn transpose(source: *const f32, stride: usize, target: *mut f32, target_stride: usize) {
            unsafe {
                let mut rows = [_mm256_setzero_si256(); 8];
                for row in 0..8 {
                    rows[row] = _mm256_loadu_si256(source.add(row * stride).cast());
                }
                avx2::transpose(&mut rows);
                for row in 0..8 {
                    _mm256_storeu_si256(target.add(row * target_stride).cast(), rows[row]);
                }
            }
        }
    }

    // SAFETY: in all of them by the contract of the trait.
    impl Vector for __m512 {
        const LANES: usize = 16;

        #[inline(always)]
        unsafe fn load(place: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(place) }
        }

        #[inline(always)]
        unsafe fn store(self, place: *mut f32) {
            unsafe { _mm512_storeu_ps(place, self) }
        }

        #[inline(always)]
        unsafe fn splat(number: f32) -> Self {
            unsafe { _mm512_set1_ps(number) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm512_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn multiply(self, other: Self) -> Self {
            unsafe { _mm512_mul_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn divided(self, divisor: Self) -> Self {
            unsafe { _mm512_div_ps(self, divisor) }
        }

        #[inline(always)]
        unsafe fn larger(self, other: Self) -> Self {
            unsafe { _mm512_max_ps(other, self) }
        }

        #[inline(always)]
        unsafe fn fused(self, factor: Self, summand: Self) -> Self {
            unsafe { _mm512_fmadd_ps(self, factor, summand) }
        }

        #[inline(always)]
        unsafe fn scaled(self, whole: Self) -> Self {
            unsafe { _mm512_scalef_ps(self, whole) }
        }

        #[inline(always)]
        unsafe fn any_above(self, limits: Self) -> bool {
            unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self, limits) != 0 }
        }

        #[inline(always)]
        unsafe fn zero_below(self, condition: Self, limit: f32) -> Self {
            unsafe {
                let keep = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(condition, _mm512_set1_ps(limit));
                _mm512_maskz_mov_ps(keep, self)
            }
        }

        #[inline(always)]
        unsafe fn transpose(source: *const f32, stride: usize, target: *mut f32, target_stride: usize) {
            unsafe {
                let mut rows = [_mm512_setzero_si512(); 16];
                for row in 0..16 {
                    rows[row] = _mm512_loadu_si512(source.add(row * stride).cast());
                }
                avx512::transpose(&mut rows);
                for row in 0..16 {
                    _mm512_storeu_si512(target.add(row * target_stride).cast(), rows[row]);
                }
            }
        }
    }
}
