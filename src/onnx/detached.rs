//! Weights that do not depend on their file any more.
//!
//! ONNX Runtime maps weights from a package's files, and keeps those mapped that it does not rearrange. Where such a file is
//! cut short later, the next look at them would end the process (SIGBUS). So once a graph is loaded, what is still mapped is
//! read and takes the place of the mapping.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::maps;
use super::raw;

/// Folders that a graph is being loaded from.
static LOADING: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();

/// The right to load graphs from a folder, of one thread at a time: while ONNX Runtime loads, it maps and unmaps.
pub(super) struct Loading(PathBuf);

fn folders() -> MutexGuard<'static, Option<HashSet<PathBuf>>> {
    LOADING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Loading {
    /// Waits until no other thread loads from the folder.
    pub(super) fn from(folder: &Path) -> Self {
        let is_taken =
            |all: &mut Option<HashSet<PathBuf>>| all.as_ref().is_some_and(|all| all.contains(folder));
        let mut all = CHANGED.wait_while(folders(), is_taken).unwrap_or_else(PoisonError::into_inner);
        all.get_or_insert_default().insert(folder.into());
        Self(folder.into())
    }

    /// Reads what is mapped from files of the folder and puts it in the place of the mappings. Returns the number of bytes.
    ///
    /// # Errors
    /// If a file cannot be read, or there is no memory.
    pub(super) fn detach(&self) -> io::Result<usize> {
        let mapped = maps::of_files().into_iter().filter(|mapping| mapping.path.parent() == Some(&self.0));
        let mut bytes = 0;
        for mapping in mapped {
            let file = File::open(&mapping.path)?;
            bytes += mapping.addresses.len();
            raw::replace_mapping(mapping.addresses, &file, mapping.offset)?;
        }
        Ok(bytes)
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if let Some(all) = &mut *folders() {
            all.remove(&self.0);
        }
        CHANGED.notify_all();
    }
}
