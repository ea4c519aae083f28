//! What the linker is told.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Some dependencies have C functions of their own to export, and FFmpeg, found in the same process, would bind
    // to them: of the shared library only `fleming_*` is to be seen, of the program nothing.
    println!("cargo:rustc-link-arg-cdylib=-Wl,--exclude-libs,ALL");
    // Threads end, and ONNX Runtime logs, after the last engine is freed: `dlclose` leaves the code where it is.
    println!("cargo:rustc-link-arg-cdylib=-Wl,-z,nodelete");
    println!("cargo:rustc-link-arg-bins=-Wl,--exclude-libs,ALL");
}
