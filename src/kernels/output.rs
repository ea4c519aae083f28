//! Where results go.

#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::marker::PhantomData;
use std::ops::Range;

/// Bytes that a cache takes from the memory at a time.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// A matrix that several threads write to, each its own columns or rows.
#[derive(Clone, Copy)]
pub(super) struct Output<'a, T = f32> {
    start: *mut T,
    rows: usize,
    columns: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: only `at` gives access, to one who says that nobody else has these numbers.
unsafe impl<T: Send> Send for Output<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Output<'_, T> {}

impl<'a, T> Output<'a, T> {
    /// `[rows, columns]`
    pub(super) fn new(numbers: &'a mut [T], columns: usize) -> Self {
        let rows = numbers.len() / columns;
        Self { start: numbers.as_mut_ptr(), rows, columns, lifetime: PhantomData }
    }

    /// `count` numbers of a row.
    ///
    /// # Safety
    /// Nobody else has them while the slice lives.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn at(&self, row: usize, column: usize, count: usize) -> &'a mut [T] {
        assert!(row < self.rows && column + count <= self.columns, "within the matrix");
        // SAFETY: within the numbers, as was just checked, and the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.columns + column), count) }
    }

    /// Asks for numbers of a row that are written soon: rows are far apart, and each would be waited for.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn fetch(&self, row: usize, columns: Range<usize>) {
        assert!(row < self.rows && columns.end <= self.columns, "within the matrix");
        for column in columns.step_by(LINE / size_of::<T>()) {
            let place = self.start.wrapping_add(row * self.columns + column);
            // SAFETY: nothing is read or written. Rust's own function would ask to read, which leaves half of the waiting.
            unsafe { asm!("prefetchw [{}]", in(reg) place, options(nostack, preserves_flags)) };
        }
    }

    /// Whole rows.
    ///
    /// # Safety
    /// Nobody else has them while the slice lives.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn rows(&self, rows: Range<usize>) -> &'a mut [T] {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "within the matrix");
        // SAFETY: within the numbers, as was just checked, and the caller's alone.
        unsafe {
            std::slice::from_raw_parts_mut(
                self.start.add(rows.start * self.columns),
                rows.len() * self.columns,
            )
        }
    }
}
