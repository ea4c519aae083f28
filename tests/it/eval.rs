//! `fleming eval` on cases whose answers are known because the model was asked before.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Scratch, ask, input, package, refusal, reply, stderr};

fn eval(scratch: &Scratch, cases: &[Value]) -> Command {
    let lines: Vec<_> = cases.iter().map(Value::to_string).collect();
    let file = scratch.file("cases.jsonl", lines.join("\n").as_bytes());
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("eval").arg(file).arg("--model").arg(package()).args(["--max-new-tokens", "4"]);
    command
}

#[test]
fn right_and_wrong_answers_are_counted_by_kind() {
    let scratch = Scratch::new();
    std::fs::copy(input("chest.png"), scratch.path("chest.png")).unwrap();
    let image = reply(ask(&["-q", "What is shown?", "--image"]).arg(input("chest.png")));
    let volume = reply(ask(&["-q", "What is shown?", "--volume"]).arg(input("volume_f32.npy")));
    let answer = image["answer"].as_str().unwrap().to_uppercase();
    let history = json!([["What is CT?", "A scan."]]);
    let cases = [
        json!({"id": 1, "kind": "image", "images": ["chest.png"], "question": "What is shown?", "answer": answer}),
        json!({"id": "b", "kind": "image", "images": ["chest.png"], "question": "What is shown?", "answer": "a giraffe"}),
        json!({"id": "c", "kind": "image", "images": ["missing.png"], "question": "What is shown?", "answer": answer}),
        json!({"id": "d", "kind": "volume", "volume": input("volume_f32.npy"), "question": "What is shown?",
               "answer": volume["answer"]}),
        json!({"id": "e", "kind": "text", "history": history, "question": "Why?", "answer": "nobody knows"}),
    ];
    let results = scratch.path("results.jsonl");
    let traces = scratch.path("traces");
    let mut command = eval(&scratch, &cases);
    command.arg("--json").arg("--output").arg(&results).arg("--trace").arg(&traces);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let table: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(table["kinds"]["image"], json!({"accuracy": 1.0 / 3.0, "count": 3, "errors": 1}));
    assert_eq!(table["kinds"]["volume"], json!({"accuracy": 1.0, "count": 1, "errors": 0}));
    assert_eq!(table["kinds"]["text"]["accuracy"], 0.0);

    let lines = std::fs::read_to_string(results).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let right: Vec<_> = lines.iter().map(|line| line["right"].as_bool().unwrap()).collect();
    assert_eq!(right, [true, false, false, true, false]);
    assert!(lines[2]["error"].as_str().unwrap().contains("missing.png"));

    let traced = |number: &str| traces.join(number).join("pixel_values.npy").exists();
    assert_eq!(["0001", "0002", "0003", "0004", "0005"].map(traced), [true, true, false, true, true]);
}

#[test]
fn a_case_is_read_as_batch_reads_it() {
    let scratch = Scratch::new();
    let volume = input("volume_f32.npy");
    let case = json!({
        "id": 1, "kind": "volume", "fact": "dose", "files": [volume], "question": "What is shown?", "slices": 5,
        "prompt": "direct", "max_new_tokens": 2, "system": "S", "answer": "x", "ignore_eos": true,
        "history": {"history": [["<image> Before?", "No."]], "studies": [{"image": input("chest.png")}]},
    });
    let mut command = eval(&scratch, std::slice::from_ref(&case));
    let output = command.args(["--slices", "2", "--trace"]).arg(scratch.path("traces")).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("warning: the field fact"), "{}", stderr(&output));
    let trace = std::fs::read(scratch.path("traces/0001/trace.json")).unwrap();
    let trace: Value = serde_json::from_slice(&trace).unwrap();
    assert_eq!(trace["slice_indices"].as_array().unwrap().len(), 5);
    let prompt = trace["prompt"].as_str().unwrap();
    assert!(prompt.contains("system\nS<") && prompt.contains("user\n<image> Before?<"), "{prompt}");

    let answers = scratch.path("answers.jsonl");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg("batch").arg(scratch.path("cases.jsonl")).arg(&answers).arg("--model").arg(package());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let answer: Value = serde_json::from_slice(&std::fs::read(answers).unwrap()).unwrap();
    assert_eq!(answer["frames"], trace["frames"]);
    assert_eq!(answer["usage"], trace["usage"]);
    assert_eq!(answer["warnings"].as_array().unwrap().len(), 1, "{}", answer["warnings"]);
}

#[test]
fn an_option_that_no_case_had_a_use_for_is_told() {
    let scratch = Scratch::new();
    let told = |images: Value, answer: &str| {
        let case = json!({"id": 1, "kind": "x", "images": images, "question": "What?", "answer": answer});
        let output = eval(&scratch, &[case]).args(["--slices", "3"]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let of_images = told(json!([input("chest.png")]), "x");
    assert!(of_images.contains("warning: --slices: wanted a volume to look at, got an image"), "{of_images}");
    let of_none = told(json!([]), "x");
    assert!(of_none.contains("warning: --slices: wanted a volume to look at, got no input"), "{of_none}");
    let failed = told(json!(["missing.png"]), "x");
    assert!(!failed.contains("--slices"), "{failed}");
    let case =
        json!({"id": 1, "kind": "x", "volume": input("volume_f32.npy"), "question": "What?", "answer": "x"});
    let output = eval(&scratch, &[case]).args(["--slices", "3"]).output().unwrap();
    assert!(!stderr(&output).contains("--slices"), "{}", stderr(&output));
}

#[test]
fn a_case_that_cannot_be_asked_is_wrong() {
    let scratch = Scratch::new();
    let case = |slices: Value| json!({"id": 1, "kind": "text", "question": "What?", "answer": "x", "slices": slices});
    let results = scratch.path("results.jsonl");
    let form = json!({"id": 3, "kind": "text", "question": "What?", "answer": "x", "regex": "[a-z]{40}"});
    let mut command = eval(&scratch, &[case(json!("many")), case(json!(3)), form]);
    let output = command.arg("--json").arg("--output").arg(&results).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let table: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&table["kinds"]["text"]["count"], &table["kinds"]["text"]["errors"]), (&json!(3), &json!(2)));
    let lines = std::fs::read_to_string(&results).unwrap();
    let lines: Vec<_> = lines.lines().collect();
    assert!(lines[0].contains("slices: wanted a whole number, 1 to 4096"), "{lines:?}");
    assert!(lines[1].contains("slices: wanted a volume to look at, got no input"), "{lines:?}");
    let cut: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(
        (&cut["finish"], &cut["truncated"], &cut["form"]),
        (&json!("length"), &json!("answer"), &json!("cut-off"))
    );
    assert!(stderr(&output).contains("replies that were cut off: 1"), "{}", stderr(&output));
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(results).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_holds_no_cases_is_refused() {
    let scratch = Scratch::new();
    for (cases, named) in [(vec![], "at least one"), (vec![json!({"id": 1})], "line 1")] {
        let output = eval(&scratch, &cases).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(named), "{}", stderr(&output));
    }
}

#[test]
fn outputs_that_cannot_be_written_are_refused() {
    let scratch = Scratch::new();
    let below = scratch.file("file", b"x").join("below").display().to_string();
    let case = json!({"id": 1, "kind": "text", "question": "What is CT?", "answer": "A scan."});
    for option in ["--output", "--trace"] {
        let message = refusal(eval(&scratch, std::slice::from_ref(&case)).args([option, &below]), 2);
        assert!(message.contains(&below), "{message}");
    }
}
