//! Where a path leads: to a file, to an array of an archive, `FILE.npz#image`, or nowhere, because it is a URL.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::Path;

use crate::error::{Error, Result};

/// A file, and what of it is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Location<'a> {
    pub(super) file: Cow<'a, Path>,
    /// The name of an array in an archive.
    pub(super) member: Option<String>,
}

impl<'a> Location<'a> {
    /// What a path means. A file of that very name comes first, whatever is in the name.
    ///
    /// # Errors
    /// [`Error::Input`] for a URL.
    pub(super) fn of(path: &'a Path, name: &str) -> Result<Self> {
        let whole = Self { file: Cow::Borrowed(path), member: None };
        let (Err(error), Some(text)) = (path.metadata(), path.to_str()) else { return Ok(whole) };
        if !matches!(
            error.kind(),
            ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
        ) {
            return Ok(whole);
        }
        if let Some(scheme) = scheme(text) {
            return Err(refused(name, scheme));
        }
        Ok(match text.rsplit_once('#') {
            Some((file, member)) if !member.is_empty() && Path::new(file).is_file() => {
                Self { file: Cow::Borrowed(Path::new(file)), member: Some(member.to_owned()) }
            }
            _ => whole,
        })
    }
}

/// The scheme of a URL: `https` of `https://…`. A `data:` URL has no slashes, nor need a `file:` URL have them.
pub(crate) fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_one = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(letters);
    let known = ["data", "file"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (is_one && (known || rest.starts_with("//"))).then_some(scheme)
}

fn refused(name: &str, scheme: &str) -> Error {
    let hint = match scheme.to_ascii_lowercase().as_str() {
        "data" => "save its content to a file, and name that",
        "file" => "name the file alone, without file://",
        _ => "download it, and name the file",
    };
    Error::input(name, "the name of a file", format!("a {scheme}: URL")).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_its_own_comes_before_an_array_in_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.npz", "b#c.npz", "b#c.npz#image", "data:x"] {
            std::fs::write(path(name), b"x").unwrap();
        }
        for (asked, file, member) in [
            ("a.npz", "a.npz", None),
            ("a.npz#image", "a.npz", Some("image")),
            ("a.npz#deep/image.npy", "a.npz", Some("deep/image.npy")),
            ("a.npz#", "a.npz#", None),
            ("b#c.npz", "b#c.npz", None),
            ("b#c.npz#image", "b#c.npz#image", None),
            ("b#c.npz#other", "b#c.npz", Some("other")),
            ("none.npz#image", "none.npz#image", None),
        ] {
            let asked = path(asked);
            let location = Location::of(&asked, "name").unwrap();
            let found = (location.file.into_owned(), location.member);
            assert_eq!(found, (path(file), member.map(String::from)), "{asked:?}");
        }
    }

    #[test]
    fn urls_are_refused_by_their_scheme() {
        for (url, word) in [
            ("data:image/png;base64,iVBORw0KGgo=", "content"),
            ("file:///tmp/a.png", "alone"),
            ("file:a.png", "alone"),
            ("https://example.org/a.png", "download"),
            ("s3://bucket/a.png", "download"),
        ] {
            let message = Location::of(Path::new(url), url).unwrap_err().to_string();
            assert!(message.contains(word) && !message.contains("iVBOR"), "{message}");
        }
        for path in ["a:b.png", "C:\\scans\\a.png", "./data", "file", "12://x"] {
            assert_eq!(scheme(path), None, "{path}");
        }
    }
}
