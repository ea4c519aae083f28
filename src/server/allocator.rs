//! The memory of bodies and pictures goes back to the system when a request ends.

/// Blocks of at least so many bytes are taken from the system alone, and returned to it alone.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ALONE: libc::c_int = 4 << 20;

/// Has large blocks of memory returned at once. Without this, glibc raises its limit with every block that is freed, and keeps
/// those of many requests in the middle of its heaps.
pub(super) fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets a number that the allocator reads, and takes no pointer.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, ALONE);
    }
}
