//! The files of the store, by their ids.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::folder::{Folder, remove};
use super::id::Id;
use super::ledger::Ledger;
use super::stored::StoredFile;

/// The files of the store, by their ids.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) folder: Folder,
    pub(super) ledger: Arc<Ledger>,
    files: Mutex<BTreeMap<Id, Arc<StoredFile>>>,
}

impl Shelf {
    pub(super) fn new(folder: Folder, ledger: Arc<Ledger>) -> Self {
        Self { folder, ledger, files: Mutex::default() }
    }

    pub(super) fn put(&self, id: Id, held: StoredFile) -> Arc<StoredFile> {
        let held = Arc::new(held);
        self.lock().insert(id, Arc::clone(&held));
        held
    }

    /// The file of an id, unless it has expired.
    pub(super) fn get(&self, id: &Id) -> Option<Arc<StoredFile>> {
        self.lock().get(id).filter(|held| !held.record().is_expired()).cloned()
    }

    /// All files that have not expired.
    pub(super) fn all(&self) -> Vec<Arc<StoredFile>> {
        self.lock().values().filter(|held| !held.record().is_expired()).cloned().collect()
    }

    /// Takes a file away: nobody finds it any more, here or after a new start.
    pub(super) fn take(&self, id: &Id) {
        let Some(held) = self.lock().remove(id) else { return };
        held.delete();
        remove(&self.folder.record(id));
    }

    /// The ids of files that have expired.
    pub(super) fn expired(&self) -> Vec<Id> {
        let files = self.lock();
        files.iter().filter(|(_, held)| held.record().is_expired()).map(|(id, _)| id.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Every change is one of the map's: what a thread left behind that panicked is sound.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Id, Arc<StoredFile>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
