//! Files of questions, one JSON object a line: the one reader of every verb that takes them.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::Result;

use super::refusal::unusable;

/// The lines of a file that hold something, each with its number from 1.
pub(super) fn read(path: &Path) -> Result<Vec<(usize, Vec<u8>)>> {
    let name = path.display().to_string();
    let wanted = "a file of JSON lines";
    // A device has no end.
    if path.metadata().is_ok_and(|facts| facts.file_type().is_char_device()) {
        return Err(unusable(&name, wanted, &"a device"));
    }
    let bytes = fs::read(path).map_err(|error| unusable(&name, wanted, &error))?;
    // A byte order mark is no part of the first line.
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
    let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
    Ok(lines.filter(|(_, line)| !line.trim_ascii().is_empty()).map(|(n, line)| (n, line.to_vec())).collect())
}
