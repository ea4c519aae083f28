//! Which library this is.

use std::ffi::c_char;

/// The version of the library that runs, as FLEMING_VERSION was when it was built.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The same as a number, as FLEMING_VERSION_NUMBER was: major × 10000 + minor × 100 + patch.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_version_number() -> i32 {
    let parts = env!("CARGO_PKG_VERSION").split(['.', '-']).take(3);
    parts.fold(0, |number, part| 100 * number + part.parse::<i32>().unwrap_or(0))
}

macro_rules! with {
    ($feature:literal) => {
        if cfg!(feature = $feature) { concat!(" ", $feature) } else { "" }
    };
}

/// What was built: version, machine, features, one line. For a report of a defect.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_build() -> *const c_char {
    use std::ffi::CString;
    use std::sync::LazyLock;
    static BUILD: LazyLock<CString> = LazyLock::new(|| {
        let features = [with!("constrained"), with!("jpeg-turbo"), with!("video")].concat();
        let (machine, system) = (std::env::consts::ARCH, std::env::consts::OS);
        let kind = if cfg!(debug_assertions) { "debug" } else { "release" };
        let line = format!(
            "fleming {}, {machine}-{system}, {kind}, features:{features}; for research and non-clinical use",
            env!("CARGO_PKG_VERSION")
        );
        super::status::c_text(&line)
    });
    BUILD.as_ptr()
}
