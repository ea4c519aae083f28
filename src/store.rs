//! Folders of what takes minutes to build, each named by what it was built from and checked before it is used.
//!
//! A folder is filled under a name of its own and put in place with one rename, so that it is there as a whole or not at
//! all, whoever else builds the same at the same time.

mod digest;

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::package::hex;
use digest::digest_by_parts;

/// What an entry was built from and for: it is good for nothing else.
pub(crate) type Facts = BTreeMap<String, String>;

/// Where entries are looked for, and where new ones go.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// In this order; the last is where they are built.
    folders: Vec<PathBuf>,
}

/// What was built, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) folder: PathBuf,
    /// Length of all its files.
    pub(crate) bytes: u64,
}

/// Whether there is an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Present(Entry),
    /// There is one that was altered since, and how.
    Damaged(PathBuf, String),
    Absent,
}

/// An entry that is being built. It is gone when this goes, unless it was published.
pub(crate) struct Draft {
    key: String,
    facts: Facts,
    folder: PathBuf,
    place: PathBuf,
    /// Locked as long as this process lives, which is how another one knows what a killed one left behind.
    _lock: File,
}

/// The file that says what else is in an entry.
const LIST: &str = "entry.json";
const SCHEMA: u64 = 2;
const PARTIAL: &str = ".partial-";
/// Between the making of a draft's folder and its lock, nobody takes it for one that was left behind.
const LOCKED_AFTER: Duration = Duration::from_secs(600);
/// How often somebody else's entry may come and go while one is put in its place.
const ATTEMPTS: usize = 5;

/// The content of [`LIST`].
#[derive(Serialize, Deserialize)]
struct List {
    schema: u64,
    key: String,
    facts: Facts,
    files: BTreeMap<String, Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    bytes: u64,
    /// By parts.
    sha256: String,
}

/// The name of the entry for these facts.
pub(crate) fn key(facts: &Facts) -> String {
    let mut hash = Sha256::new();
    for text in facts.iter().flat_map(|(name, value)| [name, value]) {
        // with its length, so that no two lists of texts are one row of bytes
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hex(&hash.finalize())
}

/// The folder for what can be built again: of the user, by the rules of the desktop.
///
/// # Errors
/// [`Error::Request`] where the machine has none.
pub(crate) fn usual_folder() -> Result<PathBuf> {
    let named = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("fleming")).ok_or_else(|| {
        Error::request(
            "engine-cache",
            "a folder for engines",
            "none, and neither XDG_CACHE_HOME nor HOME is set",
        )
        .hint("`--engine-cache` names one")
    })
}

impl Store {
    /// A store that looks in these folders, in their order, and builds in the last.
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// The first intact entry for these facts. A damaged one is removed where it could be built again, and told.
    pub(crate) fn look_up(&self, facts: &Facts) -> Option<Entry> {
        let key = key(facts);
        self.folders.iter().enumerate().find_map(|(place, folder)| match state(&folder.join(&key), &key) {
            State::Present(entry) => Some(entry),
            State::Absent => None,
            State::Damaged(entry, reason) => {
                tracing::warn!(entry = %entry.display(), reason, "what was built is damaged and is not used");
                if place + 1 == self.folders.len() {
                    let _ = fs::remove_dir_all(&entry);
                }
                None
            }
        })
    }

    /// How it is with the entry for these facts. Nothing is changed.
    pub(crate) fn state(&self, facts: &Facts) -> State {
        let key = key(facts);
        let states = self.folders.iter().map(|folder| state(&folder.join(&key), &key));
        states.fold(State::Absent, |found, state| match (&found, &state) {
            (State::Present(_), _) | (_, State::Absent) => found,
            _ => state,
        })
    }

    /// Begins an entry.
    ///
    /// # Errors
    /// [`Error::Request`] if no folder can be made for it.
    pub(crate) fn start(&self, facts: &Facts) -> Result<Draft> {
        let key = key(facts);
        let Some(parent) = self.folders.last() else {
            return Err(Error::request("engine-cache", "a folder for engines", "none"));
        };
        let refused = |error: io::Error| {
            Error::request(
                format!("engine-cache {}", parent.display()),
                "a folder that can be written to",
                error,
            )
            .hint("`--engine-cache` names another one")
        };
        fs::create_dir_all(parent).map_err(refused)?;
        sweep(parent);
        let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
        let mut number = process::id().rotate_left(16) ^ nanos;
        let folder = loop {
            let folder = parent.join(format!("{key}{PARTIAL}{number:08x}"));
            match fs::create_dir(&folder) {
                Ok(()) => break folder,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number = number.wrapping_add(1),
                Err(error) => return Err(refused(error)),
            }
        };
        let lock = File::open(&folder).map_err(refused)?;
        // on a file system without locks nobody else gets one either, and nothing is swept
        let _ = lock.try_lock();
        Ok(Draft { place: parent.join(&key), key, facts: facts.clone(), folder, _lock: lock })
    }

    /// The newest file whose name ends so in an intact entry that has these facts in common with `facts`.
    pub(crate) fn newest(&self, ending: &str, facts: &Facts, common: &[&str]) -> Option<PathBuf> {
        let entries = self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let mut found = entries
            .filter_map(|entry| {
                let folder = entry.path();
                let list = read(&folder).ok()?;
                let alike = common.iter().all(|fact| list.facts.get(*fact) == facts.get(*fact));
                let (name, listed) = list.files.iter().find(|(name, _)| alike && name.ends_with(ending))?;
                let file = folder.join(name);
                let made = fs::metadata(&file).and_then(|facts| facts.modified()).ok()?;
                listed.check(&file).is_ok().then_some((made, file))
            })
            .collect::<Vec<_>>();
        found.sort();
        found.pop().map(|(_, file)| file)
    }
}

