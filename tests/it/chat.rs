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

fn chat_of(command: Command, options: &[&str], lines: &[String]) -> Output {
    let output = said_to(command, options, lines);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn said_to(mut command: Command, options: &[&str], lines: &[String]) -> Output {
    command.args(["--max-new-tokens", "4", "--ignore-eos"]).args(options);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have ended before it read them all.
    let _ = child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes());
    child.wait_with_output().unwrap()
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

/// On a terminal it goes on: `tests/terminal`.
#[test]
fn the_first_line_of_a_pipe_that_fails_ends_the_chat() {
    let scratch = Scratch::new();
    for (line, named) in [
        (format!("/image {}", scratch.path("none.png").display()), "none.png: wanted a readable file"),
        ("/save".into(), "/save: wanted the name of a file"),
    ] {
        let lines = ["What is CT?".into(), line, "Is there a nodule?".into()];
        let output = said_to(fleming("chat"), &[], &lines);
        assert_eq!((output.status.code(), stdout(&output).lines().count()), (Some(2), 1), "{output:?}");
        let said = stderr(&output);
        let errors: Vec<_> = said.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(errors.len() == 1 && errors[0].contains(named), "{said}");
    }
}

#[test]
fn a_conversation_is_saved_for_its_owner_and_through_no_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let scratch = Scratch::new();
    let older = scratch.file("older.json", br#"{"history": []}"#);
    symlink(&older, scratch.path("chat.json")).unwrap();
    chat(&[], &["\u{feff}What is CT?\r".into(), save(&scratch)]);
    assert_eq!(fs::read(older).unwrap(), br#"{"history": []}"#);
    let written = fs::symlink_metadata(scratch.path("chat.json")).unwrap();
    assert!(written.is_file() && written.permissions().mode() & 0o777 == 0o600, "{written:?}");
    let question = transcript(&scratch)["history"][0][0].as_str().unwrap().to_owned();
    assert!(question.ends_with("\nWhat is CT?"), "{question:?}");
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
