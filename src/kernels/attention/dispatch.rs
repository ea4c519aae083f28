//! The kernels of each set of instructions.

use super::block::{Memory, Queries};
use crate::kernels::instructions::Instructions;

impl Instructions {
    /// Attends to the keys from `first` to `end`.
    ///
    /// # Safety
    /// The machine has the instructions.
    pub(super) unsafe fn attend(self, queries: &mut Queries, memory: Memory<'_>, first: usize, end: usize) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        fn avx2(queries: &mut Queries, memory: Memory<'_>, first: usize, end: usize) {
            // SAFETY: this function has the instructions.
            unsafe { queries.attend::<std::arch::x86_64::__m256>(memory, first, end) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
        fn avx512(queries: &mut Queries, memory: Memory<'_>, first: usize, end: usize) {
            // SAFETY: this function has the instructions.
            unsafe { queries.attend::<std::arch::x86_64::__m512>(memory, first, end) }
        }
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2(queries, memory, first, end),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 | Self::Amx => avx512(queries, memory, first, end),
                _ => queries.attend::<[f32; 8]>(memory, first, end),
            }
        }
    }
}
