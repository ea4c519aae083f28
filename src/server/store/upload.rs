//! A file on its way into the store.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::folder::{RECORD_BYTES, remove};
use super::id::Id;
use super::ledger::Entry;
use super::record::{About, FileRecord, Owner};
use super::refusal::Refusal;
use super::shelf::Shelf;
use super::stored::StoredFile;
use crate::digest::hex;
use crate::study::{KeptFile, Source};

/// A file on its way into the store. Dropped before it is kept, it leaves nothing.
#[derive(Debug)]
pub(in crate::server) struct Upload {
    shelf: Arc<Shelf>,
    id: Id,
    owner: Owner,
    part: Part,
    file: File,
    bytes: u64,
    hash: Sha256,
    entry: Entry,
}

/// The file that is written to. When it has got its name, there is none to delete.
#[derive(Debug)]
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// The content before it is kept, under the name that its client gave it.
#[derive(Debug)]
struct Draft {
    name: String,
    path: PathBuf,
}

impl KeptFile for Draft {
    fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Upload {
    /// An empty file.
    ///
    /// # Errors
    /// [`Refusal::Share`] if its owner has as many as they may have, [`Refusal::Full`] or [`Refusal::Failed`] if it cannot be
    /// made.
    pub(super) fn new(shelf: Arc<Shelf>, scope: &[u8]) -> Result<Self, Refusal> {
        let owner = Owner::of(scope);
        let entry = shelf.ledger.open(owner.clone())?;
        let id = Id::new().map_err(|error| Refusal::Failed(Box::new(error.facts().clone())))?;
        let path = shelf.folder.part(&id);
        let file = shelf.folder.create(&path).map_err(|error| Refusal::of("uploaded file", &error))?;
        Ok(Self { shelf, id, owner, part: Part(path), file, bytes: 0, hash: Sha256::new(), entry })
    }

    /// Adds to the content.
    ///
    /// # Errors
    /// If it becomes more than the file, its owner or the store may have, or the disk is full.
    pub(in crate::server) fn write(&mut self, data: &[u8]) -> Result<(), Refusal> {
        self.entry.grow(data.len() as u64)?;
        self.file.write_all(data).map_err(|error| Refusal::of("uploaded file", &error))?;
        self.hash.update(data);
        self.bytes += data.len() as u64;
        Ok(())
    }

    /// The content so far, to be read before this is kept or dropped.
    pub(in crate::server) fn source(&self, name: &str) -> Source {
        Source::Kept(Arc::new(Draft { name: name.to_owned(), path: self.part.0.clone() }))
    }

    /// Puts the file into the store.
    ///
    /// # Errors
    /// [`Refusal::Full`] or [`Refusal::Failed`] if it cannot be; nothing is left then.
    pub(in crate::server) fn keep(self, about: About) -> Result<Arc<StoredFile>, Refusal> {
        let Self { shelf, id, owner, part, file, bytes, hash, entry } = self;
        let record = FileRecord::new(id.to_string(), owner, (bytes, hex(&hash.finalize())), about);
        let text = serde_json::to_vec(&record).unwrap_or_default();
        if text.len() as u64 > RECORD_BYTES {
            return Err(Refusal::too_large(RECORD_BYTES));
        }
        let path = shelf.folder.content(&id);
        let failed = |error: std::io::Error| Refusal::of("uploaded file", &error);
        let held = StoredFile::new(record, path.clone(), entry);
        let settled = shelf.folder.settle(&file, &part.0, &path);
        if let Err(error) = settled.and_then(|()| shelf.folder.write_record(&id, &text)) {
            held.delete();
            return Err(failed(error));
        }
        Ok(shelf.put(id, held))
    }
}
