//! `fleming chat` through a pipe; `tests/terminal` has it at a terminal.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Scratch, ask, fleming, input, reply, stderr};

/// What a chat says to these lines.
fn chat(options: &[&str], lines: &[String]) -> Output {
    chat_of(fleming("chat"), options, lines)
}

fn chat_of(mut command: Command, options: &[&str], lines: &[String]) -> Output {
    command.args(["--max-new-tokens", "4", "--ignore-eos"]).args(options);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn transcript(scratch: &Scratch) -> Value {
    serde_json::from_slice(&fs::read(scratch.path("chat.json")).unwrap()).unwrap()
}

fn save(scratch: &Scratch) -> String {
    format!("/save {}", scratch.path("chat.json").display())
}

#[test]
fn studies_stay_where_they_were_brought_in() {
    let scratch = Scratch::new();
    let lines = [
        format!("/image {}", input("chest.png").display()),
        "What is shown?".into(),
        format!("/volume {} --slices 2", input("volume_f32.npy").display()),
        "And in the second?".into(),
        save(&scratch),
    ];
    let output = chat(&["--prompt", "direct"], &lines);
    let saved = transcript(&scratch);
    assert_eq!(saved["history"][0][0], "<image>\nWhat is shown?");
    assert_eq!(saved["history"][1][0], "<image>\nAnd in the second?");
    assert_eq!(
        saved["studies"],
        json!([{"image": input("chest.png")}, {"volume": input("volume_f32.npy"), "slices": 2}])
    );

    // The same turns, asked one by one.
    let options = ["--prompt", "direct", "--ignore-eos", "-q"];
    let first = reply(ask(&options).arg("What is shown?").arg("--image").arg(input("chest.png")));
    let history = scratch.file("history.json", json!([saved["history"][0]]).to_string().as_bytes());
    let mut command = ask(&options);
    command
        .arg("<image>\nAnd in the second?")
        .arg("--history")
        .arg(history)
        .arg("--image")
        .arg(input("chest.png"));
    let second = reply(command.args(["--slices", "2", "--volume"]).arg(input("volume_f32.npy")));
    let wanted = [&first, &second].map(|reply| format!("{}\n", reply["answer"].as_str().unwrap()));
    assert_eq!(stdout(&output), wanted.concat());
    assert_eq!(saved["history"][0][1], first["text"]);

    // And the whole goes on with 'ask', which finds the studies in the file; they may be named again.
    let alone = reply(ask(&["-q", "Why?", "--history"]).arg(scratch.path("chat.json")));
    let mut third = ask(&["-q", "Why?", "--slices", "2", "--history"]);
    third.arg(scratch.path("chat.json")).arg("--image").arg(input("chest.png"));
    let frames = reply(third.arg("--volume").arg(input("volume_f32.npy")))["frames"].clone();
    assert_eq!(frames.as_array().unwrap().len(), 3);
    assert_eq!(alone["frames"], frames);
}

#[test]
fn a_saved_conversation_is_asked_again() {
    let scratch = Scratch::new();
    let lines = [format!("/file {}", input("chest.png").display()), "What is shown?".into(), save(&scratch)];
    let options = ["--prompt", "direct", "--system", "Be brief."];
    chat(&options, &lines);
    let saved = scratch.path("chat.json").display().to_string();
    assert_eq!(transcript(&scratch)["studies"], json!([{"file": input("chest.png")}]));
    assert_eq!(transcript(&scratch)["system"], "Be brief.");

    // A new study comes after those of the file.
    let volume = input("volume_f32.npy");
    let asked = |options: &[&str]| {
        let mut command = ask(&["--prompt", "direct", "--ignore-eos", "--slices", "2", "-q", "And here?"]);
        let trace = scratch.path("trace");
        let reply =
            reply(command.args(options).args(["--history", &saved]).arg(&volume).arg("--trace").arg(&trace));
        let trace: Value = serde_json::from_slice(&fs::read(trace.join("trace.json")).unwrap()).unwrap();
        (reply, trace["prompt"].as_str().unwrap().to_owned())
    };
    let (reply, prompt) = asked(&[]);
    assert_eq!(reply["frames"].as_array().unwrap().len(), 3);
    assert!(prompt.contains("system\nBe brief.<"), "{prompt}");
    assert!(prompt.contains("user\n<image>\nWhat is shown?<"), "{prompt}");
    assert!(prompt.contains("user\n<image>\n<image>\nAnd here?<"), "{prompt}");
    assert!(asked(&["--system", "Be long."]).1.contains("system\nBe long.<"));
    // In a chat too, from the command line and with /load.
    let then = [format!("/volume {} --slices=2", volume.display()), "And here?".into()];
    let answer = format!("{}\n", reply["answer"].as_str().unwrap());
    assert_eq!(stdout(&chat(&["--prompt", "direct", "--history", &saved], &then)), answer);
    let load = [&[format!("/load {saved}")], &then[..]].concat();
    assert_eq!(stdout(&chat(&["--prompt", "direct"], &load)), answer);
}

#[test]
fn pairs_alone_leave_the_system_message_as_it_is() {
    let scratch = Scratch::new();
    let pairs = scratch.file("pairs.json", br#"[["What is CT?", "A scan."]]"#);
    chat(&["--system", "Be brief."], &[format!("/load {}", pairs.display()), save(&scratch)]);
    let saved = transcript(&scratch);
    assert_eq!((&saved["system"], &saved["history"][0][1]), (&json!("Be brief."), &json!("A scan.")));
    let other = scratch.file("other.json", br#"{"history": [], "system": null}"#);
    chat(&["--system", "Be brief."], &[format!("/load {}", other.display()), save(&scratch)]);
    assert_eq!(transcript(&scratch)["system"], Value::Null);
}

#[test]
fn a_saved_conversation_is_loaded() {
    let scratch = Scratch::new();
    let begin = |last: &[String]| {
        let volume = format!("/volume {} --slices 2", input("volume_f32.npy").display());
        let clip = format!("/video {} --frames 3 --start 0.5", input("clip.mp4").display());
        [&[volume, "What is shown?".into(), clip, "And here?".into()], last].concat()
    };
    let options = ["--prompt", "direct", "--system", "Be brief."];
    let last = |output: &Output| stdout(output).lines().last().unwrap().to_owned();
    let whole = chat(&options, &begin(&["Why?".into()]));
    let saved = chat(&options, &begin(&[save(&scratch)]));
    assert_eq!(stdout(&whole).lines().count(), stdout(&saved).lines().count() + 1);
    let before = transcript(&scratch);
    let load = format!("/load {}", scratch.path("chat.json").display());
    // In another chat, in which something else was spoken of.
    let other = ["What is CT?".into(), load, save(&scratch), "Why?".into()];
    let output = chat(&["--prompt", "direct"], &other);
    assert_eq!(last(&output), last(&whole));
    assert_eq!(transcript(&scratch), before);

    // What cannot be gone on from leaves the conversation as it is.
    let mut lost = before.clone();
    lost["studies"][0]["volume"] = "nowhere.npy".into();
    let lost = scratch.file("lost.json", lost.to_string().as_bytes());
    let fewer = json!({"history": before["history"], "studies": [before["studies"][0]], "system": null});
    let fewer = scratch.file("fewer.json", fewer.to_string().as_bytes());
    let odd = json!({"history": [], "studies": [{"image": "x", "model": "y"}]});
    let odd = scratch.file("odd.json", odd.to_string().as_bytes());
    let lines =
        [&lost, &fewer, &odd, &scratch.path("none.json")].map(|file| format!("/load {}", file.display()));
    let lines = [&["What is CT?".into()], &lines[..], &[save(&scratch)]].concat();
    let said = stderr(&chat(&["--prompt", "direct"], &lines));
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 4, "{said}");
    assert!(said.contains("nowhere.npy") && said.contains("as many studies"), "{said}");
    assert_eq!(transcript(&scratch)["history"].as_array().unwrap().len(), 1);
}

#[test]
fn the_first_turn_is_what_ask_asks() {
    let output = chat(
        &["--volume", input("volume_f32.npy").to_str().unwrap(), "--slices", "3"],
        &["What is shown?".into(), "/quit".into(), "never asked".into()],
    );
    let mut command = ask(&["-q", "What is shown?", "--ignore-eos", "--slices", "3", "--volume"]);
    let reply = reply(command.arg(input("volume_f32.npy")));
    assert_eq!(stdout(&output), format!("{}\n", reply["answer"].as_str().unwrap()));
}

#[test]
fn a_turn_that_fails_does_not_end_the_chat() {
    let scratch = Scratch::new();
    let text = scratch.file("text.png", b"not a picture");
    let precious = scratch.file("precious.json", b"[1, 2]");
    let lines = [
        "/image nowhere.png".into(),
        "/nonsense".into(),
        "/volume x --slices many".into(),
        format!("/save {}", precious.display()),
        format!("/image {}", text.display()),
        "What is shown?".into(),
        "What is CT?".into(),
        save(&scratch),
        save(&scratch),
        "/reset".into(),
        "/help".into(),
    ];
    let output = chat(&[], &lines);
    let said = stderr(&output);
    assert_eq!(said.lines().filter(|line| line.starts_with("error: ")).count(), 5, "{said}");
    assert!(
        said.contains("nowhere.png") && said.contains("/nonsense") && said.contains("text.png"),
        "{said}"
    );
    assert_eq!(fs::read(precious).unwrap(), b"[1, 2]");
    let saved = transcript(&scratch);
    let turns = saved["history"].as_array().unwrap();
    assert_eq!(turns.len(), 1);
    let question = turns[0][0].as_str().unwrap();
    assert!(question.ends_with("\nWhat is CT?") && !question.contains("<image>"), "{question}");
}

#[test]
fn a_turn_reads_only_what_is_new() {
    let scratch = Scratch::new();
    let session = scratch.path("chat.session").display().to_string();
    let lines =
        [format!("/volume {} --slices 2", input("volume_f32.npy").display()), "What?".into(), "Why?".into()];
    let cached = || {
        let mut command = fleming("chat");
        command.env("FLEMING_LOG", "fleming=debug");
        let said = stderr(&chat_of(command, &["--session", &session], &lines));
        let number = |line: &str| line.split_once("cached_tokens=")?.1.split_once(' ')?.0.parse().ok();
        said.lines().filter_map(number).collect::<Vec<usize>>()
    };
    let first = cached();
    assert!(first.len() == 2 && first[0] == 0 && first[1] > 512, "{first:?}");
    let after = cached();
    assert!(after.len() == 2 && after[0] > 512 && after[1] > 512, "{after:?}");
}
