//! Execution providers on a machine without a GPU: what is refused, and in which words.

use std::path::Path;

use crate::support::{ask, ask_of, gpu_build, input, package, package_at, package_for, refusal, reply};

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
