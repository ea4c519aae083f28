//! Files of questions, one JSON object a line: the one reader of every verb that takes them.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::Result;
use fleming::wire;

use super::refusal::unusable;

/// A line that holds something.
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: usize,
    /// Its text, or why it is none.
    pub(super) text: fleming::Result<String>,
}

/// The lines of a file that hold something.
pub(super) fn read(path: &Path) -> Result<Vec<Line>> {
    let name = path.display().to_string();
    let refuse = |got: &dyn std::fmt::Display| {
        unusable(&name, "a file of JSON lines", got, "name a file with a JSON object on each line")
    };
    // A device has no end.
    if path.metadata().is_ok_and(|facts| facts.file_type().is_char_device()) {
        return Err(refuse(&"a device"));
    }
    let bytes = fs::read(path).map_err(|error| refuse(&error))?;
    // One line in another encoding is that line's fault; a file in one is the file's.
    wire::check_encoding(&name, &bytes)?;
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let line = |(number, line): (usize, &[u8])| Line {
        number,
        text: wire::text_of(&format!("line {number}"), line.trim_ascii_end()),
    };
    Ok(lines.map(line).collect())
}
