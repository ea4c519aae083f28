//! The store.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::folder::{Folder, Found, RECORD_BYTES, remove};
use super::id::Id;
use super::ledger::Ledger;
use super::record::{FileRecord, Owner};
use super::refusal::Refusal;
use super::shelf::Shelf;
use super::stored::StoredFile;
use super::upload::Upload;
use crate::error::{Error, Result};
use crate::server::settings::FileSettings;

/// Files that clients upload, until they are deleted or expire. What one scope uploads no other finds.
#[derive(Debug, Clone)]
pub(in crate::server) struct Store(Arc<Shelf>);

/// How much is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Usage {
    pub(in crate::server) files: usize,
    /// Those that are being written and those that are deleted but still read are among them.
    pub(in crate::server) bytes: u64,
}

impl Store {
    /// The store in the folder of the settings, with what it holds from before; or in a temporary one.
    ///
    /// # Errors
    /// [`Error::Request`] if the folder cannot be used, [`Error::Runtime`] if none can be made.
    pub(in crate::server) fn open(settings: &FileSettings) -> Result<Self> {
        let folder = match &settings.folder {
            Some(path) => Folder::lasting(path)?,
            None => Folder::temporary(&std::env::temp_dir())?,
        };
        let store = Self(Arc::new(Shelf::new(folder, Arc::new(Ledger::new(settings)))));
        store.restore().map_err(|error| {
            Error::runtime("folder of uploaded files", "to be read", error)
                .hint("name another one with --files")
        })?;
        Ok(store)
    }

    /// Finds what is whole, and deletes the rest.
    fn restore(&self) -> io::Result<()> {
        let Shelf { folder, ledger, .. } = &*self.0;
        for (id, found) in folder.survey()? {
            let (content, record) = (folder.content(&id), folder.record(&id));
            match whole(&id, found, (&content, &record)) {
                Some(record) => {
                    let entry = ledger.enter(record.owner.clone(), record.bytes);
                    self.0.put(id, StoredFile::new(record, content, entry));
                }
                None => {
                    remove(&record);
                    remove(&content);
                }
            }
        }
        Ok(())
    }

    /// Begins a file.
    ///
    /// # Errors
    /// If its owner has as many as they may have, or the machine fails.
    pub(in crate::server) fn begin(&self, scope: &[u8]) -> std::result::Result<Upload, Refusal> {
        Upload::new(Arc::clone(&self.0), scope)
    }

    /// A file of this scope. It can be read as long as the result lives.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also if another scope has it.
    pub(in crate::server) fn get(
        &self,
        scope: &[u8],
        id: &str,
    ) -> std::result::Result<Arc<StoredFile>, Refusal> {
        let held = Id::of(id).and_then(|id| self.0.get(&id));
        held.filter(|held| held.record().owner == Owner::of(scope)).ok_or_else(|| Refusal::not_found(id))
    }

    /// All files of this scope, the oldest first.
    pub(in crate::server) fn list(&self, scope: &[u8]) -> Vec<Arc<StoredFile>> {
        let owner = Owner::of(scope);
        let mut files = self.0.all();
        files.retain(|held| held.record().owner == owner);
        files.sort_by(|one, other| one.record().order().cmp(&other.record().order()));
        files
    }

    /// Deletes a file of this scope. Requests that read it read on; its content is deleted after the last of them.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], also if another scope has it.
    pub(in crate::server) fn delete(&self, scope: &[u8], id: &str) -> std::result::Result<(), Refusal> {
        let held = self.get(scope, id)?;
        if let Some(id) = Id::of(&held.record().id) {
            self.0.take(&id);
        }
        Ok(())
    }

    /// Deletes what has expired, and returns the ids.
    pub(in crate::server) fn sweep(&self) -> Vec<String> {
        let expired = self.0.expired();
        expired.iter().for_each(|id| self.0.take(id));
        expired.iter().map(Id::to_string).collect()
    }

    /// Whether anybody has a file of this id.
    pub(in crate::server) fn is_there(&self, id: &str) -> bool {
        Id::of(id).is_some_and(|id| self.0.get(&id).is_some())
    }

    pub(in crate::server) fn usage(&self) -> Usage {
        Usage { files: self.0.len(), bytes: self.0.ledger.bytes() }
    }
}

/// The record of a file that is whole and has not expired.
fn whole(id: &Id, found: Found, (content, record): (&Path, &Path)) -> Option<FileRecord> {
    if found != (Found { content: true, record: true }) {
        return None;
    }
    let mut text = Vec::new();
    File::open(record).ok()?.take(RECORD_BYTES + 1).read_to_end(&mut text).ok()?;
    let record: FileRecord = serde_json::from_slice(&text).ok()?;
    let facts = fs::symlink_metadata(content).ok()?;
    let is_whole = facts.is_file() && facts.len() == record.bytes && record.id == id.as_str();
    (is_whole && !record.is_expired()).then_some(record)
}

#[cfg(test)]
mod tests;
