//! `fleming inspect`: a package without a quality report and one with it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Scratch, fleming, stderr};

fn shown(options: &[&str]) -> String {
    let output = fleming("inspect").args(options).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_package_says_what_it_is_and_needs() {
    let text = shown(&["--context", "1024"]);
    for part in [
        "f32 for cpu",
        "runs on       cpu",
        "decoder.onnx.data",
        "memory        ",
        "quality       not measured",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let found: Value = serde_json::from_str(&shown(&["--context", "1024", "--json"])).unwrap();
    assert_eq!(found["runs_on"], json!(["cpu"]));
    assert_eq!(found["quality"], Value::Null);
    assert!(found["memory_bytes"].as_u64().unwrap() > found["files"]["decoder.onnx.data"].as_u64().unwrap());
}

#[test]
fn a_quality_report_is_shown() {
    let scratch = Scratch::new();
    let copy = scratch.package();
    let path = copy.join("fleming.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["quality"] = json!({
        "passed": true, "positions": 5480, "top1_agreement": 0.9956, "kl_divergence": {"mean": 0.0012, "p99": 0.02},
        "answers": {"video": {"cases": 300, "reference": 0.997, "package": 0.99}},
    });
    fs::write(&path, manifest.to_string()).unwrap();
    let model = ["--model", copy.to_str().unwrap()];
    let inspect = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
        let output = command.arg("inspect").args(model).args(options).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = inspect(&[]);
    for part in ["passed", "99.56 % of 5480 positions", "video: 99.0 % of 300 answers right, f32 99.7 %"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let found: Value = serde_json::from_str(&inspect(&["--json"])).unwrap();
    assert_eq!(found["quality"], manifest["quality"]);
}
