//! Work that is written once for all instructions.

use super::instructions::Instructions;
use super::vector::Vector;

/// Something that is done with vectors.
pub(super) trait OfVectors {
    /// Does it. Implementations are inlined into functions that have the instructions.
    ///
    /// # Safety
    /// The machine has the vector's instructions.
    unsafe fn with<V: Vector>(self);
}

impl Instructions {
    /// Does it with the vectors of these instructions.
    ///
    /// # Safety
    /// The machine has the instructions.
    pub(super) unsafe fn run(self, work: impl OfVectors) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2(work: impl OfVectors) {
            // SAFETY: this function has the instructions.
            unsafe { work.with::<std::arch::x86_64::__m256>() }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        fn avx512(work: impl OfVectors) {
            // SAFETY: this function has the instructions.
            unsafe { work.with::<std::arch::x86_64::__m512>() }
        }
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2(work),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 | Self::Amx => avx512(work),
                _ => work.with::<[f32; 8]>(),
            }
        }
    }
}
