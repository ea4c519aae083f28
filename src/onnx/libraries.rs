//! The shared libraries that execution providers need. They are loaded before ONNX Runtime asks for them, so that an error
//! can name the missing ones.

use std::error::Error as _;
use std::path::{Path, PathBuf};

use super::maps;
use super::runtime::entries;
use super::search::{LIBCUDA, LIBCUDART, LIBNVINFER, path_of, search_path};
use crate::error::{Error, Result};

/// A shared library by its soname.
pub(super) struct Library {
    pub(super) name: &'static str,
    product: Product,
    need: Need,
}

/// The product that a library is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Product {
    Driver,
    Cuda,
    Cudnn,
    Tensorrt,
}

impl Product {
    /// In the order in which they are installed.
    const ALL: [Self; 4] = [Self::Driver, Self::Cuda, Self::Cudnn, Self::Tensorrt];
}

#[derive(PartialEq, Eq)]
enum Need {
    /// The provider does not start without it.
    Always,
    /// The provider may load it by name while it works. It is loaded here if it is found, because the provider itself looks
    /// only where the system's loader does.
    Perhaps,
}

const fn library(name: &'static str, product: Product, need: Need) -> Library {
    Library { name, product, need }
}

/// What ONNX Runtime's builds for CUDA 13 need. A library comes after those that it depends on.
pub(super) const CUDA: &[Library] = &[
    library(LIBCUDA, Product::Driver, Need::Always),
    library(LIBCUDART, Product::Cuda, Need::Always),
    library("libnvrtc.so.13", Product::Cuda, Need::Perhaps),
    library("libcublasLt.so.13", Product::Cuda, Need::Always),
    library("libcublas.so.13", Product::Cuda, Need::Always),
    library("libcurand.so.10", Product::Cuda, Need::Always),
    library("libcufft.so.12", Product::Cuda, Need::Perhaps),
];

/// What TensorRT needs beside CUDA. ONNX Runtime's TensorRT provider is linked with cuDNN.
pub(super) const TENSORRT: &[Library] = &[
    library("libcudnn.so.9", Product::Cudnn, Need::Always),
    library("libcudnn_graph.so.9", Product::Cudnn, Need::Perhaps),
    library("libcudnn_ops.so.9", Product::Cudnn, Need::Perhaps),
    library("libcudnn_heuristic.so.9", Product::Cudnn, Need::Perhaps),
    library("libcudnn_adv.so.9", Product::Cudnn, Need::Perhaps),
    library("libcudnn_cnn.so.9", Product::Cudnn, Need::Perhaps),
    library("libcudnn_engines_precompiled.so.9", Product::Cudnn, Need::Perhaps),
    library("libcudnn_engines_runtime_compiled.so.9", Product::Cudnn, Need::Perhaps),
    library(LIBNVINFER, Product::Tensorrt, Need::Always),
    library("libnvinfer_plugin.so.10", Product::Tensorrt, Need::Perhaps),
    library("libnvonnxparser.so.10", Product::Tensorrt, Need::Always),
];

impl Library {
    /// Whether the provider does not start without it.
    pub(super) fn is_required(&self) -> bool {
        self.need == Need::Always
    }
}

impl Product {
    fn advice(self) -> &'static str {
        match self {
            Self::Driver => "libcuda comes with NVIDIA's driver",
            Self::Cuda => "`pip install 'onnxruntime-gpu[cuda]'` in ONNX Runtime's environment brings CUDA",
            Self::Cudnn => "`pip install 'onnxruntime-gpu[cuda,cudnn]'` there brings cuDNN too",
            Self::Tensorrt => {
                "TensorRT 10 for CUDA 13 comes from NVIDIA, as `tensorrt-cu13` or as a system package"
            }
        }
    }
}

/// The folders in which Python wheels put NVIDIA's libraries, for an ONNX Runtime in `site-packages/onnxruntime/capi`.
pub(super) fn folders(onnxruntime: &Path) -> Vec<PathBuf> {
    let mut found = vec![onnxruntime.to_path_buf()];
    if let Some(packages) = onnxruntime.ancestors().nth(2) {
        let mut wheels: Vec<_> =
            entries(&packages.join("nvidia")).into_iter().map(|wheel| wheel.join("lib")).collect();
        wheels.retain(|folder| folder.is_dir());
        wheels.sort();
        if wheels.is_empty() {
            // for the error: where they would be
            wheels.push(packages.join("nvidia/*/lib"));
        }
        found.extend(wheels);
        found.push(packages.join("tensorrt_libs"));
    }
    found
}

