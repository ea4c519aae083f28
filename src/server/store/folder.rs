//! The folder of the store: whose it is, who uses it, and what is in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tempfile::TempDir;

use super::id::Id;
use crate::error::{Error, Result};

/// Permission of the owner alone.
const OWNER_ONLY: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Permissions of the group and all others.
const OTHERS: u32 = 0o077;
/// StoredFile by the server that uses the folder.
const LOCK: &str = ".lock";
/// What the names of temporary folders begin with.
const TEMPORARY: &str = "fleming-files-";
const RECORD: &str = ".json";
const PART: &str = ".part";
/// Bytes of the longest record. What is found in a study is far shorter.
pub(super) const RECORD_BYTES: u64 = 4 << 20;

/// The folder of the store. No other server uses it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Whether it outlives the server.
    lasting: bool,
    _lock: File,
    /// Dropped last: it takes the folder with it.
    _temporary: Option<TempDir>,
}

/// What is in the folder of one id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) content: bool,
    pub(super) record: bool,
}

impl Folder {
    /// A folder that outlives the server. It is made if only its last part is missing.
    ///
    /// # Errors
    /// [`Error::Request`] if it cannot be used, others may read it, or another server uses it.
    pub(super) fn lasting(path: &Path) -> Result<Self> {
        let refuse = |wanted: &str, got: &dyn std::fmt::Display, hint: &str| {
            Error::request(format!("--files {}", path.display()), wanted, got).hint(hint)
        };
        match DirBuilder::new().mode(OWNER_ONLY).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(refuse(
                    "a folder that is there or can be made",
                    &error,
                    "make it, for its owner alone",
                ));
            }
            _ => {}
        }
        let unusable = |error: io::Error| refuse("a folder that can be used", &error, "name another folder");
        let facts = fs::metadata(path).map_err(unusable)?;
        if !facts.is_dir() {
            return Err(refuse("a folder", &"something else", "name another one"));
        }
        if facts.uid() != geteuid().as_raw() {
            let got = format!("one of user {}", facts.uid());
            return Err(refuse(
                "a folder of this user",
                &got,
                "name another folder, or give it to this user with chown",
            ));
        }
        if facts.mode() & OTHERS != 0 {
            let got = format!("one with the permissions {:o}", facts.mode() & 0o777);
            return Err(refuse("a folder that its owner alone may read", &got, "run chmod 700 on it"));
        }
        // Links on the way must not lead elsewhere later.
        let path = path.canonicalize().map_err(unusable)?;
        match lock(&path).map_err(unusable)? {
            Some(lock) => Ok(Self { path, lasting: true, _lock: lock, _temporary: None }),
            None => Err(refuse(
                "a folder that no other server uses",
                &"one that another server uses",
                "name another folder, or end the other server",
            )),
        }
    }

    /// A folder below `base` that goes with the server. Those of servers that were killed are deleted.
    ///
    /// # Errors
    /// [`Error::Runtime`] if none can be made.
    pub(super) fn temporary(base: &Path) -> Result<Self> {
        clear(base);
        let failed = |error: io::Error| {
            Error::runtime("folder of uploaded files", format!("a new one in {}", base.display()), error)
                .hint("name one with --files")
        };
        let mut builder = tempfile::Builder::new();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(OWNER_ONLY);
        let folder = builder.prefix(TEMPORARY).permissions(permissions).tempdir_in(base).map_err(failed)?;
        let lock = lock(folder.path()).map_err(failed)?;
        let lock = lock.ok_or_else(|| failed(ErrorKind::AlreadyExists.into()))?;
        Ok(Self { path: folder.path().to_owned(), lasting: false, _lock: lock, _temporary: Some(folder) })
    }

    pub(super) fn content(&self, id: &Id) -> PathBuf {
        self.path.join(id.as_str())
    }

    pub(super) fn record(&self, id: &Id) -> PathBuf {
        self.path.join(format!("{id}{RECORD}"))
    }

    /// Where the content is until it is complete.
    pub(super) fn part(&self, id: &Id) -> PathBuf {
        self.path.join(format!("{id}{PART}"))
    }

    /// A new file that its owner alone reads.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
    }

    /// Makes a complete file of a part.
    pub(super) fn settle(&self, file: &File, from: &Path, to: &Path) -> io::Result<()> {
        if self.lasting {
            file.sync_all()?;
        }
        fs::rename(from, to)?;
        self.sync()
    }

    /// Writes a record, whole or not at all.
    pub(super) fn write_record(&self, id: &Id, text: &[u8]) -> io::Result<()> {
        let path = self.record(id);
        let part = self.path.join(format!("{id}{RECORD}{PART}"));
        let written = self.create(&part).and_then(|mut file| {
            file.write_all(text)?;
            self.settle(&file, &part, &path)
        });
        written.inspect_err(|_| remove(&part))
    }

    /// Makes the names of files last.
    fn sync(&self) -> io::Result<()> {
        if self.lasting { File::open(&self.path)?.sync_all() } else { Ok(()) }
    }

    /// What is there, by id; what was left behind incomplete is deleted. Files of other names are not touched.
    pub(super) fn survey(&self) -> io::Result<Vec<(Id, Found)>> {
        let mut all = std::collections::BTreeMap::<Id, Found>::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(part) = name.strip_suffix(PART) {
                if Id::of(part.strip_suffix(RECORD).unwrap_or(part)).is_some() {
                    remove(&entry.path());
                }
                continue;
            }
            let (stem, is_record) = match name.strip_suffix(RECORD) {
                Some(stem) => (stem, true),
                None => (name, false),
            };
            let Some(id) = Id::of(stem) else { continue };
            let found = all.entry(id).or_default();
            if is_record { found.record = true } else { found.content = true }
        }
        Ok(all.into_iter().collect())
    }
}

