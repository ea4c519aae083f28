//! Finding and loading libonnxruntime, once for the whole process.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use super::search::{SYSTEM_FOLDERS, loaded_first, search_path};
use super::{maps, raw};
use crate::error::{Error, Result};

/// The loaded library. Cheap to clone. A process has at most one.
#[derive(Clone)]
pub(crate) struct Runtime {
    pub(super) environment: Environment,
    library: PathBuf,
    /// The folder of the library, links resolved.
    folder: PathBuf,
}

// ONNX Runtime allows one environment in the life of a process, so it is never dropped.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

/// The ONNX Runtime of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeFacts {
    /// File name of the library. It ends in the version if the library was installed with one.
    pub library: String,
    /// What the library says of its build.
    pub build: String,
}

/// The ONNX Runtime that the first engine loaded; `None` before.
pub fn onnxruntime() -> Option<RuntimeFacts> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let library = loaded.as_ref()?.library.canonicalize().ok()?;
    let library = library.file_name()?.to_string_lossy().into_owned();
    Some(RuntimeFacts { library, build: ort::info().to_owned() })
}

/// What the loaded library says of its build.
pub(super) fn build() -> String {
    ort::info().to_owned()
}

const VARIABLE: &str = "ORT_DYLIB_PATH";
const NAMES: [&str; 2] = ["libonnxruntime.so", "libonnxruntime.so.1"];

impl Runtime {
    /// Loads the library at `option`, else at `ORT_DYLIB_PATH`, else the first usable one: beside this library or the
    /// executable, in the active virtual environment, in an absolute folder of `LD_LIBRARY_PATH`, or on the system. A path
    /// that was named is the only one tried. A loaded library stays loaded until the process ends.
    ///
    /// # Errors
    /// [`Error::Runtime`] naming the paths that were tried, and what was wrong with each.
    pub(crate) fn load(option: Option<&Path>) -> Result<Self> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return runtime.clone().same_as(option);
        }
        let runtime = find(option)?;
        tracing::debug!(library = %runtime.library.display(), build = ort::info(), "loaded ONNX Runtime");
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The folder of the library and of its providers' libraries.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn same_as(self, option: Option<&Path>) -> Result<Self> {
        match option {
            Some(path) if path != self.library => Err(Error::runtime(
                path.display(),
                "the ONNX Runtime library of this process",
                format!("another one, already loaded from {}", self.library.display()),
            )
            .hint("a process can load only one")),
            _ => Ok(self),
        }
    }
}

fn find(option: Option<&Path>) -> Result<Runtime> {
    let named = option.map(Path::to_path_buf).or_else(|| env::var_os(VARIABLE).map(PathBuf::from));
    let candidates = match named {
        Some(path) => vec![path],
        None => places(),
    };
    let mut tried = Vec::new();
    for library in candidates {
        match open(&library) {
            Ok((environment, folder)) => return Ok(Runtime { environment, library, folder }),
            Err(reason) => tried.push(format!("{}: {reason}", library.display())),
        }
    }
    if tried.is_empty() {
        tried.push(
            "no library beside this one or the executable, in a virtual environment or on the system".into(),
        );
    }
    Err(Error::runtime("libonnxruntime", "version 1.31 or newer", tried.join("; ")).hint(format!(
        "`pip install onnxruntime` in the active virtual environment, or set {VARIABLE} to the library's path"
    )))
}

fn open(library: &Path) -> std::result::Result<(Environment, PathBuf), String> {
    raw::without_telemetry();
    for needed in loaded_first(&search_path())? {
        // what is wrong with it, ONNX Runtime's error says
        let _ = ort::util::preload_dylib(needed);
    }
    // a full path: dlopen would search the system for a bare name
    let library = library.canonicalize().map_err(|error| error.to_string())?;
    let builder = ort::init_from(&library).map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })?;
    let environment = builder.with_name("fleming").with_telemetry(false).build();
    let folder = library.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok((environment.map_err(|error| error.to_string())?, folder))
}

/// Every library there is, in the order of preference.
fn places() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let executable = env::current_exe().ok();
    let beside = executable.as_deref().and_then(Path::parent);
    // as `make dist` lays them out: libonnxruntime.so beside libfleming.so, and both in ../lib from bin/fleming
    let shipped = own_file().and_then(|file| file.parent().map(Path::to_path_buf));
    let installed = beside.and_then(Path::parent).map(|prefix| prefix.join("lib"));
    let near = [shipped.as_deref(), beside, installed.as_deref()];
    found.extend(near.into_iter().flatten().flat_map(in_folder));
    let active = env::var_os("VIRTUAL_ENV").map(PathBuf::from).filter(|root| root.is_absolute());
    found.extend(active.iter().flat_map(|root| in_virtual_environment(root)));
    // An empty or relative entry is the working folder, where anybody may have left a library.
    let listed = search_path().into_iter().filter(|folder| folder.is_absolute());
    found.extend(listed.flat_map(|folder| in_folder(&folder)));
    found.extend(SYSTEM_FOLDERS.iter().flat_map(|folder| in_folder(Path::new(folder))));
    found
}

/// The file that this code was loaded from: the executable, or libfleming.so in the process of a host program.
fn own_file() -> Option<PathBuf> {
    maps::file_at(own_file as fn() -> Option<PathBuf> as usize)
}

fn in_folder(folder: &Path) -> Vec<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).filter(|path| path.is_file()).collect()
}

/// `lib/python3.*/site-packages/onnxruntime/capi/libonnxruntime.so.*` of a virtual environment.
fn in_virtual_environment(root: &Path) -> Vec<PathBuf> {
    let pythons = entries(&root.join("lib"));
    let folders = pythons.iter().map(|python| python.join("site-packages/onnxruntime/capi"));
    let mut found: Vec<_> =
        folders.flat_map(|folder| entries(&folder)).filter(|path| is_library(path)).collect();
    found.sort();
    found
}

fn is_library(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(NAMES[0]))
}

pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}