/// Loads each library from the first of the folders that has it, else from where the system's loader finds it.
///
/// # Errors
/// [`Error::Runtime`] naming the missing ones, the folders that were searched and how to get them.
pub(super) fn load(provider: &str, libraries: &[&Library], folders: &[PathBuf]) -> Result<()> {
    let mut missing = Vec::new();
    for library in libraries {
        match load_one(library.name, folders) {
            Err(reason) if library.need == Need::Always => missing.push((library, reason)),
            // the provider may not need it: ignore the error
            Ok(()) | Err(_) => {}
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let needed = libraries.iter().filter(|library| library.need == Need::Always);
    let needed: Vec<_> = needed.map(|library| library.name).collect();
    let (broken, absent): (Vec<_>, Vec<_>) = missing.iter().partition(|(_, reason)| reason.is_some());
    let absent: Vec<_> = absent.iter().map(|(library, _)| library.name).collect();
    let mut got: Vec<_> = broken.iter().filter_map(|(_, reason)| reason.clone()).collect();
    if !absent.is_empty() {
        got.push(format!("no {}", absent.join(", ")));
    }
    let products = Product::ALL.into_iter();
    let products = products.filter(|product| missing.iter().any(|(library, _)| library.product == *product));
    let advice: Vec<_> = products.map(Product::advice).collect();
    let searched: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
    Err(Error::runtime(
        format!("{provider} provider"),
        format!("{} in {} or where the system's loader looks", needed.join(", "), searched.join(", ")),
        got.join("; "),
    )
    .hint(advice.join("; ")))
}

/// Loads a library. The error is what is wrong with it, or `None` if there is no such file.
fn load_one(name: &str, folders: &[PathBuf]) -> std::result::Result<(), Option<String>> {
    let here = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    let path = here.map_or_else(|| path_of(name, &search_path()), Ok).map_err(Some)?;
    ort::util::preload_dylib(&path).map_err(|error| {
        let reason = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        // the loader says so of the library itself, and not of one that it depends on
        let absent = reason.starts_with(&format!("{name}: cannot open shared object file"));
        (!absent).then_some(reason)
    })
}

/// The file that was loaded for a library; `None` if it cannot be loaded.
pub(super) fn loaded_from(library: &Library, folders: &[PathBuf]) -> Option<PathBuf> {
    load_one(library.name, folders).ok()?;
    let here = folders.iter().map(|folder| folder.join(library.name)).find(|path| path.is_file());
    here.or_else(|| {
        let mut paths = maps::of_files().into_iter().map(|mapping| mapping.path);
        let of_it = |path: &PathBuf| {
            path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(library.name))
        };
        paths.find(of_it)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_missing_is_named_with_places_and_advice() {
        let folder = tempfile::tempdir().unwrap();
        let capi = folder.path().join("site-packages/onnxruntime/capi");
        let wheel = folder.path().join("site-packages/nvidia/cu13/lib");
        fs::create_dir_all(&capi).unwrap();
        fs::create_dir_all(&wheel).unwrap();
        fs::write(wheel.join("libbroken.so.13"), "no library").unwrap();
        let libraries = [
            library("libm.so.6", Product::Cuda, Need::Always),
            library("libbroken.so.13", Product::Cuda, Need::Always),
            library("libdeep.so.9", Product::Cudnn, Need::Always),
            library("libnowhere.so.10", Product::Tensorrt, Need::Always),
            library("libperhaps.so.1", Product::Driver, Need::Perhaps),
        ];
        let places = folders(&capi);
        assert!(places.contains(&wheel), "{places:?}");
        let all: Vec<_> = libraries.iter().collect();
        let error = load("cuda", &all, &places).unwrap_err();
        let facts = error.facts();
        assert!(
            facts.wanted.contains("libm.so.6, libbroken.so.13, libdeep.so.9, libnowhere.so.10 in"),
            "{error}"
        );
        assert!(facts.wanted.contains(wheel.to_str().unwrap()), "{error}");
        assert!(facts.got.contains(wheel.join("libbroken.so.13").to_str().unwrap()), "{error}");
        assert!(facts.got.ends_with("; no libdeep.so.9, libnowhere.so.10"), "{error}");
        assert!(!facts.got.contains("libm.so") && !error.to_string().contains("libperhaps"), "{error}");
        let advice = ["onnxruntime-gpu[cuda]", "onnxruntime-gpu[cuda,cudnn]", "TensorRT 10"];
        assert!(advice.iter().all(|part| facts.hint.contains(part)), "{error}");
        assert!(!facts.hint.contains("driver"), "{error}");
        load("cuda", &all[..1], &places).unwrap();
    }
}
