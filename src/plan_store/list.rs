//! What is in the folder of a plan: the files that TensorRT made, and a list of them with what they were built from.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::parts::digest_by_parts;
use super::trust::OTHERS_WRITE;
use crate::digest::hex;

/// Names and values of all that a plan was built from and for: package, graph, versions, GPU, settings. It is good for nothing
/// else.
pub(crate) type BuildInputs = BTreeMap<String, String>;

/// A plan in a store, complete and unaltered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredPlan {
    pub(crate) key: String,
    pub(crate) folder: PathBuf,
    /// Length of all its files.
    pub(crate) bytes: u64,
}

/// The file with the build inputs of a plan and the digests of its files.
pub(super) const LIST: &str = "entry.json";
const SCHEMA: u64 = 2;

/// The content of [`LIST`].
#[derive(Serialize, Deserialize)]
pub(super) struct List {
    schema: u64,
    key: String,
    #[serde(rename = "facts")]
    pub(super) inputs: BuildInputs,
    pub(super) files: BTreeMap<String, Listed>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Listed {
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
}

impl Listed {
    pub(super) fn check(&self, path: &Path) -> Result<(), String> {
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

/// The plan in a folder, every file of it compared with its list; `None` if there is no folder. The error is what is wrong.
pub(super) fn look_up(folder: &Path, key: &str) -> Option<Result<StoredPlan, String>> {
    folder.exists().then(|| {
        let list = read(folder)?;
        if list.schema != SCHEMA || list.key != key || self::key(&list.inputs) != key {
            return Err(format!("{LIST} is of another plan"));
        }
        let found = names(folder).map_err(|error| error.to_string())?;
        if let Some(stranger) = found.iter().find(|name| !list.files.contains_key(*name)) {
            return Err(format!("{stranger} is not listed"));
        }
        list.files.iter().try_for_each(|(name, listed)| listed.check(&folder.join(name)))?;
        let bytes = list.files.values().map(|listed| listed.bytes).sum();
        Ok(StoredPlan { key: key.into(), folder: folder.into(), bytes })
    })
}

pub(super) fn read(folder: &Path) -> Result<List, String> {
    let text = fs::read(folder.join(LIST)).map_err(|error| format!("{LIST}: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{LIST}: {error}"))
}

/// The names of a plan's files, without the list.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let name = |file: io::Result<fs::DirEntry>| Ok(file?.file_name().to_string_lossy().into_owned());
    let names: io::Result<Vec<_>> = fs::read_dir(folder)?.map(name).collect();
    Ok(names?.into_iter().filter(|name| name != LIST).collect())
}

/// Lists the files of a plan that was built, and puts them on disk, for nobody but this user to write to.
pub(super) fn write(folder: &Path, inputs: &BuildInputs) -> io::Result<()> {
    let mut files = BTreeMap::new();
    for name in names(folder)? {
        let path = folder.join(&name);
        // on disk before the list, so that a power cut leaves no plan that only looks complete
        close_to_others(&path)?.sync_all()?;
        let bytes = fs::metadata(&path)?.len();
        files.insert(name, Listed { bytes, sha256: digest_by_parts(&path)? });
    }
    let (key, inputs) = (key(inputs), inputs.clone());
    let text = serde_json::to_vec_pretty(&List { schema: SCHEMA, key, inputs, files })?;
    let path = folder.join(LIST);
    fs::write(&path, text)?;
    close_to_others(&path)?.sync_all()
}

/// A file of this process that only its owner writes to, whatever the process's mask lets others do.
fn close_to_others(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    let mut permissions = file.metadata()?.permissions();
    permissions.set_mode(permissions.mode() & !OTHERS_WRITE);
    file.set_permissions(permissions)?;
    Ok(file)
}
