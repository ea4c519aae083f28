//! API keys: who may use the server, and whose requests share what is kept in memory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::{Error, Result};
use crate::wire::read_text;

/// Whose request it is: the SHA-256 of its key. Empty where there are no keys.
pub(super) type Scope = Arc<[u8]>;

/// Letters of the shortest key that nobody guesses.
const SHORTEST: usize = 16;
/// Before the SHA-256 of a key, in place of the key.
const HASHED: &str = "sha256:";
/// Permission of everybody to read.
const OTHERS_READ: u32 = 0o004;

/// The keys of a file. Only their hashes are kept.
pub(super) struct Keys {
    /// None where everybody may ask.
    file: Option<PathBuf>,
    hashes: RwLock<Vec<[u8; 32]>>,
}

impl Keys {
    /// Reads the file, if there is one.
    ///
    /// # Errors
    /// [`Error::Request`] naming a line that is no key, and for keys that everybody on this machine can read.
    pub(super) fn open(file: Option<&Path>) -> Result<Self> {
        let hashes = file.map_or(Ok(Vec::new()), read)?;
        Ok(Self { file: file.map(Path::to_owned), hashes: RwLock::new(hashes) })
    }

    /// Whether a key is needed.
    pub(super) fn are_needed(&self) -> bool {
        self.file.is_some()
    }

    /// Reads the file again. If it cannot be read, the keys stay as they are.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub(super) fn reload(&self) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        *self.hashes.write().unwrap_or_else(PoisonError::into_inner) = read(file)?;
        Ok(())
    }

    /// Whose key it is; none if it is nobody's. The time that it takes does not depend on how much of a key is right.
    pub(super) fn scope(&self, key: Option<&[u8]>) -> Option<Scope> {
        if !self.are_needed() {
            return Some(Arc::new([]));
        }
        let given = hash(key?);
        let hashes = self.hashes.read().unwrap_or_else(PoisonError::into_inner);
        let found = hashes.iter().fold(0, |found, known| found | known.ct_eq(&given).unwrap_u8());
        (found == 1).then(|| Arc::from(given))
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn read(file: &Path) -> Result<Vec<[u8; 32]>> {
    let name = file.display();
    let text = read_text(file)?;
    let (mut hashes, mut plain) = (Vec::new(), false);
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let hash = match line.strip_prefix(HASHED) {
            Some(digits) => unhex(digits),
            None => {
                plain = true;
                let fits = line.len() >= SHORTEST && line.bytes().all(|letter| letter.is_ascii_graphic());
                fits.then(|| hash(line.as_bytes()))
            }
        };
        // The line may be a key: it is not repeated.
        hashes.push(hash.ok_or_else(|| {
            let wanted = format!(
                "a key of at least {SHORTEST} ASCII letters without spaces, or {HASHED} and 64 hex digits"
            );
            Error::request(format!("{name}, line {}", place + 1), wanted, "another text")
                .hint("make a key with: openssl rand -hex 24")
        })?);
    }
    if hashes.is_empty() {
        return Err(Error::request(name, "at least one key", "none").hint("write one key on each line"));
    }
    let others_read = fs::metadata(file).is_ok_and(|facts| facts.mode() & OTHERS_READ != 0);
    if plain && others_read {
        return Err(Error::request(
            name,
            "a file that only its owner and group read",
            "one that everybody reads",
        )
        .hint("run chmod 640 on it, or write the hashes of the keys, sha256:…"));
    }
    Ok(hashes)
}

/// 32 bytes of 64 hex digits.
fn unhex(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::digest::hex;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn each_key_has_a_scope_and_others_have_none() {
        let second = hex(&hash(b"second key of a file".as_slice()));
        let (_folder, path) = file(&format!("# two\n0123456789abcdef\n\nsha256:{second}\n"), 0o600);
        let keys = Keys::open(Some(&path)).unwrap();
        let one = keys.scope(Some(b"0123456789abcdef")).unwrap();
        let two = keys.scope(Some(b"second key of a file")).unwrap();
        assert_ne!(one, two);
        for wrong in [None, Some(&b""[..]), Some(b"0123456789abcdeF"), Some(second.as_bytes())] {
            assert_eq!(keys.scope(wrong), None);
        }
    }

    #[test]
    fn without_a_file_everybody_shares_a_scope() {
        let keys = Keys::open(None).unwrap();
        assert_eq!(keys.scope(None).as_deref(), Some(&[][..]));
    }

    #[test]
    fn a_file_is_refused_without_telling_its_keys() {
        for (text, mode, got) in [
            ("short-secret\n", 0o600, "another text"),
            ("sha256:12\n", 0o600, "another text"),
            ("a key with spaces in it\n", 0o600, "another text"),
            ("# nothing\n", 0o600, "none"),
            ("0123456789abcdef\n", 0o644, "one that everybody reads"),
        ] {
            let (_folder, path) = file(text, mode);
            let error = Keys::open(Some(&path)).err().unwrap();
            assert_eq!(error.facts().got, got, "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn keys_are_reloaded_and_kept_if_the_file_is_broken() {
        let (_folder, path) = file("0123456789abcdef\n", 0o600);
        let keys = Keys::open(Some(&path)).unwrap();
        fs::write(&path, "fedcba9876543210\n").unwrap();
        keys.reload().unwrap();
        assert!(keys.scope(Some(b"0123456789abcdef")).is_none());
        fs::write(&path, "bad\n").unwrap();
        keys.reload().unwrap_err();
        assert!(keys.scope(Some(b"fedcba9876543210")).is_some());
    }
}
