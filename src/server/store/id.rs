//! Ids of files. They are made here alone, and name the files of the folder.

use std::fmt;

use crate::error::Result;
use crate::server::identity;

const PREFIX: &str = "file-";
const DIGITS: usize = 32;

/// The id of a file: `file-` and 128 random bits as 32 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(String);

impl Id {
    /// One that nobody can guess.
    ///
    /// # Errors
    /// [`crate::Error::Runtime`] if the system has no random numbers.
    pub(super) fn new() -> Result<Self> {
        identity::id(PREFIX).map(Self)
    }

    /// What a text says, if it is such an id.
    pub(super) fn of(text: &str) -> Option<Self> {
        let is_digit = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
        let digits = text.strip_prefix(PREFIX)?;
        (digits.len() == DIGITS && digits.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_made_is_an_id() {
        let made = Id::new().unwrap();
        assert_eq!(Id::of(made.as_str()), Some(made.clone()));
        assert_ne!(Id::new().unwrap(), made);
        let digits = "0".repeat(32);
        for other in ["", "file-", "..", "file-../../etc/passwd", &digits, &format!("file-{}/", &digits[1..])]
        {
            assert_eq!(Id::of(other), None, "{other}");
        }
        assert_eq!(Id::of(&format!("file-{}F", &digits[1..])), None, "capital digits are another name");
    }
}
