//! `fleming doctor`: what it finds on a machine without a GPU, and its exit code.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{Scratch, fleming, package_for, stderr};

fn report(command: &mut Command, code: i32) -> Value {
    let output = command.arg("--json").output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn doctor_of(target: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("doctor").arg("--model").arg(package_for(target));
    command
}

#[test]
fn a_package_that_runs_here() {
    let found = report(fleming("doctor").args(["--context", "1024"]), 0);
    assert_eq!(found["ok"], true);
    assert_eq!(found["problems"].as_array().unwrap().len(), 0, "{found}");
    let names: Vec<_> =
        found["providers"].as_array().unwrap().iter().map(|provider| &provider["name"]).collect();
    assert_eq!(names, ["cpu", "cuda", "tensorrt"]);
    assert_eq!(found["providers"][0]["ready"], true);
    assert_eq!(found["package"]["runs_on"], serde_json::json!(["cpu"]));
    // what is built is TensorRT's, and of the machine's GPU there is nothing to tell without one
    assert_eq!(found["engines"], serde_json::json!([]));
    assert!(found["cuda"].is_null() || found["cuda"]["driver_for"].is_string(), "{found}");
    assert!(found["tensorrt"].is_null() || found["tensorrt"].is_string(), "{found}");
    assert!(found["onnxruntime"]["library"].as_str().unwrap().starts_with("libonnxruntime.so"));
    for stage in ["vision_ms_per_tile", "prefill_tokens_per_s", "decode_tokens_per_s", "ttft_ms"] {
        assert!(found["self_test"][stage]["median"].as_f64().unwrap() > 0.0, "{stage}: {found}");
    }
    let output = fleming("doctor").args(["--context", "1024", "--no-self-test"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "ONNX Runtime  libonnxruntime.so",
        "cpu           ready",
        "engines       none are needed",
        "verdict       it runs",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn what_is_lacking_is_named_and_the_exit_code_tells() {
    let found = report(doctor_of("cuda").args(["--provider", "cuda", "--context", "1024"]), 1);
    assert_eq!(found["package"]["runs_on"], serde_json::json!(["cpu", "cuda"]));
    assert_eq!(found["ok"], false);
    let problem = found["problems"][0].as_str().unwrap();
    assert!(problem.contains("cuda provider") && problem.contains("onnxruntime-gpu"), "{problem}");
    let libraries = found["providers"][1]["libraries"].as_array().unwrap();
    assert!(libraries.iter().any(|library| library["name"] == "libcublasLt.so.13"), "{found}");
    assert_eq!(found["self_test"], Value::Null);
    assert_eq!(found["engines"], Value::Null);
    // options that the engines of a package are not built for
    let mut command = doctor_of("tensorrt");
    let found = report(command.args(["--provider", "tensorrt", "--slots", "9", "--no-self-test"]), 1);
    assert!(found["problems"].to_string().contains("tensorrt"), "{found}");
    // the same package runs on the CPU
    report(doctor_of("cuda").args(["--no-self-test", "--context", "1024"]), 0);
    // and one for the CPU does not run on a GPU, whatever there is
    let found = report(fleming("doctor").args(["--provider", "tensorrt", "--context", "1024"]), 1);
    assert!(
        found["problems"].to_string().contains("of target cpu in f32 does not run on the tensorrt"),
        "{found}"
    );
}

#[test]
fn a_broken_package_is_told_with_the_rest() {
    let scratch = Scratch::new();
    let package = scratch.package();
    fs::remove_file(package.join("decoder.onnx.data")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    let found = report(command.arg("doctor").arg("--model").arg(&package), 1);
    assert!(found["problems"][0].as_str().unwrap().contains("decoder.onnx.data"), "{found}");
    assert_eq!(found["providers"][0]["ready"], true);
}
