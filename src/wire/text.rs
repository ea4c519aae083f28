//! The one reader of texts in files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes. No text that a model could read is near it.
const MOST_BYTES: u64 = 64 << 20;

/// Reads a file of UTF-8 text.
///
/// # Errors
/// [`Error::Request`] naming the file: it cannot be read, is no UTF-8 or has more than 64 MiB.
pub fn read_text(path: &Path) -> Result<String> {
    let refuse = |wanted: &str, got: &dyn std::fmt::Display| Error::request(path.display(), wanted, got);
    let mut bytes = Vec::new();
    // A pipe would be waited for without end.
    if path.metadata().is_ok_and(|facts| !facts.is_file() && !facts.is_dir()) {
        return Err(
            refuse("a readable text file", &"something that is no regular file").hint("copy it to a file")
        );
    }
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| refuse("a readable text file", &error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(refuse("a text of at most 64 MiB", &"a longer one"));
    }
    let text = String::from_utf8(bytes).map_err(|error| refuse("UTF-8 text", &error.utf8_error()))?;
    // Editors of some systems begin a text with a byte order mark, which is none of it.
    Ok(text.strip_prefix('\u{feff}').map(String::from).unwrap_or(text))
}

/// A text file ends in a newline that its text does not have.
pub(super) fn without_last_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}
