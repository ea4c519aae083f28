//! The kernels of each set of instructions.

use std::ops::Range;

use super::activations::Form;
use super::few::Few;
use super::instructions::Instructions;
use super::panel::Work;
use super::plain;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

impl Instructions {
    /// How activations for [`Self::many`] are rounded.
    pub(super) fn form(self) -> Form {
        match self {
            Self::Plain | Self::Avx2 => Form::Runs,
            Self::Avx512 | Self::Amx => Form::ShiftedRuns,
        }
    }

    /// The most outputs that [`Self::many`] takes.
    pub(super) fn columns(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::COLUMNS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Amx => avx512::COLUMNS,
            _ => 16,
        }
    }

    /// The products of these rows for these outputs.
    ///
    /// # Safety
    /// The machine has the instructions, and nobody else has these results meanwhile.
    pub(super) unsafe fn many(self, work: Work<'_>, outputs: &Range<usize>, rows: Range<usize>) {
        match self {
            // SAFETY: by this function's contract.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::many(work, outputs, rows) },
            // SAFETY: by this function's contract.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Amx => unsafe { avx512::many(work, outputs, rows) },
            _ => plain::many(work, outputs, rows),
        }
    }

    /// The products of few rows for these outputs.
    ///
    /// # Safety
    /// The machine has the instructions, and nobody else has these results meanwhile.
    pub(super) unsafe fn few(self, work: Work<'_, Few>, outputs: &Range<usize>) {
        match self {
            // SAFETY: by this function's contract.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::few(work, outputs) },
            // SAFETY: by this function's contract.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Amx => unsafe { avx512::few(work, outputs) },
            _ => plain::few(work, outputs),
        }
    }
}
