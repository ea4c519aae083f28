//! The digest of a file that can be as large as a model's weights, computed on all cores.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sha2::{Digest, Sha256};

use crate::digest::{hex, sha256_of};

/// Bytes of one part.
const PART: u64 = 16 << 20;

/// SHA-256 of the SHA-256 digests of a file's parts of 16 MiB, in their order.
pub(super) fn digest_by_parts(path: &Path) -> io::Result<String> {
    let parts = File::open(path)?.metadata()?.len().div_ceil(PART);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, |number| number.get() as u64).min(parts);
    let found: io::Result<Vec<_>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| some_parts(path, parts, &next))).collect();
        let all = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(io::Error::other("a panic"))));
        all.collect()
    });
    let mut found: Vec<_> = found?.into_iter().flatten().collect();
    found.sort_unstable();
    let mut hash = Sha256::new();
    found.iter().for_each(|(_, digest)| hash.update(digest));
    Ok(hex(&hash.finalize()))
}

/// The numbers and digests of the parts that no other thread took.
fn some_parts(path: &Path, parts: u64, next: &AtomicU64) -> io::Result<Vec<(u64, [u8; 32])>> {
    let mut file = File::open(path)?;
    let mut found = Vec::new();
    loop {
        let part = next.fetch_add(1, Ordering::Relaxed);
        if part >= parts {
            return Ok(found);
        }
        file.seek(SeekFrom::Start(part * PART))?;
        found.push((part, sha256_of((&mut file).take(PART))?));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn parts_are_put_together_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine");
        for length in [0, 1, PART - 1, PART, PART + 1, 3 * PART + 7] {
            let bytes: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            fs::write(&path, &bytes).unwrap();
            let mut hash = Sha256::new();
            bytes.chunks(PART as usize).for_each(|part| hash.update(Sha256::digest(part)));
            assert_eq!(digest_by_parts(&path).unwrap(), hex(&hash.finalize()), "{length}");
        }
        digest_by_parts(&folder.path().join("none")).unwrap_err();
    }
}