/// Removes a file. One that stays is a leftover, which the next start deletes.
pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(target: "fleming::server", %error, "a file of the store could not be deleted");
    }
}

/// The lock of a folder; none if another server holds it. It lies in the folder only while it is held, or after a server was
/// killed.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let path = folder.join(LOCK);
    let options = || OpenOptions::new().write(true).clone();
    if let Ok(file) = options().open(&path) {
        return taken(file);
    }
    // Nobody must find it unlocked: a temporary folder would then be taken for one of a server that was killed.
    let new = tempfile::Builder::new().prefix(LOCK).tempfile_in(folder)?;
    let held = taken(new.reopen()?)?;
    match new.persist_noclobber(&path) {
        Ok(_) => Ok(held),
        // Another server was faster.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => taken(options().open(&path)?),
        Err(error) => Err(error.error),
    }
}

fn taken(file: File) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Deletes temporary folders of ours that nobody uses any more.
fn clear(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY))
            && entry.metadata().is_ok_and(|facts| facts.is_dir() && facts.uid() == geteuid().as_raw());
        let lock = OpenOptions::new().write(true).open(entry.path().join(LOCK));
        if is_ours && let Ok(Some(_held)) = lock.and_then(taken) {
            match fs::remove_dir_all(entry.path()) {
                Ok(()) => {
                    tracing::info!(target: "fleming::server", "deleted the uploads of a server that was killed")
                }
                Err(error) => {
                    tracing::warn!(target: "fleming::server", %error, "a temporary folder could not be deleted")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_is_its_owners_alone_and_used_by_one_server() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("files");
        let folder = Folder::lasting(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, OWNER_ONLY);
        let error = Folder::lasting(&path).unwrap_err();
        assert_eq!(error.facts().got, "one that another server uses", "{error}");
        drop(folder);
        let again = Folder::lasting(&path).unwrap();
        drop(again);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let error = Folder::lasting(&path).unwrap_err();
        assert!(error.to_string().contains("755") && error.facts().hint.contains("chmod 700"), "{error}");
        fs::write(base.path().join("plain"), "").unwrap();
        assert!(Folder::lasting(&base.path().join("plain")).is_err());
        assert!(Folder::lasting(&base.path().join("no/where")).is_err());
        if geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(12_345), None).unwrap();
            let error = Folder::lasting(&path).unwrap_err();
            assert!(error.facts().got.contains("12345"), "{error}");
        }
    }

    #[test]
    fn a_temporary_folder_goes_with_its_server_and_after_one_that_was_killed() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::temporary(base.path()).unwrap();
        let path = folder.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, OWNER_ONLY);
        // One that is used stays, as does what is not ours by its name or its lock.
        let other = Folder::temporary(base.path()).unwrap();
        for (name, has_lock) in [("fleming-files-new", false), ("others-files", true)] {
            fs::create_dir(base.path().join(name)).unwrap();
            if has_lock {
                fs::write(base.path().join(name).join(LOCK), "").unwrap();
            }
        }
        let killed = base.path().join("fleming-files-killed");
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join(LOCK), "").unwrap();
        fs::write(killed.join("file-x"), "a study").unwrap();
        symlink(&path, base.path().join("fleming-files-link")).unwrap();
        drop(other);
        let third = Folder::temporary(base.path()).unwrap();
        assert!(path.exists() && !killed.exists());
        assert!(base.path().join("fleming-files-new").exists() && base.path().join("others-files").exists());
        drop(third);
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn only_leftovers_of_ours_are_deleted() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("files");
        drop(Folder::lasting(&path).unwrap());
        let id = Id::new().unwrap();
        let parts = [format!("{id}.part"), format!("{id}.json.part")];
        let others = ["notes.txt", "file-1.json", "thesis.part", "file-xyz"];
        for name in parts.iter().map(String::as_str).chain(others) {
            fs::write(path.join(name), "x").unwrap();
        }
        fs::write(path.join(id.as_str()), "x").unwrap();
        let found = Folder::lasting(&path).unwrap().survey().unwrap();
        assert_eq!(found, [(id, Found { content: true, record: false })]);
        assert!(others.iter().all(|name| path.join(name).exists()));
        assert!(parts.iter().all(|name| !path.join(name).exists()));
    }
}
