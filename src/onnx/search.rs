//! Where shared libraries are looked for by their names.

use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// NVIDIA's driver.
pub(super) const LIBCUDA: &str = "libcuda.so.1";
/// CUDA's runtime.
pub(super) const LIBCUDART: &str = "libcudart.so.13";
/// TensorRT.
pub(super) const LIBNVINFER: &str = "libnvinfer.so.10";

/// What ONNX Runtime and its providers' libraries are linked with, all parts of the system.
const NEEDED: [&str; 6] =
    ["libdl.so.2", "librt.so.1", "libpthread.so.0", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6"];

pub(super) const SYSTEM_FOLDERS: [&str; 5] =
    ["/usr/local/lib", "/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];

/// The entries of `LD_LIBRARY_PATH`, split as the system's loader does. Without any it looks there for nothing.
pub(super) fn search_path() -> Vec<PathBuf> {
    let listed = env::var_os("LD_LIBRARY_PATH").filter(|listed| !listed.is_empty()).unwrap_or_default();
    let entries = listed.as_bytes().split(|byte| [b':', b';'].contains(byte));
    entries.filter(|_| !listed.is_empty()).map(|entry| OsStr::from_bytes(entry).into()).collect()
}

/// What is to be loaded before ONNX Runtime, so that the loader looks for none of it in the working folder; nothing where it
/// would not.
///
/// # Errors
/// If one of them is not in an absolute entry or in one of the system's folders.
pub(super) fn loaded_first(entries: &[PathBuf]) -> std::result::Result<Vec<PathBuf>, String> {
    match entries.iter().all(|entry| entry.is_absolute()) {
        true => Ok(Vec::new()),
        false => NEEDED.iter().map(|name| path_of(name, entries)).collect(),
    }
}

/// Where to load a library of this soname from: where the system's loader finds it. That looks through `entries`, those of
/// `LD_LIBRARY_PATH`, and takes an empty or relative one for the working folder, where anybody may have left a library. With
/// such an entry the loader is not asked.
///
/// # Errors
/// If the library is not in an absolute entry or in one of the system's folders then.
pub(super) fn path_of(name: &str, entries: &[PathBuf]) -> std::result::Result<PathBuf, String> {
    let (absolute, relative): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.is_absolute());
    if relative.is_empty() {
        return Ok(name.into());
    }
    let folders = absolute.into_iter().map(PathBuf::as_path).chain(SYSTEM_FOLDERS.iter().map(Path::new));
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| {
        format!("no {name} where it is safe to look: LD_LIBRARY_PATH has an empty or relative entry, which is the working folder")
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_working_folder_is_no_place_for_libraries() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libany.so.1");
        fs::write(&library, "").unwrap();
        let entries = |text: &[&str]| text.iter().map(PathBuf::from).collect::<Vec<_>>();
        let here = folder.path().to_str().unwrap();
        for entries in [entries(&[]), entries(&[here]), entries(&[here, "/nowhere"])] {
            assert_eq!(path_of("libany.so.1", &entries), Ok("libany.so.1".into()));
        }
        for entries in [entries(&["", here]), entries(&[here, ""]), entries(&["lib", here, "."])] {
            assert_eq!(path_of("libany.so.1", &entries), Ok(library.clone()));
            // this package's folder, from which tests run, has such a file
            let refused = path_of("Cargo.toml", &entries).unwrap_err();
            assert!(refused.contains("no Cargo.toml") && refused.contains("LD_LIBRARY_PATH"), "{refused}");
        }
    }
}
