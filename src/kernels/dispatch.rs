//! The kernels of each set of instructions.

use std::ops::Range;

use super::activations::Form;
use super::blockwise::Blockwise;
use super::few::Few;
use super::instructions::Instructions;
use super::output::Output;
use super::panel::Many;
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
    pub(super) unsafe fn many(self, work: Many<'_>, outputs: &Range<usize>, rows: Range<usize>) {
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

    /// Adds the products of all rows for these outputs to the results.
    ///
    /// # Safety
    /// The machine has the instructions, and nobody else has these results meanwhile.
    pub(super) unsafe fn few(
        self,
        left: &Few,
        weight: &Blockwise<'_>,
        outputs: &Range<usize>,
        out: Output<'_>,
    ) {
        match self {
            // SAFETY: by this function's contract.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { avx2::few(left, weight, outputs, out) },
            // SAFETY: by this function's contract.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Amx => unsafe { avx512::few(left, weight, outputs, out) },
            _ => plain::few(left, weight, outputs, out),
        }
    }
}
