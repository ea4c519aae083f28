//! The plan store: TensorRT's plans on disk. A plan is a folder, named by the SHA-256 of all that it was built from and
//! checked before it is loaded.
//!
//! A plan is written to a folder with a temporary name, which is renamed when it is complete. So a plan is there as a whole or
//! not at all, even if several processes build the same one.

mod parts;

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::digest::hex;
use crate::error::{Error, Result};
use parts::digest_by_parts;

/// Names and values of all that a plan was built from and for: package, graph, versions, GPU, settings. It is good for nothing
/// else.
pub(crate) type BuildInputs = BTreeMap<String, String>;

/// Folders in which plans are looked up and stored.
#[derive(Debug, Clone)]
pub(crate) struct PlanStore {
    /// In the order of the look-up. New plans go into the last.
    folders: Vec<PathBuf>,
}

/// A plan in a store, complete and unaltered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredPlan {
    pub(crate) key: String,
    pub(crate) folder: PathBuf,
    /// Length of all its files.
    pub(crate) bytes: u64,
}

/// Whether a store has a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LookUp {
    Present(StoredPlan),
    /// It was altered: its folder, and what is wrong.
    Damaged(PathBuf, String),
    Absent,
}

/// A plan that is being built. Its folder is removed on drop unless it was published.
pub(crate) struct PlanDraft {
    key: String,
    inputs: BuildInputs,
    folder: PathBuf,
    /// Where the folder goes when it is published.
    target: PathBuf,
    /// Locked as long as this process lives. Another process removes only drafts that are not locked.
    _lock: File,
}

/// The file with the build inputs of a plan and the digests of its files.
const LIST: &str = "entry.json";
const SCHEMA: u64 = 2;
const PARTIAL: &str = ".partial-";
/// Drafts younger than this are never swept: one may have its folder and not yet its lock.
const LOCKED_AFTER: Duration = Duration::from_secs(600);
/// How often a publication is tried while other processes publish and remove the same plan.
const ATTEMPTS: usize = 5;

/// The content of [`LIST`].
#[derive(Serialize, Deserialize)]
struct List {
    schema: u64,
    key: String,
    #[serde(rename = "facts")]
    inputs: BuildInputs,
    files: BTreeMap<String, Listed>,
}

#[derive(Serialize, Deserialize)]
struct Listed {
    bytes: u64,
    /// That of [`digest_by_parts`].
    sha256: String,
}

/// The name of the folder of a plan with these build inputs.
pub(crate) fn key(inputs: &BuildInputs) -> String {
    let mut hash = Sha256::new();
    for text in inputs.iter().flat_map(|(name, value)| [name, value]) {
        // with its length, so that no two inputs give the same bytes
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hex(&hash.finalize())
}

/// The user's folder for plans, `fleming` in `$XDG_CACHE_HOME` or in `~/.cache`.
///
/// # Errors
/// [`Error::Request`] if neither variable is set.
pub(crate) fn usual_folder() -> Result<PathBuf> {
    let named = |variable: &str| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("fleming")).ok_or_else(|| {
        Error::request(
            "engine-cache",
            "a folder for plans",
            "none, and neither XDG_CACHE_HOME nor HOME is set",
        )
        .hint("`--engine-cache` names one")
    })
}

impl PlanStore {
    /// A store that looks plans up in these folders, in their order, and stores new ones in the last.
    pub(crate) fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// The first intact plan with these build inputs. A damaged one is logged, and removed from the folder for new plans.
    pub(crate) fn find(&self, inputs: &BuildInputs) -> Option<StoredPlan> {
        let key = key(inputs);
        self.folders.iter().enumerate().find_map(|(place, folder)| match look_up(&folder.join(&key), &key) {
            LookUp::Present(plan) => Some(plan),
            LookUp::Absent => None,
            LookUp::Damaged(folder, reason) => {
                tracing::warn!(folder = %folder.display(), reason, "a plan is damaged and is not used");
                if place + 1 == self.folders.len() {
                    let _ = fs::remove_dir_all(&folder);
                }
                None
            }
        })
    }

