//! Execution providers on a machine without a GPU: what is refused, and in which words.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{
    Scratch, ask, ask_of, gpu_build, input, package, package_at, package_for, refusal, reply, stderr,
};

#[test]
fn a_build_without_the_provider_is_an_error_and_no_fallback() {
    for (provider, title, package) in
        [("cuda", "CUDA", "cuda"), ("cuda:1", "CUDA", "cuda"), ("tensorrt", "TensorRT", "tensorrt-bf16")]
    {
        let said = refusal(&mut ask_of(&package_at(package), &["-q", "x", "--provider", provider]), 1);
        assert!(said.contains(&format!("{title} execution provider is not enabled in this build")), "{said}");
        assert!(said.contains("onnxruntime-gpu[cuda]"), "{said}");
    }
}

#[test]
fn a_package_for_something_else_is_refused() {
    let said = refusal(&mut ask_of(&package(), &["-q", "x", "--provider", "cuda"]), 1);
    assert!(said.contains("of target cuda or tensorrt, got cpu") && said.contains("--target cuda"), "{said}");
    let said = refusal(&mut ask_of(&package_for("cuda"), &["-q", "x", "--provider", "tensorrt"]), 1);
    assert!(said.contains("of target tensorrt, got cuda"), "{said}");
    let said = refusal(&mut ask_of(&package_for("tensorrt"), &["-q", "x", "--provider", "tensorrt"]), 1);
    assert!(
        said.contains("precision: wanted one that the tensorrt provider has kernels for, got f32"),
        "{said}"
    );
}

#[test]
fn options_of_providers() {
    let image = input("chest.png");
    let asked = |options: &[&str]| reply(ask(options).args(["-q", "What is it?", "--image"]).arg(&image));
    let usual = asked(&[]);
    assert_eq!(asked(&["--provider-option", "use_arena=false"])["text"], usual["text"]);
    for (options, named) in [
        (["--provider-option", "use_arena=2"], "true or false"),
        (["--provider-option", "gpu_mem_limit=1"], "use_arena (true or false)"),
        (["--provider", "cpu:0"], "cpu without a number"),
        (["--provider", "cuda:x"], "cuda or cuda:N"),
    ] {
        let said = refusal(ask(&["-q", "x"]).args(options), 2);
        assert!(said.contains(named), "{said}");
    }
    let output = ask(&["-q", "x", "--provider-option", "use_arena"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// A folder with libraries that say so when they are loaded: ONNX Runtime's and CUDA's. What the program itself is linked with
/// the loader finds before it runs.
#[cfg(target_arch = "x86_64")]
fn planted(scratch: &Scratch) -> PathBuf {
    let source = scratch.file(
        "planted.c",
        b"#include <stdio.h>\n__attribute__((constructor)) static void run(void) { fputs(\"PLANTED\", stderr); }\n",
    );
    let folder = scratch.path("study");
    let environment = folder.join(".venv/lib/python3.11/site-packages/onnxruntime/capi");
    fs::create_dir_all(&environment).unwrap();
    let first = folder.join("libonnxruntime.so");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&first).arg(source).status();
    assert!(compiled.unwrap().success());
    for name in ["libonnxruntime.so.1", "libcuda.so.1", "libcudart.so.13", "libcublasLt.so.13"] {
        fs::copy(&first, folder.join(name)).unwrap();
    }
    fs::copy(&first, environment.join("libonnxruntime.so.1.32.0")).unwrap();
    folder
}

/// ONNX Runtime's wheels keep an identifier of the device and a store of reports in the user's cache folder, unless told not to.
#[test]
fn onnx_runtime_reports_nothing() {
    let home = Scratch::new();
    let mut command = ask(&["-q", "x"]);
    command.env("HOME", home.path("")).env_remove("XDG_CACHE_HOME").env_remove("ORT_DISABLE_TELEMETRY");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let kept: Vec<_> = fs::read_dir(home.path("")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(kept.is_empty(), "{kept:?}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn no_library_is_taken_from_the_working_folder() {
    let scratch = Scratch::new();
    let (folder, [gpu, _]) = (planted(&scratch), gpu_build());
    // as where ONNX Runtime is found by no other way
    let alone = scratch.path("fleming");
    fs::copy(env!("CARGO_BIN_EXE_fleming"), &alone).unwrap();
    for listed in ["", ":", "/nowhere:", ".:/nowhere", ".venv;."] {
        let mut command = Command::new(&alone);
        command.args(["ask", "-q", "x", "--model"]).arg(package());
        let mut with_gpu = ask_of(&package_for("cuda"), &["-q", "x", "--provider", "cuda"]);
        with_gpu.arg("--onnxruntime").arg(&gpu);
        for command in [&mut command, &mut with_gpu] {
            command.current_dir(&folder).env("LD_LIBRARY_PATH", listed).env("VIRTUAL_ENV", ".venv");
            let output = command.env_remove("ORT_DYLIB_PATH").output().unwrap();
            assert!(!stderr(&output).contains("PLANTED"), "{listed}: {command:?}: {}", stderr(&output));
        }
        let output = ask(&["-q", "x"]).current_dir(&folder).env("LD_LIBRARY_PATH", listed).output().unwrap();
        assert!(output.status.success() && !stderr(&output).contains("PLANTED"), "{}", stderr(&output));
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_build_with_the_provider_names_the_libraries_that_are_missing() {
    if Path::new("/proc/driver/nvidia/version").exists() {
        // nothing may be missing here
        return;
    }
    let [library, _] = gpu_build();
    let folder = Path::new(&library).parent().unwrap().display().to_string();
    for (provider, names) in [
        ("cuda", &["libcuda.so.1", "libcublasLt.so.13"][..]),
        ("tensorrt", &["libcuda.so.1", "libcublasLt.so.13", "libcudnn.so.9", "libnvinfer.so.10"]),
    ] {
        let options = ["-q", "x", "--provider", provider];
        let said = refusal(ask_of(&package_for(provider), &options).arg("--onnxruntime").arg(&library), 1);
        let missing = said.split("got no ").nth(1).unwrap();
        assert!(names.iter().all(|name| missing.contains(name)), "{said}");
        assert!(said.contains(&folder) && said.contains("onnxruntime-gpu[cuda]"), "{said}");
        assert_eq!(said.contains("cudnn"), provider == "tensorrt", "{said}");
        assert!(said.contains("NVIDIA's driver"), "{said}");
    }
}
