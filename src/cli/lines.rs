//! Files of questions, one JSON object a line: the one reader of every verb that takes them.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::refusal::unusable;

/// The lines of a file that hold something, each with its number from 1.
pub(super) fn read(path: &Path) -> Result<Vec<(usize, Vec<u8>)>> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| unusable(&name, "a file of JSON lines", &error))?;
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    Ok(lines.filter(|(_, line)| !line.trim_ascii().is_empty()).map(|(n, line)| (n, line.to_vec())).collect())
}