impl Entry {
    /// When each file was last written, which tells whether somebody wrote since.
    pub(crate) fn marks(&self) -> Vec<(PathBuf, Option<SystemTime>)> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut marks: Vec<_> = files
            .map(|file| (file.path(), file.metadata().and_then(|facts| facts.modified()).ok()))
            .collect();
        marks.sort();
        marks
    }

    /// Begins the same entry in another store with the files of this one.
    ///
    /// # Errors
    /// [`Error::Request`] if the files cannot be copied.
    pub(crate) fn copy_to(&self, store: &Store, facts: &Facts) -> Result<Draft> {
        let draft = store.start(facts)?;
        let copy = || -> io::Result<()> {
            for file in fs::read_dir(&self.folder)? {
                let file = file?;
                fs::copy(file.path(), draft.folder.join(file.file_name()))?;
            }
            Ok(())
        };
        copy().map_err(|error| {
            Error::request(format!("engine-cache {}", draft.folder.display()), "a copy of an entry", error)
        })?;
        Ok(draft)
    }
}

impl Draft {
    /// Where to build.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a file of it ends so.
    pub(crate) fn has(&self, ending: &str) -> bool {
        names(&self.folder).is_ok_and(|names| names.iter().any(|name| name.ends_with(ending)))
    }

    /// Lists the files and puts the entry in its place. If an intact one has come there in the meantime, that one stays.
    ///
    /// # Errors
    /// [`Error::Request`] if it cannot be put there.
    pub(crate) fn publish(self) -> Result<Entry> {
        let refused = |error: io::Error| {
            Error::request(
                format!("engine-cache {}", self.place.display()),
                "an entry put in its place",
                error,
            )
        };
        self.list().map_err(refused)?;
        for _ in 0..ATTEMPTS {
            match fs::rename(&self.folder, &self.place) {
                Ok(()) => break,
                Err(error) if in_the_way(&error) => match state(&self.place, &self.key) {
                    State::Present(entry) => return Ok(entry),
                    State::Damaged(..) => fs::remove_dir_all(&self.place).map_err(refused)?,
                    State::Absent => {}
                },
                Err(error) => return Err(refused(error)),
            }
        }
        match state(&self.place, &self.key) {
            State::Present(entry) => Ok(entry),
            State::Damaged(_, reason) => Err(refused(io::Error::other(reason))),
            State::Absent => Err(refused(io::Error::other("somebody removes it"))),
        }
    }

    fn list(&self) -> io::Result<()> {
        let mut files = BTreeMap::new();
        for name in names(&self.folder)? {
            let path = self.folder.join(&name);
            // on the disk before the list is, so that a power cut leaves no entry that only looks whole
            File::open(&path)?.sync_all()?;
            let bytes = fs::metadata(&path)?.len();
            files.insert(name, Listed { bytes, sha256: digest_by_parts(&path)? });
        }
        let (key, facts) = (self.key.clone(), self.facts.clone());
        let text = serde_json::to_vec_pretty(&List { schema: SCHEMA, key, facts, files })?;
        let path = self.folder.join(LIST);
        fs::write(&path, text)?;
        File::open(path)?.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // it is elsewhere if it was published
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Listed {
    fn check(&self, path: &Path) -> std::result::Result<(), String> {
        let name = path.file_name().unwrap_or_default().display();
        match fs::metadata(path) {
            Ok(facts) if facts.len() == self.bytes => match digest_by_parts(path) {
                Ok(digest) if digest == self.sha256 => Ok(()),
                Ok(digest) => Err(format!("{name} has SHA-256 {digest} and not {}", self.sha256)),
                Err(error) => Err(format!("{name}: {error}")),
            },
            Ok(facts) => Err(format!("{name} has {} bytes and not {}", facts.len(), self.bytes)),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }
}

/// Reads an entry and compares every file with the list.
fn state(folder: &Path, key: &str) -> State {
    if !folder.exists() {
        return State::Absent;
    }
    let intact = || -> std::result::Result<u64, String> {
        let list = read(folder)?;
        if list.schema != SCHEMA || list.key != key || self::key(&list.facts) != key {
            return Err(format!("{LIST} is of another entry"));
        }
        let found = names(folder).map_err(|error| error.to_string())?;
        if let Some(stranger) = found.iter().find(|name| !list.files.contains_key(*name)) {
            return Err(format!("{stranger} is not listed"));
        }
        list.files.iter().try_for_each(|(name, listed)| listed.check(&folder.join(name)))?;
        Ok(list.files.values().map(|listed| listed.bytes).sum())
    };
    match intact() {
        Ok(bytes) => State::Present(Entry { key: key.into(), folder: folder.into(), bytes }),
        Err(reason) => State::Damaged(folder.into(), reason),
    }
}

fn read(folder: &Path) -> std::result::Result<List, String> {
    let text = fs::read(folder.join(LIST)).map_err(|error| format!("{LIST}: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{LIST}: {error}"))
}

/// The files of an entry but its list.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let name = |file: io::Result<fs::DirEntry>| Ok(file?.file_name().to_string_lossy().into_owned());
    let names: io::Result<Vec<_>> = fs::read_dir(folder)?.map(name).collect();
    Ok(names?.into_iter().filter(|name| name != LIST).collect())
}

fn in_the_way(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty)
}

/// Removes what killed processes left behind; what living ones build is locked.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let old = entry.metadata().and_then(|facts| facts.modified()).ok();
        let old = old.and_then(|made| made.elapsed().ok()).is_some_and(|age| age > LOCKED_AFTER);
        if !old || !entry.file_name().to_string_lossy().contains(PARTIAL) {
            continue;
        }
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests;
