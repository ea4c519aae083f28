//! The files of a package, through the doors that read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use fleming::{Engine, EngineOptions, MemoryNeeds, Package, providers_for};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::explained;

/// A package of the repository.
pub fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo")
}

const MANIFEST: &str = "fleming.json";

/// A package that is written to for every input.
struct Scratch {
    folder: TempDir,
    manifest: Value,
}

impl Scratch {
    /// A copy of the demo model, with nothing in these files.
    fn without(files: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manifest = fs::read(demo().join(MANIFEST)).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        for name in manifest["files"].as_object().unwrap().keys() {
            fs::copy(demo().join(name), folder.path().join(name)).unwrap();
        }
        let mut scratch = Self { folder, manifest };
        files.iter().for_each(|name| scratch.put(name, b""));
        scratch.list();
        scratch
    }

    /// Writes a file, to be listed as it is.
    fn put(&mut self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
        let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        self.manifest["files"][name] = serde_json::json!({"bytes": content.len(), "sha256": digest});
    }

    fn list(&self) {
        fs::write(self.folder.path().join(MANIFEST), self.manifest.to_string()).unwrap();
    }
}

/// A manifest: read, and the memory of its package reckoned.
pub fn manifest(bytes: &[u8]) {
    static SCRATCH: LazyLock<Scratch> = LazyLock::new(|| Scratch::without(&[]));
    let folder = SCRATCH.folder.path();
    fs::write(folder.join(MANIFEST), bytes).unwrap();
    let package = match Package::open(folder) {
        Ok(package) => package,
        Err(error) => return explained(&error),
    };
    for provider in providers_for(package.manifest()) {
        let options = EngineOptions { provider: provider.into(), ..EngineOptions::default() };
        match MemoryNeeds::of(&package, &options) {
            Ok(needs) => assert!(needs.total() >= needs.slots),
            Err(error) => explained(&error),
        }
    }
}

/// A graph: the files that it takes weights from are found.
pub fn graph(bytes: &[u8]) {
    static SCRATCH: LazyLock<Mutex<Scratch>> = LazyLock::new(|| Mutex::new(Scratch::without(&[])));
    let mut scratch = SCRATCH.lock().unwrap();
    scratch.put("decoder.onnx", bytes);
    scratch.list();
    if let Err(error) = Package::open(scratch.folder.path()) {
        explained(&error);
    }
}

/// A tokenizer, in a package whose graphs are empty and do not load.
pub fn tokenizer(bytes: &[u8]) {
    const GRAPHS: [&str; 4] = ["decoder.onnx", "decoder.onnx.data", "vision.onnx", "vision.onnx.data"];
    static SCRATCH: LazyLock<Mutex<Scratch>> = LazyLock::new(|| {
        // The tokenizer library panics at some files, which the reader makes an error of; a target ends at any panic.
        std::panic::set_hook(Box::new(|_| {}));
        Mutex::new(Scratch::without(&GRAPHS))
    });
    let mut scratch = SCRATCH.lock().unwrap();
    scratch.put("tokenizer.json", bytes);
    scratch.list();
    match Engine::open(scratch.folder.path(), &EngineOptions::default()) {
        Ok(_) => panic!("an engine without graphs"),
        Err(error) => explained(&error),
    }
}
