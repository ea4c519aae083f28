//! The formula of the memory: the package's own figures, and those of packages that have none.

use std::fs;
use std::path::Path;

use fleming::{EngineOptions, MemoryNeeds, Package};
use serde_json::Value;

use crate::support::{Scratch, demo_model, package, package_at, package_for};

/// Alters the manifest of a package, and nothing else: the digest of no other file is in question.
fn altered(folder: &Path, alter: impl Fn(&mut Value)) -> Package {
    let path = folder.join("fleming.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    alter(&mut manifest);
    fs::write(&path, manifest.to_string()).unwrap();
    Package::open(folder).unwrap()
}

/// With ONNX Runtime's kernels, which every machine has.
fn needs(package: &Package, context: usize) -> [MemoryNeeds; 2] {
    let kernels = vec![("kernels".to_owned(), "false".to_owned())];
    let usual =
        EngineOptions { context: Some(context), provider_options: kernels, ..EngineOptions::default() };
    let other = EngineOptions { slots: 5, chunk: 64, ..usual.clone() };
    [usual, other].map(|options| MemoryNeeds::of(package, &options).unwrap())
}

#[test]
fn a_package_without_figures_is_reckoned_as_its_figures_say() {
    let folders = [package(), package_at("int4"), package_at("cuda-int8")];
    for folder in folders.into_iter().chain(["cuda", "tensorrt"].map(package_for)) {
        let scratch = Scratch::new();
        let copy = scratch.copy_of(&folder);
        let with = Package::open(&copy).unwrap();
        let without =
            altered(&copy, |manifest| assert!(manifest.as_object_mut().unwrap().remove("work").is_some()));
        for context in [100, 512, 4096] {
            assert_eq!(needs(&with, context), needs(&without, context), "{}, {context}", folder.display());
        }
    }
}

/// Packages of checkpoints in transformers' own layout keep their `config.json`, which has other names.
#[test]
fn a_configuration_of_the_native_layout_is_read() {
    let scratch = Scratch::new();
    let copy = scratch.copy_of(&demo_model());
    let original = Package::open(&copy).unwrap();
    let native = altered(&copy, |manifest| {
        let config = manifest["source"]["config"].as_object_mut().unwrap();
        let language = config.remove("llm_config").unwrap();
        config.insert("text_config".to_owned(), language);
    });
    assert_eq!(needs(&original, 1024), needs(&native, 1024));
}

#[test]
fn the_figures_of_the_package_count() {
    let scratch = Scratch::new();
    let copy = scratch.copy_of(&package());
    let before = needs(&Package::open(&copy).unwrap(), 1000);
    let after =
        needs(&altered(&copy, |manifest| manifest["work"]["tile_bytes"] = 1_000_000_007_u64.into()), 1000);
    let tile = |manifest: &Value| manifest["work"]["tile_bytes"].as_u64().unwrap();
    let original: Value = serde_json::from_slice(&fs::read(package().join("fleming.json")).unwrap()).unwrap();
    for (before, after) in before.into_iter().zip(after) {
        assert_eq!(after.work - before.work, 1_000_000_007 - tile(&original));
        assert_eq!(after.slots, before.slots);
    }
}

/// The demo model was exported before there were figures, and has no self-test either.
#[test]
fn the_demo_model_is_a_package_without_figures() {
    let manifest: Value =
        serde_json::from_slice(&fs::read(demo_model().join("fleming.json")).unwrap()).unwrap();
    assert!(manifest.get("work").is_none() && manifest.get("self_test").is_none());
    let position = 2 * 512 + 3 * 192 + 2 * 6 * 32 + 6 * 1024;
    let tile = 2 * 257 * 384 + 4 * 257 * 257;
    let work = 4 * (512 * position + tile + 1111) + 150_000_000;
    assert_eq!(needs(&Package::open(&demo_model()).unwrap(), 1024)[0].work, work);
}

/// What attention takes for the scores of a chunk and the whole context: this crate's kernels never have all of them.
#[test]
fn own_kernels_take_no_scores() {
    #[cfg(target_arch = "x86_64")]
    let has_kernels = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let has_kernels = false;
    let package = Package::open(&package()).unwrap();
    let own = |context| {
        let options = EngineOptions { context: Some(context), ..EngineOptions::default() };
        MemoryNeeds::of(&package, &options).unwrap().work
    };
    let theirs = |context| needs(&package, context)[0].work;
    assert!(theirs(4000) > theirs(2000));
    assert_eq!(own(4000) == own(2000), has_kernels);
}
