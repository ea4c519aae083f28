//! A conversation's keys and values on disk: versioned, bound to the package, checked by digest.
//!
//! Little-endian: magic, version, digest of the package (64 hex digits), number of tokens, the tokens, bytes of values, the
//! values, SHA-256 of all that.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::contents::Token;
use crate::error::{Error, Result};
use crate::input::regular;
use crate::pixels::Digest;

const MAGIC: &[u8; 8] = b"fleming\0";
const VERSION: u32 = 2;
const HASH: usize = 32;
/// Most bytes of a token.
const TOKEN: u64 = 37;
/// More bytes than there are beside the tokens and the values.
const FRAME: u64 = 256;

/// What a slot holds of a conversation.
pub(super) struct Session {
    pub(super) tokens: Vec<Token>,
    /// Keys and values, as the arena reads and writes them.
    pub(super) values: Vec<u8>,
}

impl Session {
    /// Writes the session, readable by its owner alone: it is as confidential as the study. A file that was there is
    /// replaced once the new one is whole.
    pub(super) fn write(&self, path: &Path, package: &str) -> Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let write = || {
            // A device or a pipe is not what a file may take the place of.
            if path.metadata().is_ok_and(|there| !there.is_file()) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "something that is no regular file"));
            }
            let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            file.write_all(&self.to_bytes(package))?;
            file.persist(path).map_err(|refused| refused.error)
        };
        let written: io::Result<File> = write();
        written.map(drop).map_err(|error| {
            Error::input(path.display(), "a session file that can be written", error)
                .hint("check the path, its permissions and the space, or name another")
        })
    }

    /// Reads a session of this package: of so many tokens at most, whose values have so many bytes at most.
    ///
    /// # Errors
    /// [`Error::Request`] if it is too long, [`Error::Input`] if the file is cut short, altered, of another version or of another package.
    pub(super) fn read(path: &Path, package: &str, most: [u64; 2]) -> Result<Self> {
        let name = path.display().to_string();
        let unreadable = |error: io::Error| {
            Error::input(&name, "a session file that can be read", error)
                .hint("check the file and its permissions")
        };
        let file = regular(path, &name)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let most = check_length(&name, length, most)?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
        Self::from_bytes(&bytes, package).map_err(|(wanted, got)| {
            Error::input(path.display(), wanted, got).hint("name another file, or remove this one")
        })
    }

    /// Reads a session from memory, as [`read`](Self::read) does from a file.
    ///
    /// # Errors
    /// The same.
    pub(super) fn of_bytes(bytes: &[u8], package: &str, most: [u64; 2]) -> Result<Self> {
        let name = "session";
        check_length(name, bytes.len() as u64, most)?;
        Self::from_bytes(bytes, package)
            .map_err(|(wanted, got)| Error::input(name, wanted, got).hint("give another one"))
    }

    pub(super) fn to_bytes(&self, package: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + 40 * self.tokens.len() + self.values.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(package.as_bytes());
        bytes.extend((self.tokens.len() as u64).to_le_bytes());
        for token in &self.tokens {
            match token {
                Token::Text(id) => {
                    bytes.push(0);
                    bytes.extend(id.to_le_bytes());
                }
                Token::Scoped { id, scope } => {
                    bytes.push(2);
                    bytes.extend(id.to_le_bytes());
                    bytes.extend(scope.0);
                }
                Token::Picture { tile, row } => {
                    bytes.push(1);
                    bytes.extend(row.to_le_bytes());
                    bytes.extend(tile.0);
                }
            }
        }
        bytes.extend((self.values.len() as u64).to_le_bytes());
        bytes.extend(&self.values);
        let hash = Sha256::digest(&bytes);
        bytes.extend(hash);
        bytes
    }

    fn from_bytes(bytes: &[u8], package: &str) -> std::result::Result<Self, (String, String)> {
        let complain = |wanted: &str, got: &str| (wanted.to_owned(), got.to_owned());
        let mut rest = Reader(bytes);
        if rest.take::<8>() != Some(*MAGIC) {
            return Err(complain("a session", "something else"));
        }
        match rest.take().map(u32::from_le_bytes) {
            Some(VERSION) => {}
            Some(version) => return Err((format!("version {VERSION}"), format!("version {version}"))),
            None => return Err(complain("a whole session", "one that was cut short")),
        }
        if bytes.len() < HASH
            || Sha256::digest(&bytes[..bytes.len() - HASH])[..] != bytes[bytes.len() - HASH..]
        {
            return Err(complain("a whole session", "one that was cut short or altered"));
        }
        let owner = rest.take::<64>().unwrap_or([0; 64]);
        if owner != package.as_bytes() {
            let owner = String::from_utf8_lossy(&owner).into_owned();
            return Err((format!("a session of the package {package}"), format!("one of {owner}")));
        }
        let broken = || complain("a whole session", "one whose parts do not fit");
        let count = rest.number().ok_or_else(broken)?;
        let tokens = (0..count).map(|_| rest.token()).collect::<Option<Vec<_>>>().ok_or_else(broken)?;
        let count = rest.number().ok_or_else(broken)?;
        if Some(rest.0.len() as u64) != count.checked_add(HASH as u64) {
            return Err(broken());
        }
        Ok(Self { tokens, values: rest.0[..rest.0.len() - HASH].to_vec() })
    }
}

/// Refuses a session of more bytes than so many tokens and values are. Returns the most.
fn check_length(name: &str, length: u64, [tokens, values]: [u64; 2]) -> Result<u64> {
    let most = values.saturating_add(tokens.saturating_mul(TOKEN)).saturating_add(FRAME);
    if length > most {
        let wanted = format!("a session of at most {tokens} tokens, which are {most} bytes");
        return Err(Error::request(name, wanted, format!("{length} bytes"))
            .hint("name another one, or open the engine with a longer context"));
    }
    Ok(most)
}

/// Bytes that are read from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn token(&mut self) -> Option<Token> {
        let [kind] = self.take()?;
        let number = u32::from_le_bytes(self.take()?);
        match kind {
            0 => Some(Token::Text(number)),
            1 => Some(Token::Picture { row: number, tile: Digest(self.take()?) }),
            2 => Some(Token::Scoped { id: number, scope: Digest(self.take()?) }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let package = "0".repeat(64);
        let tokens = vec![
            Token::Scoped { id: 9, scope: Digest([4; 32]) },
            Token::Text(7),
            Token::Picture { tile: Digest([3; 32]), row: 5 },
        ];
        let bytes = Session { tokens: tokens.clone(), values: vec![3, 0, 255] }.to_bytes(&package);
        let read = Session::from_bytes(&bytes, &package).ok().unwrap();
        assert_eq!((read.tokens, read.values), (tokens, vec![3, 0, 255]));
        let refusal = |bytes: &[u8], package: &str| Session::from_bytes(bytes, package).err().unwrap().1;
        assert!(refusal(&bytes, &"1".repeat(64)).starts_with("one of 000"));
        for end in 0..bytes.len() {
            refusal(&bytes[..end], &package);
        }
        for place in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[place] ^= 1;
            refusal(&altered, &package);
        }
    }
}
