//! Whether the tile registers of AMX may be used: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::LazyLock;

/// Whether the machine has tiles with products in bfloat16, and the system lets this process use them. Asks the system for it.
pub(super) fn may_be_used() -> bool {
    static ANSWER: LazyLock<bool> = LazyLock::new(ask);
    *ANSWER
}

fn ask() -> bool {
    const OS_SAVES_STATE: u32 = 1 << 27;
    const PRODUCTS_AND_TILES: u32 = 1 << 22 | 1 << 24;
    const TILE_STATE: u64 = 1 << 17 | 1 << 18;
    let has = __cpuid(0).eax >= 7
        && __cpuid(1).ecx & OS_SAVES_STATE != 0
        && __cpuid_count(7, 0).edx & PRODUCTS_AND_TILES == PRODUCTS_AND_TILES;
    // SAFETY: the system saves the state of registers, so this can be asked.
    has && unsafe { state() } & TILE_STATE == TILE_STATE && is_granted()
}

/// Which registers the system saves.
#[target_feature(enable = "xsave")]
fn state() -> u64 {
    // SAFETY: the one register there is.
    unsafe { _xgetbv(0) }
}

/// Asks Linux for the state of tiles, which it gives to processes that ask: `arch_prctl(ARCH_REQ_XCOMP_PERM, ..)`.
#[cfg(target_os = "linux")]
fn is_granted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const REQUEST: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let status: i64;
    // SAFETY: a system call that changes what the system saves of this process, and reads no memory.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => status, in("rdi") REQUEST, in("rsi") TILE_DATA,
             out("rcx") _, out("r11") _, options(nostack));
    }
    status == 0
}

#[cfg(not(target_os = "linux"))]
fn is_granted() -> bool {
    false
}
