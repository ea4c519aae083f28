//! `fleming warm` on a machine without a GPU: where there is nothing to build, and what is refused.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Scratch, fleming, package_at, package_for, refusal, reply};

fn warm_of(package: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("warm").arg("--model").arg(package).args(options);
    command
}

#[test]
fn the_cpu_has_nothing_to_build() {
    let output = fleming("warm").args(["--context", "1024"]).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "nothing to build: the package runs on the cpu provider as it is\n");
    // in the form for TensorRT too
    let found = reply(&mut warm_of(&package_for("tensorrt"), &["--context", "1024"]));
    assert_eq!((found["engines"].as_array().unwrap().len(), found["provider"].as_str()), (0, Some("cpu")));
    assert_eq!(found["package"]["digest"].as_str().unwrap().len(), 64);
    assert!(!package_for("tensorrt").join("engines").exists());
}

#[test]
fn a_package_that_does_not_run_is_an_error() {
    let scratch = Scratch::new();
    let package = scratch.package();
    let weights = package.join("vision.onnx.data");
    let mut bytes = fs::read(&weights).unwrap();
    bytes[0] ^= 1;
    fs::write(&weights, bytes).unwrap();
    let said = refusal(&mut warm_of(&package, &[]), 1);
    assert!(said.contains("vision.onnx.data") && said.contains("SHA-256"), "{said}");
}

#[test]
fn tensorrt_is_not_here_and_says_so() {
    let scratch = Scratch::new();
    let cache = scratch.path("cache");
    let options = ["--provider", "tensorrt", "--engine-cache", cache.to_str().unwrap()];
    for more in [&[][..], &["--into-package"], &["--json"]] {
        let mut command = warm_of(&package_at("tensorrt-bf16"), &options);
        let said = refusal(command.args(more), 1);
        assert!(said.contains("tensorrt provider") && said.contains("onnxruntime-gpu[cuda]"), "{said}");
    }
    assert!(!cache.exists() && !package_at("tensorrt-bf16").join("engines").exists());
}

#[test]
fn what_the_plans_of_a_package_cannot_run_is_refused_first() {
    let package = package_for("tensorrt");
    for (options, told) in [
        (["--slots", "9"], "slots: wanted at most 8, for which the package's plans are built, got 9"),
        (["--chunk", "1024"], "chunk: wanted at most 512"),
        (["--provider-option", "trt_engine_cache_path=/tmp"], "--engine-cache says where"),
        (["--provider-option", "trt_profile_max_shapes=x:1"], "the profiles are those of the package"),
    ] {
        let said = refusal(warm_of(&package, &["--provider", "tensorrt"]).args(options), 2);
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn a_package_for_tensorrt_without_profiles_is_refused() {
    let scratch = Scratch::new();
    let package = scratch.path("tensorrt");
    fs::create_dir(&package).unwrap();
    for file in fs::read_dir(package_for("tensorrt")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), package.join(file.file_name())).unwrap();
    }
    let manifest = package.join("fleming.json");
    let text = fs::read_to_string(&manifest).unwrap();
    let refused = |text: String| {
        fs::write(&manifest, text).unwrap();
        refusal(&mut warm_of(&package, &[]), 1)
    };
    let said = refused(text.replace("\"profiles\"", "\"profile\""));
    assert!(said.contains("profiles: wanted ranges of the inputs, for TensorRT, got none"), "{said}");
    let said = refused(text.replace("\"seqlens_k\": {", "\"seqlens\": {"));
    assert!(said.contains("profiles.decoder: prefill: seqlens: wanted an input of the graph"), "{said}");
}
