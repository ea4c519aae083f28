//! SHA-256 digests.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// SHA-256 of everything that a reader gives.
pub(crate) fn sha256_of(bytes: impl Read) -> io::Result<[u8; 32]> {
    sha256_while(bytes, |_| true)
}

/// The same, as long as a function goes on, which hears how many bytes each block had.
///
/// # Errors
/// [`io::ErrorKind::Interrupted`] if it does not; and what reading may end with.
pub(crate) fn sha256_while(
    mut bytes: impl Read,
    mut goes_on: impl FnMut(usize) -> bool,
) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match bytes.read(&mut block)? {
            0 => return Ok(hash.finalize().into()),
            n => {
                hash.update(&block[..n]);
                if !goes_on(n) {
                    return Err(io::ErrorKind::Interrupted.into());
                }
            }
        }
    }
}

/// The bytes in lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
