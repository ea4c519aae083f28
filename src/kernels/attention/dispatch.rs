//! The kernels of each set of instructions.

use super::block::{self, Memory, Queries};
#[cfg(target_arch = "x86_64")]
use super::tiles;
use crate::kernels::instructions::Instructions;

impl Instructions {
    /// The most queries of a task, where `share` would occupy all threads.
    pub(super) fn queries(self, share: usize) -> usize {
        let most = match self {
            #[cfg(target_arch = "x86_64")]
            Self::Amx => tiles::QUERIES,
            _ => block::QUERIES,
        };
        share.next_multiple_of(block::WIDTH).clamp(block::QUERIES, most)
    }

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
                Self::Amx if queries.visible.len() >= tiles::LEAST_QUERIES => {
                    queries.attend_in_tiles(memory, first, end)
                }
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 | Self::Amx => avx512(queries, memory, first, end),
                _ => queries.attend::<[f32; 8]>(memory, first, end),
            }
        }
    }
}
