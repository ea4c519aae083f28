//! What the store knows of a file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// What the store knows of a file; its content as JSON stands beside the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct FileRecord {
    pub(in crate::server) id: String,
    /// The length of the content.
    pub(in crate::server) bytes: u64,
    /// Milliseconds since 1970.
    created: u64,
    /// Milliseconds since 1970.
    expires: u64,
    /// The name that its client gave it, cleaned.
    pub(in crate::server) name: String,
    pub(in crate::server) purpose: String,
    /// Whose it is.
    pub(super) owner: Owner,
    /// Of the content, in hex digits.
    pub(in crate::server) sha256: String,
    /// What is in it.
    pub(in crate::server) facts: Value,
}

/// What a client says of a file, and what was found in it.
#[derive(Debug, Clone)]
pub(in crate::server) struct About {
    pub(in crate::server) name: String,
    pub(in crate::server) purpose: String,
    pub(in crate::server) lifetime: Duration,
    pub(in crate::server) facts: Value,
}

/// Whose a file is: a hash of the scope of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Owner(String);

impl Owner {
    pub(super) fn of(scope: &[u8]) -> Self {
        let mut hash = Sha256::new_with_prefix(b"owner of files\0");
        hash.update(scope);
        Self(hex(&hash.finalize()))
    }
}

impl FileRecord {
    /// The record of a file that is complete now.
    pub(super) fn new(id: String, owner: Owner, (bytes, sha256): (u64, String), about: About) -> Self {
        let About { name, purpose, lifetime, facts } = about;
        let created = now();
        let lifetime = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX);
        let expires = created.saturating_add(lifetime);
        Self { id, bytes, created, expires, name, purpose, owner, sha256, facts }
    }

    /// Seconds since 1970.
    pub(in crate::server) fn created_at(&self) -> u64 {
        self.created / 1000
    }

    /// Seconds since 1970.
    pub(in crate::server) fn expires_at(&self) -> u64 {
        self.expires / 1000
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expires <= now()
    }

    /// By what files are listed: their time, and their id where that is the same.
    pub(super) fn order(&self) -> (u64, &str) {
        (self.created, &self.id)
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
