//! The kernels of each set of instructions.

use super::block::{self, Memory, Queries};
#[cfg(target_arch = "x86_64")]
use super::tiles;
use crate::kernels::instructions::Instructions;
use crate::kernels::vector::Vector;
use crate::kernels::vectorised::OfVectors;

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
        // SAFETY: by this function's contract.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Amx if queries.visible.len() >= tiles::LEAST_QUERIES => {
                    queries.attend_in_tiles(memory, first, end)
                }
                _ => self.run(Attending { queries, memory, first, end }),
            }
        }
    }
}

/// Queries and the keys that they attend to.
struct Attending<'a> {
    queries: &'a mut Queries,
    memory: Memory<'a>,
    first: usize,
    end: usize,
}

impl OfVectors for Attending<'_> {
    #[inline(always)]
    unsafe fn with<V: Vector>(self) {
        // SAFETY: by this function's contract.
        unsafe { self.queries.attend::<V>(self.memory, self.first, self.end) }
    }
}
