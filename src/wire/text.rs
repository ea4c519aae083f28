//! The one reader of texts from outside: of files, of standard input, of lines.

use std::fmt::Display;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes of a text from outside. No text that a model could read is near it.
pub const MOST_TEXT_BYTES: u64 = 64 << 20;
const HINT: &str = "save it as UTF-8";

/// Reads a file of UTF-8 text, as [`read_text_from`] does.
///
/// # Errors
/// [`Error::Request`] naming the file: it cannot be read, is no UTF-8 or has more than 64 MiB.
pub fn read_text(path: &Path) -> Result<String> {
    let refuse = |wanted: &str, got: &dyn Display| Error::request(path.display(), wanted, got);
    // A pipe would be waited for without end.
    if path.metadata().is_ok_and(|facts| !facts.is_file() && !facts.is_dir()) {
        return Err(
            refuse("a readable text file", &"something that is no regular file").hint("copy it to a file")
        );
    }
    let file = File::open(path)
        .map_err(|error| refuse("a readable text file", &error).hint("check the path and the file"))?;
    read_text_from(&path.display().to_string(), file)
}

/// Reads UTF-8 text to its end. A byte order mark is no part of it, and lines end in a newline alone.
///
/// # Errors
/// [`Error::Request`] naming `thing`: it cannot be read, is no UTF-8 or has more than 64 MiB.
pub fn read_text_from(thing: &str, bytes: impl Read) -> Result<String> {
    let mut text = Vec::new();
    bytes
        .take(MOST_TEXT_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(|error| Error::request(thing, "readable text", error).hint("check what it comes from"))?;
    text_of(thing, &text)
}

/// The text that these bytes are: UTF-8, without the byte order mark that editors of some systems begin with, and with
/// newlines where lines end in a carriage return and a newline.
///
/// # Errors
/// [`Error::Request`] naming `thing`: the bytes are no UTF-8 or more than 64 MiB.
pub fn text_of(thing: &str, bytes: &[u8]) -> Result<String> {
    if bytes.len() as u64 > MOST_TEXT_BYTES {
        return Err(
            Error::request(thing, "a text of at most 64 MiB", "a longer one").hint("cut it into parts")
        );
    }
    check_encoding(thing, bytes)?;
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let place = error.valid_up_to();
        let line = 1 + bytes[..place].iter().filter(|byte| **byte == b'\n').count();
        let got = format!("the byte 0x{:02x} at offset {place}, in line {line}", bytes[place]);
        Error::request(thing, "UTF-8 text", got).hint(HINT)
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n"))
}

/// Refuses a text that begins as one in UTF-16 or UTF-32 does.
///
/// # Errors
/// [`Error::Request`] naming `thing` and the encoding.
pub fn check_encoding(thing: &str, bytes: &[u8]) -> Result<()> {
    match other_encoding(bytes) {
        Some(name) => Err(Error::request(thing, "UTF-8 text", format!("{name} text")).hint(HINT)),
        None => Ok(()),
    }
}

/// The name of the encoding that a text has in place of UTF-8, by its byte order mark or, of letters of ASCII, by the zeros
/// beside them.
fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [1..=255, 0, 1..=255, 0, ..] | [0, 1..=255, 0, 1..=255, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// A text file ends in a newline that its text does not have.
pub(super) fn without_last_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_returns_are_no_part_of_a_text() {
        for (bytes, text) in [
            (&b"\xef\xbb\xbfa\r\nb\r\n"[..], "a\nb\n"),
            (b"a\rb\n\r", "a\rb\n\r"),
            (b"", ""),
            (b"x", "x"),
            ("ä\u{feff}".as_bytes(), "ä\u{feff}"),
        ] {
            assert_eq!(text_of("t", bytes).unwrap(), text);
        }
    }

    #[test]
    fn other_encodings_are_named() {
        for (bytes, got) in [
            (&b"\xff\xfeh\0i\0"[..], "UTF-16 text"),
            (b"\xfe\xff\0h\0i", "UTF-16 text"),
            (b"{\0\"\0i\0", "UTF-16 text"),
            (b"\0h\0i", "UTF-16 text"),
            (b"\xff\xfe\0\0h\0\0\0", "UTF-32 text"),
            (b"one\ntw\xff", "the byte 0xff at offset 6, in line 2"),
            (b"\xc3", "the byte 0xc3 at offset 0, in line 1"),
        ] {
            let error = text_of("t", bytes).unwrap_err();
            let facts = error.facts();
            let found = [&*facts.thing, &facts.wanted, &facts.got, &facts.hint];
            assert_eq!(found, ["t", "UTF-8 text", got, HINT]);
        }
    }
}
