//! The tile registers: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18. Rust has no stable
//! functions for them.

use std::arch::asm;
use std::arch::x86_64::__m512i;
use std::marker::PhantomData;

/// Rows and columns of a tile of sums.
pub(in crate::kernels) const SIDE: usize = 16;
/// Values that a product takes from each row and column.
pub(in crate::kernels) const DEPTH: usize = 32;
/// A tile as it lies in memory. Rows that cross a line of the cache would take twice as long.
pub(super) type Tile = [__m512i; SIDE];
/// The tiles of 32 rows or columns: what is multiplied in one go.
pub(super) type Pair = [Tile; 2];

/// What tiles there are.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    first_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The tile registers of this thread, all whole. What is in them is lost when this is dropped.
pub(in crate::kernels) struct Tiles(PhantomData<*mut ()>);

/// The sums of a pair of rows and a pair of columns: `[2 of rows, 2 of columns]`. Each tile stands by itself, for rows far apart
/// would each be waited for.
pub(super) type Square = [[Tile; 2]; 2];

/// What products are added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Nothing,
    /// The sums that are there.
    Sums,
}

impl Tiles {
    /// # Safety
    /// [`crate::kernels::tile_registers::may_be_used`] said so.
    pub(in crate::kernels) unsafe fn new() -> Self {
        let (mut row_bytes, mut rows) = ([0; 16], [0; 16]);
        row_bytes[..8].fill(size_of::<__m512i>() as u16);
        rows[..8].fill(SIDE as u8);
        let configuration = Configuration { palette: 1, first_row: 0, reserved: [0; 14], row_bytes, rows };
        // SAFETY: 64 bytes that say what tiles there are, within what the palette allows.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) };
        Self(PhantomData)
    }

    /// 32 rows times 32 columns, for as many steps as there are.
    #[inline]
    pub(super) fn multiply(&self, left: &[Pair], right: &[Pair], sums: &mut Square, start: Start) {
        let count = left.len();
        assert!(count > 0 && right.len() == count, "as many values of rows as of columns");
        // SAFETY: the tiles are configured, and the lengths were checked.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "test {is_fresh:e}, {is_fresh:e}",
                "jnz 2f",
                "tileloadd tmm0, [{sums} + {line}]",
                "tileloadd tmm1, [{sums} + {line} + 1024]",
                "tileloadd tmm2, [{sums} + {line} + 2048]",
                "tileloadd tmm3, [{sums} + {line} + 3072]",
                "2:",
                "tileloadd tmm4, [{left} + {line}]",
                "tileloadd tmm6, [{right} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{right} + {line} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {line} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {left}, 2048",
                "add {right}, 2048",
                "dec {count}",
                "jnz 2b",
                "tilestored [{sums} + {line}], tmm0",
                "tilestored [{sums} + {line} + 1024], tmm1",
                "tilestored [{sums} + {line} + 2048], tmm2",
                "tilestored [{sums} + {line} + 3072], tmm3",
                sums = in(reg) sums, is_fresh = in(reg) u32::from(start == Start::Nothing),
                left = inout(reg) left.as_ptr() => _, right = inout(reg) right.as_ptr() => _,
                line = in(reg) size_of::<__m512i>(), count = inout(reg) count => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _, options(nostack)
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: a machine that has tiles.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
