//! The plan store: TensorRT's plans on disk. A plan is a folder, named by the SHA-256 of all that it was built from and
//! checked before it is loaded.
//!
//! A plan is written to a folder with a temporary name, which is renamed when it is complete. So a plan is there as a whole or
//! not at all, even if several processes build the same one.

mod trust;
mod parts;
mod list;

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
pub(crate) use list::{BuildInputs, StoredPlan, key};
use trust::Exposed;

/// Folders in which plans are looked up and stored.
#[derive(Debug, Clone)]
pub(crate) struct PlanStore {
    /// In the order of the look-up. New plans go into the last.
    folders: Vec<PathBuf>,
    /// Whose plans are trusted, beside this user's and root's.
    owner: Option<u32>,
}

/// Whether a store has a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LookUp {
    Present(StoredPlan),
    /// It was altered: its folder, and what is wrong.
    Damaged(PathBuf, String),
    /// Others may write to it.
    Exposed(Exposed),
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

/// Of folders; no others than their owner write.
const MODE: u32 = 0o755;
const PARTIAL: &str = ".partial-";
/// Drafts younger than this are never swept: one may have its folder and not yet its lock.
const LOCKED_AFTER: Duration = Duration::from_secs(600);
/// How often a publication is tried while other processes publish and remove the same plan.
const ATTEMPTS: usize = 5;

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
    /// A store that looks plans up in these folders, in their order, and stores new ones in the last. It trusts what this
    /// user, root and `owner` wrote, if nobody else can write to it.
    pub(crate) fn new(folders: Vec<PathBuf>, owner: Option<u32>) -> Self {
        Self { folders, owner }
    }

    /// The first intact plan with these build inputs. A damaged one is logged, and removed from the folder for new plans.
    ///
    /// # Errors
    /// [`Error::Request`] for a plan, or a folder of plans, that others may write to.
    pub(crate) fn find(&self, inputs: &BuildInputs) -> Result<Option<StoredPlan>> {
        let key = key(inputs);
        for (place, parent) in self.folders.iter().enumerate() {
            match self.look_up_in(parent, &key) {
                LookUp::Present(plan) => return Ok(Some(plan)),
                LookUp::Absent => {}
                LookUp::Exposed(exposed) => return Err(refuse(&exposed)),
                LookUp::Damaged(folder, reason) => {
                    tracing::warn!(folder = %folder.display(), reason, "a plan is damaged and is not used");
                    if place + 1 == self.folders.len() {
                        let _ = fs::remove_dir_all(&folder);
                    }
                }
            }
        }
        Ok(None)
    }

    fn look_up_in(&self, parent: &Path, key: &str) -> LookUp {
        let folder = parent.join(key);
        if !folder.exists() {
            return LookUp::Absent;
        }
        if let Err(exposed) = self.trust(parent, &folder) {
            return LookUp::Exposed(exposed);
        }
        match list::look_up(&folder, key) {
            Some(Ok(plan)) => LookUp::Present(plan),
            Some(Err(reason)) => LookUp::Damaged(folder, reason),
            None => LookUp::Absent,
        }
    }

    /// Refuses a plan in a folder of plans if others may write to either.
    fn trust(&self, parent: &Path, plan: &Path) -> std::result::Result<(), Exposed> {
        // A link to the folder of all plans is the user's own choice.
        trust::check(&parent.canonicalize().unwrap_or_else(|_| parent.into()), self.owner)?;
        trust::check(plan, self.owner)?;
        let files = fs::read_dir(plan).into_iter().flatten().flatten();
        files.map(|file| file.path()).try_for_each(|file| trust::check(&file, self.owner))
    }

    /// Looks a plan with these build inputs up and changes nothing.
    pub(crate) fn look_up(&self, inputs: &BuildInputs) -> LookUp {
        let key = key(inputs);
        let all = self.folders.iter().map(|folder| self.look_up_in(folder, &key));
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
            return Err(Error::request("engine-cache", "a folder for plans", "none")
                .hint("name one with --engine-cache"));
        };
        let refused = |error: io::Error| {
            Error::request(
                format!("engine-cache {}", parent.display()),
                "a folder that can be written to",
                error,
            )
            .hint("`--engine-cache` names another one")
        };
        DirBuilder::new().recursive(true).mode(MODE).create(parent).map_err(refused)?;
        let place = parent.canonicalize().map_err(refused)?;
        trust::check(&place, self.owner).map_err(|exposed| refuse(&exposed))?;
        sweep(parent);
        let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
        let mut number = process::id().rotate_left(16) ^ nanos;
        let folder = loop {
            let folder = parent.join(format!("{key}{PARTIAL}{number:08x}"));
            match DirBuilder::new().mode(MODE).create(&folder) {
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
        let plans = self.folders.iter().filter_map(|folder| Some((folder, fs::read_dir(folder).ok()?)));
        let plans = plans.flat_map(|(parent, plans)| plans.flatten().map(move |plan| (parent, plan.path())));
        let mut found = plans
            .filter_map(|(parent, folder)| {
                self.trust(parent, &folder).ok()?;
                let list = list::read(&folder).ok()?;
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
                .hint("make room there, or name another one with --engine-cache")
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
        list::names(&self.folder).is_ok_and(|names| names.iter().any(|name| name.ends_with(ending)))
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
            .hint("make room there, or name another one with --engine-cache")
        };
        list::write(&self.folder, &self.inputs).map_err(refused)?;
        for _ in 0..ATTEMPTS {
            match fs::rename(&self.folder, &self.target) {
                Ok(()) => break,
                Err(error) if in_the_way(&error) => match list::look_up(&self.target, &self.key) {
                    Some(Ok(plan)) => return Ok(plan),
                    Some(Err(_)) => fs::remove_dir_all(&self.target).map_err(refused)?,
                    None => {}
                },
                Err(error) => return Err(refused(error)),
            }
        }
        match list::look_up(&self.target, &self.key) {
            Some(Ok(plan)) => Ok(plan),
            Some(Err(reason)) => Err(refused(io::Error::other(reason))),
            None => Err(refused(io::Error::other("another process removes it"))),
        }
    }
}

impl Drop for PlanDraft {
    fn drop(&mut self) {
        // a published draft has another name by now
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn refuse(exposed: &Exposed) -> Error {
    Error::request(
        format!("engine-cache {}", exposed.path.display()),
        "plans that only this user and root can write to",
        &exposed.reason,
    )
    .hint(format!("{}, if you trust what is there; `--engine-cache` names another folder", exposed.advice))
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
