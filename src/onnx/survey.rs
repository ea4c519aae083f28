//! What this machine has and lacks for each execution provider.

use std::path::{Path, PathBuf};

use ort::session::Session;

use super::libraries::{self, Library};
use super::provider::{Device, PROVIDERS, Provider};
use super::raw::{self, Gpu};
use super::runtime::Runtime;
use super::search::LIBNVINFER;
use crate::error::{Error, Facts, Result};
use crate::package::Manifest;

/// An execution provider on this machine: what it has and what it lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProviderFacts {
    /// Its name in options.
    pub name: &'static str,
    /// Whether ONNX Runtime was built with it.
    pub built_in: bool,
    /// The libraries that it needs beside ONNX Runtime.
    pub libraries: Vec<LibraryFacts>,
    /// Why it cannot be used; `None` if a graph opened on it.
    pub problem: Option<Facts>,
}

/// A shared library that a provider needs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryFacts {
    /// Its soname.
    pub name: &'static str,
    /// The file that is loaded for it; `None` if there is none.
    pub path: Option<PathBuf>,
    /// Its version, if the library or the name of its file says it.
    pub version: Option<String>,
}

/// A GPU and its driver, from CUDA.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GpuFacts {
    /// Its name.
    pub name: String,
    /// Its compute capability: `9.0`.
    pub compute_capability: String,
    /// The newest CUDA that the driver supports: `13.0`.
    pub cuda: String,
    /// What is wrong with the driver; `None` if it is new enough.
    pub problem: Option<Facts>,
}

/// The CUDA that the builds of ONNX Runtime for this version are made for.
const CUDA: (i32, i32) = (13, 0);

/// The smallest graph: one `Identity` of one number. `protoc --decode` shows it.
pub(super) const GRAPH: &[u8] =
    b"\x08\x08:7\n\x10\n\x01x\x12\x01y\"\x08Identity\x12\x01gZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\
    \x02\x08\x01b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x0d";

/// Tries every execution provider, on its first device, with the ONNX Runtime at `library` or the one that is found.
///
/// ```no_run
/// for provider in fleming::survey(None)? {
///     println!("{}: {}", provider.name, if provider.problem.is_none() { "ready" } else { "not here" });
/// }
/// # Ok::<(), fleming::Error>(())
/// ```
///
/// # Errors
/// [`Error::Runtime`] if there is no ONNX Runtime.
pub fn survey(library: Option<&Path>) -> Result<Vec<ProviderFacts>> {
    let runtime = Runtime::load(library)?;
    Ok(PROVIDERS.into_iter().map(|provider| facts(provider, &runtime)).collect())
}

/// The GPU of this number, from 0, and its driver.
///
/// # Errors
/// [`Error::Runtime`] if there is no driver or no such GPU.
pub fn gpu_facts(number: u32) -> Result<GpuFacts> {
    let found = i32::try_from(number).map_err(|error| error.to_string()).and_then(raw::gpu);
    found.map(of_gpu).map_err(|reason| {
        Error::runtime(format!("GPU {number}"), "one that CUDA finds", reason)
            .hint("`nvidia-smi` shows the devices and the driver")
    })
}

fn of_gpu(gpu: Gpu) -> GpuFacts {
    let number = |(major, minor): (i32, i32)| format!("{major}.{minor}");
    let problem = (gpu.cuda < CUDA).then(|| {
        let wanted = format!("one for CUDA {}", number(CUDA));
        let error = Error::runtime("NVIDIA's driver", wanted, format!("one for CUDA {}", number(gpu.cuda)));
        error.hint("install 580 or newer").facts().clone()
    });
    GpuFacts { name: gpu.name, compute_capability: number(gpu.capability), cuda: number(gpu.cuda), problem }
}

/// The providers that run a package, by name.
pub fn providers_for(manifest: &Manifest) -> Vec<&'static str> {
    let accepts =
        |provider: &&'static Provider| provider.accept(&manifest.target, &manifest.precision).is_ok();
    PROVIDERS.into_iter().filter(accepts).map(|provider| provider.name).collect()
}

