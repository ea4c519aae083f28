//! Ids of requests, replies and files.

use crate::digest::hex;
use crate::error::{Error, Result};

/// Letters of the longest id that a client may give its request.
const LONGEST: usize = 128;

/// The id of a request, as its client gave it or of our making. It cannot break out of a line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestId(String);

impl RequestId {
    /// The client's id if it is a plain word, else a new one.
    ///
    /// # Errors
    /// As [`id`].
    pub(super) fn of(given: Option<&[u8]>) -> Result<Self> {
        let plain = |letter: &u8| letter.is_ascii_alphanumeric() || b"._-".contains(letter);
        let given = given.filter(|id| (1..=LONGEST).contains(&id.len()) && id.iter().all(plain));
        match given.and_then(|id| std::str::from_utf8(id).ok()) {
            Some(id) => Ok(Self(id.to_owned())),
            None => id("req-").map(Self),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A new id that nobody can guess: a prefix and 128 random bits as hex digits.
///
/// # Errors
/// [`Error::Runtime`] if the system has no random numbers.
pub(super) fn id(prefix: &str) -> Result<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| {
        Error::runtime("random numbers", "some of the system's", error).hint("look at the system's log")
    })?;
    Ok(format!("{prefix}{}", hex(&bits)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_client_cannot_forge_a_line() {
        let taken = RequestId::of(Some(b"abc-1.2_X")).unwrap();
        assert_eq!(taken.as_str(), "abc-1.2_X");
        let long = [b'a'; LONGEST + 1];
        for other in [&b""[..], b"a\nb", b"a b", b"\x1b[31m", "ä".as_bytes(), &long] {
            let made = RequestId::of(Some(other)).unwrap();
            assert!(made.as_str().starts_with("req-") && made.as_str().len() == 36, "{made:?}");
        }
        assert_ne!(RequestId::of(None).unwrap(), RequestId::of(None).unwrap());
    }
}