    /// Looks a plan with these build inputs up and changes nothing.
    pub(crate) fn look_up(&self, inputs: &BuildInputs) -> LookUp {
        let key = key(inputs);
        let all = self.folders.iter().map(|folder| look_up(&folder.join(&key), &key));
        all.fold(LookUp::Absent, |found, next| match (&found, &next) {
            (LookUp::Present(_), _) | (_, LookUp::Absent) => found,
            _ => next,
        })
    }

    /// Makes the folder for a new plan.
    ///
    /// # Errors
    /// [`Error::Request`] if it cannot be made.
    pub(crate) fn start(&self, inputs: &BuildInputs) -> Result<PlanDraft> {
        let key = key(inputs);
        let Some(parent) = self.folders.last() else {
            return Err(Error::request("engine-cache", "a folder for plans", "none"));
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
        // without locks on this file system no process can lock the draft, and none sweeps it
        let _ = lock.try_lock();
        Ok(PlanDraft { target: parent.join(&key), key, inputs: inputs.clone(), folder, _lock: lock })
    }

    /// The newest intact file with this ending, of all plans whose build inputs agree with `inputs` in those named `common`.
    pub(crate) fn newest(&self, ending: &str, inputs: &BuildInputs, common: &[&str]) -> Option<PathBuf> {
        let plans = self.folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let mut found = plans
            .filter_map(|plan| {
                let folder = plan.path();
                let list = read(&folder).ok()?;
                let alike = common.iter().all(|name| list.inputs.get(*name) == inputs.get(*name));
                let (name, listed) = list.files.iter().find(|(name, _)| alike && name.ends_with(ending))?;
                let file = folder.join(name);
                let written = fs::metadata(&file).and_then(|metadata| metadata.modified()).ok()?;
                listed.check(&file).is_ok().then_some((written, file))
            })
            .collect::<Vec<_>>();
        found.sort();
        found.pop().map(|(_, file)| file)
    }
}

impl StoredPlan {
    /// The files and when they were last written. They differ once somebody has written.
    pub(crate) fn write_times(&self) -> Vec<(PathBuf, Option<SystemTime>)> {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut times: Vec<_> = files
            .map(|file| (file.path(), file.metadata().and_then(|metadata| metadata.modified()).ok()))
            .collect();
        times.sort();
        times
    }

    /// Starts the same plan in another store, with copies of the files.
    ///
    /// # Errors
    /// [`Error::Request`] if the files cannot be copied.
    pub(crate) fn copy_to(&self, store: &PlanStore, inputs: &BuildInputs) -> Result<PlanDraft> {
        let draft = store.start(inputs)?;
        let copy = || -> io::Result<()> {
            for file in fs::read_dir(&self.folder)? {
                let file = file?;
                fs::copy(file.path(), draft.folder.join(file.file_name()))?;
            }
            Ok(())
        };
        copy().map_err(|error| {
            Error::request(format!("engine-cache {}", draft.folder.display()), "a copy of a plan", error)
        })?;
        Ok(draft)
    }
}

impl PlanDraft {
    /// The folder to build in.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether there is a file with this ending.
    pub(crate) fn has(&self, ending: &str) -> bool {
        names(&self.folder).is_ok_and(|names| names.iter().any(|name| name.ends_with(ending)))
    }