fn facts(provider: &'static Provider, runtime: &Runtime) -> ProviderFacts {
    let problem = try_out(provider, runtime).err().map(|error| error.facts().clone());
    let folders = libraries::folders(runtime.folder());
    ProviderFacts {
        name: provider.name,
        built_in: provider.built_in().unwrap_or_default(),
        libraries: provider.libraries().filter_map(|library| library_facts(library, &folders)).collect(),
        problem,
    }
}

/// Opens the smallest graph on the provider.
fn try_out(provider: &'static Provider, runtime: &Runtime) -> Result<()> {
    let failed = |error| {
        Error::runtime(format!("{} provider", provider.name), "a graph to run on it", error)
            .hint("`fleming doctor` says what is missing")
    };
    let builder = Session::builder(&runtime.environment).map_err(failed)?;
    let mut builder = Device::parse(provider.name, &[])?.register(runtime, builder)?;
    builder.commit_from_memory(GRAPH).map(drop).map_err(failed)
}

fn library_facts(library: &Library, folders: &[PathBuf]) -> Option<LibraryFacts> {
    let path = libraries::loaded_from(library, folders);
    if path.is_none() && !library.is_required() {
        return None;
    }
    let stated = (library.name == LIBNVINFER).then(|| raw::tensorrt_version().ok()).flatten();
    let version = stated.or_else(|| path.as_deref().and_then(version));
    Some(LibraryFacts { name: library.name, path, version })
}

/// The version in a file's name, links resolved: `10.15.1` of `libnvinfer.so.10.15.1`. A soname's one number is none.
fn version(path: &Path) -> Option<String> {
    let file = path.canonicalize().ok()?;
    let name = file.file_name()?.to_str()?;
    let suffix = name.split_once(".so.").map(|(_, suffix)| suffix.to_owned());
    suffix.filter(|suffix| suffix.contains('.'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_what_is_missing_is_reported() {
        let found = survey(None).unwrap();
        assert_eq!(
            found.iter().map(|provider| provider.name).collect::<Vec<_>>(),
            ["cpu", "cuda", "tensorrt"]
        );
        assert_eq!(found[0].problem, None);
        assert!(found[0].built_in && found[0].libraries.is_empty());
        for provider in &found[1..] {
            // this holds on a machine with a GPU too
            assert!(provider.built_in || provider.problem.is_some(), "{provider:?}");
            assert!(provider.libraries.iter().any(|library| library.name == "libcublasLt.so.13"));
        }
    }

    #[test]
    fn a_driver_that_is_too_old_is_reported() {
        let gpu = |cuda| Gpu { name: "NVIDIA H100".into(), capability: (9, 0), cuda };
        for cuda in [(13, 0), (13, 1), (14, 0)] {
            assert_eq!(of_gpu(gpu(cuda)).problem, None);
        }
        let facts = of_gpu(gpu((12, 8)));
        assert_eq!((facts.compute_capability.as_str(), facts.cuda.as_str()), ("9.0", "12.8"));
        let problem = facts.problem.unwrap().to_string();
        assert_eq!(
            problem,
            "NVIDIA's driver: wanted one for CUDA 13.0, got one for CUDA 12.8 (install 580 or newer)"
        );
        if let Err(error) = gpu_facts(0) {
            assert!(
                error.to_string().contains("GPU 0") && error.to_string().contains("nvidia-smi"),
                "{error}"
            );
        }
        gpu_facts(u32::MAX).unwrap_err();
    }

    #[test]
    fn versions_are_read_from_file_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("libany.so.10.15.1"), "").unwrap();
        let link = folder.path().join("libany.so.10");
        std::os::unix::fs::symlink("libany.so.10.15.1", &link).unwrap();
        assert_eq!(version(&link).as_deref(), Some("10.15.1"));
        fs::write(folder.path().join("libother.so.13"), "").unwrap();
        assert_eq!(version(&folder.path().join("libother.so.13")), None);
    }
}
