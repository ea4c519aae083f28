//! A file of the store, in the hands of those who use it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::folder::remove;
use super::ledger::Entry;
use super::record::FileRecord;
use crate::study::KeptFile;

/// A file of the store. Once it is deleted nobody finds it any more, but its content stays until the last who uses it has
/// let go of it.
#[derive(Debug)]
pub(in crate::server) struct StoredFile {
    record: FileRecord,
    path: PathBuf,
    is_deleted: AtomicBool,
    _entry: Entry,
}

impl StoredFile {
    pub(super) fn new(record: FileRecord, path: PathBuf, entry: Entry) -> Self {
        Self { record, path, is_deleted: AtomicBool::new(false), _entry: entry }
    }

    pub(in crate::server) fn record(&self) -> &FileRecord {
        &self.record
    }

    /// Has the content deleted when nobody uses it any more.
    pub(super) fn delete(&self) {
        self.is_deleted.store(true, Ordering::Release);
    }
}

impl KeptFile for StoredFile {
    fn name(&self) -> &str {
        &self.record.name
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StoredFile {
    fn drop(&mut self) {
        if self.is_deleted.load(Ordering::Acquire) {
            remove(&self.path);
        }
    }
}
