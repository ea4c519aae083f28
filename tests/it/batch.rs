//! `fleming batch`: files of questions to files of answers, whatever happens in between.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Scratch, ask, fleming, input, reply, stderr};

fn batch(scratch: &Scratch, lines: &[String]) -> Command {
    batch_of(scratch, lines, 4)
}

/// A batch whose answers have this many tokens.
fn batch_of(scratch: &Scratch, lines: &[String], tokens: usize) -> Command {
    let file = scratch.file("in.jsonl", lines.join("\n").as_bytes());
    let mut command = fleming("batch");
    command.arg(file).arg(scratch.path("out.jsonl")).arg("--ignore-eos");
    command.arg("--max-new-tokens").arg(tokens.to_string());
    command
}

fn run(command: &mut Command, code: i32) -> Output {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{command:?}: {}", stderr(&output));
    output
}

fn answers(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts(count: usize) -> Vec<String> {
    (0..count)
        .map(|id| json!({"id": id, "question": format!("What is CT number {id}?")}).to_string())
        .collect()
}

#[test]
fn every_line_is_answered_as_ask_answers_it() {
    let scratch = Scratch::new();
    fs::copy(input("chest.png"), scratch.path("chest.png")).unwrap();
    let volume = input("volume_f32.npy");
    let lines = [
        json!({"id": "a", "image": "chest.png", "question": "What is shown?", "fact": 1, "kind": "image"}),
        json!({"id": 2, "volumes": [volume], "question": "What is shown?", "slices": 3, "prompt": "direct",
               "max_new_tokens": 2, "system": "S"}),
        json!({"id": "c", "history": [["What is CT?", "A scan."]], "question": "Why?", "images": null}),
    ];
    run(&mut batch(&scratch, &lines.map(|line| line.to_string())), 0);
    let answers = answers(&scratch.path("out.jsonl"));
    assert_eq!(
        answers.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(),
        [&json!("a"), &json!(2), &json!("c")]
    );

    let question = ["-q", "What is shown?", "--ignore-eos"];
    let image = reply(ask(&question).arg("--image").arg(input("chest.png")));
    let mut volume_question = ask(&question);
    volume_question.args(["--slices", "3", "--prompt", "direct", "--system", "S", "--volume"]).arg(volume);
    let volume = reply(&mut volume_question);
    assert_eq!(answers[0]["completion_ids"], image["completion_ids"]);
    assert_eq!(answers[0]["package"], image["package"]);
    assert_eq!(answers[0]["warnings"].as_array().unwrap().len(), 1, "{}", answers[0]["warnings"]);
    assert!(answers[0]["warnings"][0].as_str().unwrap().contains("fact"));
    assert_eq!(
        answers[1]["completion_ids"].as_array().unwrap()[..],
        volume["completion_ids"].as_array().unwrap()[..2]
    );
    assert_eq!(answers[1]["frames"].as_array().unwrap().len(), 3);
}

#[test]
fn a_line_that_fails_says_why_and_the_others_go_on() {
    let scratch = Scratch::new();
    let lines = [
        json!({"id": 1, "question": "What is CT?"}).to_string(),
        "{\"id\": 2, \"question\": ".into(),
        String::new(),
        json!({"id": 3, "image": "missing.png", "question": "What?"}).to_string(),
        json!({"id": 1, "question": "Once more?"}).to_string(),
        json!({"question": "Who am I?"}).to_string(),
        json!({"id": 4}).to_string(),
        json!({"id": 5, "question": "What?", "slices": "many"}).to_string(),
        json!({"id": [6], "question": "What?"}).to_string(),
        json!({"id": 7, "question": "What is MRI?"}).to_string(),
    ];
    run(&mut batch(&scratch, &lines), 3);
    let path = scratch.path("out.jsonl");
    let answers = answers(&path);
    let facts: Vec<_> =
        answers.iter().map(|answer| (&answer["line"], answer.get("error").is_some())).collect();
    let wanted = [1, 2, 4, 5, 6, 7, 8, 9, 10].map(Value::from);
    assert_eq!(facts, wanted.iter().map(|line| (line, *line != 1 && *line != 10)).collect::<Vec<_>>());
    let missing = &answers[2]["error"];
    assert_eq!(missing["code"], "input");
    for fact in ["thing", "wanted", "got", "hint", "message"] {
        assert!(missing[fact].is_string(), "{fact}: {missing}");
    }
    assert!(answers[3]["error"]["got"].as_str().unwrap().contains("lines 1 and 5"), "{}", answers[3]);
    assert!(answers[6]["error"]["thing"] == "slices", "{}", answers[6]);

    // Nothing is left to ask, and what failed still counts.
    let before = fs::read(&path).unwrap();
    run(&mut batch(&scratch, &lines), 3);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_run_that_was_killed_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let path = scratch.path("out.jsonl");
    run(&mut batch(&scratch, &texts(4)), 0);
    let whole = fs::read_to_string(&path).unwrap();
    let ids = |answers: &[Value]| {
        answers.iter().map(|a| (a["id"].clone(), a["completion_ids"].clone())).collect::<Vec<_>>()
    };
    let wanted = ids(&answers(&path));

    // Killed in the middle of the third line.
    let third: usize = whole.lines().take(2).map(|line| line.len() + 1).sum();
    fs::write(&path, &whole[..third + 20]).unwrap();
    let output = run(&mut batch(&scratch, &texts(4)), 0);
    assert!(stderr(&output).contains("cut short"), "{}", stderr(&output));
    assert_eq!(ids(&answers(&path)), wanted);
    assert!(fs::read_to_string(&path).unwrap().starts_with(&whole[..third]), "lines that were done are kept");
}

#[test]
fn answers_come_in_the_order_of_the_questions() {
    let scratch = Scratch::new();
    let path = scratch.path("out.jsonl");
    let ids =
        || answers(&path).iter().map(|a| (a["id"].clone(), a["completion_ids"].clone())).collect::<Vec<_>>();
    run(&mut batch(&scratch, &texts(9)), 0);
    let alone = ids();
    fs::remove_file(&path).unwrap();
    let output = run(batch(&scratch, &texts(9)).args(["--concurrency", "4"]), 0);
    assert_eq!(ids(), alone);
    assert!(stderr(&output).starts_with("memory: "), "{}", stderr(&output));
    // More at once than there are slots wait their turn.
    fs::remove_file(&path).unwrap();
    run(batch(&scratch, &texts(9)).args(["--concurrency", "6", "--slots", "2", "--chunk", "8"]), 0);
    assert_eq!(ids(), alone);
    run(batch(&scratch, &texts(10)).args(["--slots", "0"]), 2);
    run(batch(&scratch, &texts(10)).args(["--concurrency", "5000"]), 2);
}

#[test]
fn shards_share_the_lines_out() {
    let scratch = Scratch::new();
    let path = scratch.path("out.jsonl");
    let mut seen = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        run(batch(&scratch, &texts(5)).args(["--shard", shard]), 0);
        seen.extend(answers(&path).iter().map(|answer| answer["id"].as_u64().unwrap()));
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(seen, [0, 3, 1, 4, 2]);
    for wrong in ["0/3", "4/3", "1", "a/b", "1/0"] {
        run(batch(&scratch, &texts(1)).args(["--shard", wrong]), 2);
    }
}

#[test]
fn no_other_file_is_written_into() {
    let scratch = Scratch::new();
    let path = scratch.path("out.jsonl");
    for content in ["a diary", "a diary\n", "{\"no\": \"id\"}\n", "[1]\n{\"id\": 1"] {
        fs::write(&path, content).unwrap();
        run(&mut batch(&scratch, &texts(1)), 2);
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let other = json!({"id": 9, "package": {"digest": "of another package"}}).to_string() + "\n";
    fs::write(&path, &other).unwrap();
    run(&mut batch(&scratch, &texts(1)), 2);
    assert_eq!(fs::read_to_string(&path).unwrap(), other);
    let questions = scratch.file("in.jsonl", texts(1).join("\n").as_bytes());
    run(fleming("batch").arg(&questions).arg(&questions), 2);
}

#[test]
fn two_runs_do_not_write_one_file() {
    let scratch = Scratch::new();
    let held = fs::File::create(scratch.path("out.jsonl")).unwrap();
    held.lock().unwrap();
    let output = run(&mut batch(&scratch, &texts(1)), 2);
    assert!(stderr(&output).contains("another run"), "{}", stderr(&output));
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let path = scratch.path("out.jsonl");
    let lines = texts(6);
    let answered = || fs::read_to_string(&path).unwrap_or_default().lines().count();
    // Slow enough to be caught in the middle.
    let slow = |code: &[i32], signal: Option<&str>| {
        let mut command = batch_of(&scratch, &lines, 1000);
        command.args(["--concurrency", "2"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        if let Some(signal) = signal {
            let before = answered();
            while child.try_wait().unwrap().is_none() {
                if answered() > before {
                    Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        let status = child.wait().unwrap();
        assert!(code.contains(&status.code().unwrap_or(-1)), "{status}");
    };
    // It may be through before the signal comes.
    slow(&[130, 0], Some("-INT"));
    slow(&[-1, 0], Some("-KILL"));
    slow(&[0], None);
    let ids: Vec<_> = answers(&path).iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..6).collect::<Vec<_>>());
}

#[test]
fn an_answer_that_was_cut_off_before_it_had_its_form_is_told() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let scratch = Scratch::new();
    let lines = [
        json!({"id": 1, "question": "What is CT?", "ignore_eos": null, "prompt": "direct", "regex": "[a-z]{40}"}),
        json!({"id": 2, "question": "What is CT?", "ignore_eos": null, "prompt": "direct", "choice": ["a", "b"]}),
    ];
    let lines = lines.map(|line| line.to_string());
    let output = run(&mut batch(&scratch, &lines), 4);
    assert!(stderr(&output).contains("1 cut off without the form"), "{}", stderr(&output));
    let path = scratch.path("out.jsonl");
    let forms: Vec<_> = answers(&path).iter().map(|answer| answer["form"].clone()).collect();
    assert_eq!(forms, ["cut-off", "kept"]);
    // It counts when the run is asked for again.
    run(&mut batch(&scratch, &lines), 4);
    assert_eq!(answers(&path).len(), 2);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // No link is followed.
    let elsewhere = scratch.path("elsewhere.jsonl");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    let output = run(&mut batch(&scratch, &lines), 2);
    assert!(stderr(&output).contains("a link to one"), "{}", stderr(&output));
}
