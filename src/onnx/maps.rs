//! What of this process's memory is files: `/proc/self/maps`.

use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A part of a file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) addresses: Range<usize>,
    /// Where in the file it begins, in bytes.
    pub(super) offset: u64,
    pub(super) path: PathBuf,
}

/// The parts of files in this process's memory; none where there is no `/proc`.
pub(super) fn of_files() -> Vec<Mapping> {
    let lines = fs::read("/proc/self/maps").unwrap_or_default();
    lines.split(|byte| *byte == b'\n').filter_map(mapping).collect()
}

/// The file that this address belongs to.
pub(super) fn file_at(address: usize) -> Option<PathBuf> {
    of_files().into_iter().find(|mapping| mapping.addresses.contains(&address)).map(|mapping| mapping.path)
}

/// A line of `from-to permissions offset device inode   path`, the first three numbers in hexadecimal.
fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let (from, to) = std::str::from_utf8(fields.next()?).ok()?.split_once('-')?;
    let addresses = usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?;
    let offset = u64::from_str_radix(std::str::from_utf8(fields.nth(1)?).ok()?, 16).ok()?;
    let path = Path::new(OsStr::from_bytes(fields.nth(2)?.trim_ascii_start()));
    path.is_absolute().then(|| Mapping { addresses, offset, path: path.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_files_are_read() {
        let line = b"7f00a000-7f00c000 r--p 0003f000 fd:01 1234567                    /a/b c.onnx.data";
        let read =
            Mapping { addresses: 0x7f00_a000..0x7f00_c000, offset: 0x3f000, path: "/a/b c.onnx.data".into() };
        assert_eq!(mapping(line), Some(read));
        for other in [&b"7f00a000-7f00c000 rw-p 00000000 00:00 0 "[..], b"0-1 rw-p 0 00:00 0   [stack]", b""]
        {
            assert_eq!(mapping(other), None);
        }
    }

    #[test]
    fn this_code_is_in_the_file_that_runs() {
        let here = lines_of_files_are_read as fn() as usize;
        assert_eq!(file_at(here), std::env::current_exe().ok());
    }
}