    /// Writes the list of files and renames the folder. If another process has published the plan meanwhile, its plan stays.
    ///
    /// # Errors
    /// [`Error::Request`] if the folder cannot be renamed.
    pub(crate) fn publish(self) -> Result<StoredPlan> {
        let refused = |error: io::Error| {
            Error::request(
                format!("engine-cache {}", self.target.display()),
                "a plan put in its place",
                error,
            )
        };
        self.list().map_err(refused)?;
        for _ in 0..ATTEMPTS {
            match fs::rename(&self.folder, &self.target) {
                Ok(()) => break,
                Err(error) if in_the_way(&error) => match look_up(&self.target, &self.key) {
                    LookUp::Present(plan) => return Ok(plan),
                    LookUp::Damaged(..) => fs::remove_dir_all(&self.target).map_err(refused)?,
                    LookUp::Absent => {}
                },
                Err(error) => return Err(refused(error)),
            }
        }
        match look_up(&self.target, &self.key) {
            LookUp::Present(plan) => Ok(plan),
            LookUp::Damaged(_, reason) => Err(refused(io::Error::other(reason))),
            LookUp::Absent => Err(refused(io::Error::other("another process removes it"))),
        }
    }

    fn list(&self) -> io::Result<()> {
        let mut files = BTreeMap::new();
        for name in names(&self.folder)? {
            let path = self.folder.join(&name);
            // on disk before the list, so that a power cut leaves no plan that only looks complete
            File::open(&path)?.sync_all()?;
            let bytes = fs::metadata(&path)?.len();
            files.insert(name, Listed { bytes, sha256: digest_by_parts(&path)? });
        }
        let (key, inputs) = (self.key.clone(), self.inputs.clone());
        let text = serde_json::to_vec_pretty(&List { schema: SCHEMA, key, inputs, files })?;
        let path = self.folder.join(LIST);
        fs::write(&path, text)?;
        File::open(path)?.sync_all()
    }
}

impl Drop for PlanDraft {
    fn drop(&mut self) {
        // a published draft has another name by now
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Listed {
    fn check(&self, path: &Path) -> std::result::Result<(), String> {
        let name = path.file_name().unwrap_or_default().display();
        match fs::metadata(path) {
            Ok(metadata) if metadata.len() == self.bytes => match digest_by_parts(path) {
                Ok(digest) if digest == self.sha256 => Ok(()),
                Ok(digest) => Err(format!("{name} has SHA-256 {digest} and not {}", self.sha256)),
                Err(error) => Err(format!("{name}: {error}")),
            },
            Ok(metadata) => Err(format!("{name} has {} bytes and not {}", metadata.len(), self.bytes)),
            Err(error) => Err(format!("{name}: {error}")),
        }
    }
}

/// Compares every file of a plan with its list.
fn look_up(folder: &Path, key: &str) -> LookUp {
    if !folder.exists() {
        return LookUp::Absent;
    }
    let intact = || -> std::result::Result<u64, String> {
        let list = read(folder)?;
        if list.schema != SCHEMA || list.key != key || self::key(&list.inputs) != key {
            return Err(format!("{LIST} is of another plan"));
        }
        let found = names(folder).map_err(|error| error.to_string())?;
        if let Some(stranger) = found.iter().find(|name| !list.files.contains_key(*name)) {
            return Err(format!("{stranger} is not listed"));
        }
        list.files.iter().try_for_each(|(name, listed)| listed.check(&folder.join(name)))?;
        Ok(list.files.values().map(|listed| listed.bytes).sum())
    };
    match intact() {
        Ok(bytes) => LookUp::Present(StoredPlan { key: key.into(), folder: folder.into(), bytes }),
        Err(reason) => LookUp::Damaged(folder.into(), reason),
    }
}

fn read(folder: &Path) -> std::result::Result<List, String> {
    let text = fs::read(folder.join(LIST)).map_err(|error| format!("{LIST}: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{LIST}: {error}"))
}

/// The names of a plan's files, without the list.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let name = |file: io::Result<fs::DirEntry>| Ok(file?.file_name().to_string_lossy().into_owned());
    let names: io::Result<Vec<_>> = fs::read_dir(folder)?.map(name).collect();
    Ok(names?.into_iter().filter(|name| name != LIST).collect())
}

fn in_the_way(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty)
}

/// Removes the drafts of killed processes. Those of living ones are locked.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let old = entry.metadata().and_then(|metadata| metadata.modified()).ok();
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
