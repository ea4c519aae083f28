//! Refusals: what an argument or a file of the user's lacks, in the library's four facts, and what may be checked early.

use std::fmt::Display;
use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use fleming::{Facts, wire};
use serde_json::{Value, json};

/// An argument or a file that cannot be used: exit code 2.
pub(super) fn unusable(thing: &str, wanted: &str, got: &dyn Display, hint: &str) -> anyhow::Error {
    let facts = Facts { hint: hint.into(), ..Facts::new(thing, wanted, got) };
    fleming::Error::Request(Box::new(facts)).into()
}

/// Refuses a file that is missing, is no regular file or may not be read. A pipe is not opened, for that would wait.
pub(super) fn readable(path: &Path) -> Result<()> {
    let name = path.display().to_string();
    let refuse = |got: &dyn Display| unusable(&name, "a readable file", got, "check the path and the file");
    let facts = fs::metadata(path).map_err(|error| refuse(&error))?;
    match (facts.is_file(), facts.is_dir()) {
        (true, _) => {}
        (_, true) => return Err(refuse(&"a folder")),
        _ => return Err(refuse(&"a pipe or a device")),
    }
    File::open(path).map(drop).map_err(|error| refuse(&error))
}

/// A file or folder of the user's that could not be written.
pub(super) fn unwritable(path: &Path, error: &dyn Display) -> anyhow::Error {
    let name = path.display().to_string();
    unusable(
        &name,
        "a place that can be written",
        error,
        "check the path, its permissions and the space, or name another",
    )
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
