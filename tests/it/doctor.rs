//! `fleming doctor`: what it finds on a machine without a GPU, and its exit code.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Scratch, demo_model, fleming, package_at, package_for, stderr};

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
        "plans         none are needed",
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
    // options that the plans of a package are not built for
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

fn doctor(package: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("doctor").arg("--model").arg(package).args(["--context", "1024"]);
    command
}

/// Alters the manifest of a package.
fn alter(package: &Path, how: impl Fn(&mut Value)) {
    let path = package.join("fleming.json");
    let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    how(&mut manifest);
    fs::write(&path, manifest.to_string()).unwrap();
}

#[test]
fn a_sound_package_answers_as_on_record() {
    // of its own precision; and the forms for GPUs, whose answers on record are those of the form for the CPU
    for package in [package_at("int8"), package_at("int4"), package_for("cuda"), package_for("tensorrt")] {
        let found = report(&mut doctor(&package), 0);
        assert_eq!(found["agreement"]["within"], true, "{found}");
    }
    let found = report(fleming("doctor").args(["--context", "1024"]), 0);
    let cases = found["agreement"]["cases"].as_array().unwrap();
    let names: Vec<_> = cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["text", "picture", "two pictures"]);
    for case in cases {
        let has_pictures = case["name"] != "text";
        assert_eq!(case["pixels_equal"], if has_pictures { json!(true) } else { Value::Null });
        assert_eq!(case["ids_equal"], true);
        let run = &case["runs"][0];
        assert!(run["by"].as_str().unwrap().starts_with("ONNX Runtime "), "{run}");
        assert_eq!(run["embeddings"].is_object(), has_pictures, "{run}");
        let logits = &run["logits"];
        assert_eq!((&logits["bounded"], &logits["bound"]), (&json!("max_error"), &json!(1e-3)));
        assert!(logits["max_error"].as_f64().unwrap() < 1e-4, "{run}");
        assert_eq!((&run["tokens"], &run["equal_tokens"]), (&json!(8), &json!(8)), "{run}");
    }
    let output = fleming("doctor").args(["--context", "1024"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "agreement     picture, beside ONNX Runtime ",
        "in f32: pixels the same, ids the same, embeddings off by ",
        "(at most 1e-3), all 8 tokens the same",
        "verdict       it runs, and answers as on record",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_altered_expectation_is_told_with_its_stage_and_number() {
    type Change = fn(&mut Value);
    let table: [(&str, Change); 6] = [
        ("picture: the prepared pixels are not", |test| test["cases"][1]["pixels_sha256"] = "0".into()),
        ("text: the token ids are not", |test| test["cases"][0]["ids_sha256"] = "0".into()),
        ("two pictures: image embeddings are not those of ONNX Runtime", |test| {
            let value = &mut test["runs"][0]["answers"][2]["embeddings"]["values"][7];
            *value = (value.as_f64().unwrap() + 0.25).into();
        }),
        ("text: first logits are not those of ONNX Runtime", |test| {
            let top = &mut test["runs"][0]["answers"][0]["logits"]["top"][0][1];
            *top = (top.as_f64().unwrap() - 0.25).into();
        }),
        // what no value on record shows
        ("picture: first logits are not those of ONNX Runtime", |test| {
            let deviation = &mut test["runs"][0]["answers"][1]["logits"]["deviation"];
            *deviation = (deviation.as_f64().unwrap() + 0.25).into();
        }),
        ("picture: token 3 is another than that of ONNX Runtime", |test| {
            let answer = &mut test["runs"][0]["answers"][1];
            answer["tokens"][2] = (answer["tokens"][2].as_u64().unwrap() + 1).into();
            answer["margins"][2] = 0.25.into();
        }),
    ];
    for (problem, change) in table {
        let scratch = Scratch::new();
        let package = scratch.package();
        alter(&package, |manifest| change(&mut manifest["self_test"]));
        let found = report(&mut doctor(&package), 1);
        let problems = found["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{found}");
        let told = problems[0].as_str().unwrap();
        assert!(told.starts_with(&format!("self-test, {problem}")), "{problem}: {told}");
        let numbered = ["embeddings", "logits"].iter().any(|stage| problem.contains(stage));
        assert!(!numbered || told.contains("off by 2.5e-1"), "{told}");
        assert!(!problem.contains("token 3") || told.contains("2.500e-1 ahead; up to 2.0e-3"), "{told}");
        assert_eq!((&found["ok"], &found["agreement"]["within"]), (&json!(false), &json!(false)));
        // and it runs all the same
        assert!(found["self_test"]["load_ms"].is_number());
    }
    // a tie may go either way
    let scratch = Scratch::new();
    let package = scratch.package();
    alter(&package, |manifest| {
        let answer = &mut manifest["self_test"]["runs"][0]["answers"][1];
        answer["tokens"][2] = (answer["tokens"][2].as_u64().unwrap() + 1).into();
        answer["margins"][2] = 0.001.into();
    });
    let found = report(&mut doctor(&package), 0);
    assert_eq!(found["agreement"]["cases"][1]["runs"][0]["equal_tokens"], 2);
}

/// Weights that are not the exporter's, under digests that say that they are: only the self-test can tell.
#[test]
fn other_weights_are_found_by_their_stage() {
    for (file, stage, untouched) in [
        ("vision.onnx.data", "image embeddings", "text: "),
        ("decoder.onnx.data", "first logits", "image embeddings"),
    ] {
        let scratch = Scratch::new();
        let package = scratch.package();
        let path = package.join(file);
        let mut bytes = fs::read(&path).unwrap();
        // a part of some layer's weights, each a little larger
        let start = bytes.len() / 24 * 20;
        for number in bytes[start..].chunks_exact_mut(size_of::<f32>()).take(4096) {
            let value = f32::from_le_bytes(number.try_into().unwrap());
            number.copy_from_slice(&(value + 0.01).to_le_bytes());
        }
        fs::write(&path, &bytes).unwrap();
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        alter(&package, |manifest| manifest["files"][file]["sha256"] = digest.as_str().into());
        let output = doctor(&package).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stdout).unwrap();
        let problems: Vec<_> = text.lines().filter(|line| line.starts_with("problem")).collect();
        assert!(problems.iter().any(|line| line.contains(stage) && line.contains("off by ")), "{text}");
        assert!(!problems.iter().any(|line| line.contains(untouched)), "{text}");
        assert!(text.contains("OUTSIDE"), "{text}");
        assert!(text.ends_with("verdict       it runs, but does not answer as on record\n"), "{text}");
    }
}

#[test]
fn a_package_without_a_self_test_runs_and_says_so() {
    let output = doctor(&demo_model()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("verdict       it runs; ") && text.contains("the package has no self-test"),
        "{text}"
    );
}

#[test]
fn a_self_test_that_contradicts_itself_is_refused_and_one_of_another_version_is_named() {
    type Change = fn(&mut Value);
    let table: [(&str, Change); 5] = [
        ("3 answers by ONNX Runtime", |test| drop(test["runs"][0]["answers"].as_array_mut().unwrap().pop())),
        ("1 to 4096 pixels a side", |test| test["cases"][1]["pictures"][0][0] = 1_000_000.into()),
        ("each with a margin", |test| test["runs"][0]["answers"][0]["margins"] = json!([])),
        ("values that lie in their tensor", |test| {
            test["runs"][0]["answers"][1]["embeddings"]["count"] = 0.into()
        }),
        ("wanted version 1, got version 2", |test| test["version"] = 2.into()),
    ];
    for (problem, change) in table {
        let scratch = Scratch::new();
        let package = scratch.package();
        alter(&package, |manifest| change(&mut manifest["self_test"]));
        let found = report(&mut doctor(&package), 1);
        assert!(found["problems"][0].as_str().unwrap().contains(problem), "{problem}: {found}");
    }
}
