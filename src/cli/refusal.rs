//! Refusals: what an argument or a file of the user's lacks, in the library's four facts, and what may be checked early.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use anyhow::Result;
use fleming::wire;
use serde_json::{Value, json};

/// An argument or a file that cannot be used: exit code 2.
pub(super) fn unusable(thing: &str, wanted: &str, got: &dyn Display) -> anyhow::Error {
    let facts = fleming::Facts {
        thing: thing.into(),
        wanted: wanted.into(),
        got: got.to_string(),
        hint: String::new(),
    };
    fleming::Error::Request(Box::new(facts)).into()
}

/// Refuses a file that is missing, is no regular file or may not be read. A pipe is not opened, for that would wait.
pub(super) fn readable(path: &Path) -> Result<()> {
    let name = path.display().to_string();
    let wanted = "a readable file";
    let facts = fs::metadata(path).map_err(|error| unusable(&name, wanted, &error))?;
    match (facts.is_file(), facts.is_dir()) {
        (true, _) => {}
        (_, true) => return Err(unusable(&name, wanted, &"a folder")),
        _ => return Err(unusable(&name, wanted, &"a pipe or a device")),
    }
    File::open(path).map(drop).map_err(|error| unusable(&name, wanted, &error))
}

/// Whether a file can be made in a folder, found out by making one.
pub(super) fn try_folder(path: &Path) -> io::Result<()> {
    // The folder of a bare file name.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let probe = path.join(format!(".fleming-{}", std::process::id()));
    let made = OpenOptions::new().write(true).create_new(true).open(&probe);
    made.and_then(|_| fs::remove_file(&probe))
}

/// A file or folder of the user's that could not be written.
pub(super) fn unwritable(path: &Path, error: &dyn Display) -> anyhow::Error {
    unusable(&path.display().to_string(), "a place that can be written", error)
}

/// A failure as JSON. What is not the library's own, such as a full disk, has only a message.
pub(super) fn failure(error: &anyhow::Error) -> Value {
    let mut object = match error.downcast_ref::<fleming::Error>() {
        Some(error) => wire::error(error),
        None => json!({"code": "other"}),
    };
    object["message"] = format!("{error:#}").into();
    object
}
