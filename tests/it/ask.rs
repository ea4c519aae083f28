//! `fleming ask` where everything is in order.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Scratch, ask, ask_of, fleming, input, package_at, refusal, reply, stderr};

#[test]
fn the_reply_as_json_has_every_field() {
    let reply = reply(ask(&["-q", "What is shown?", "--image"]).arg(input("chest.png")));
    let mut fields: Vec<_> = reply.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    let wanted = [
        "answer",
        "completion_ids",
        "finish",
        "frames",
        "package",
        "text",
        "thought",
        "timings_ms",
        "truncated",
        "usage",
        "warnings",
    ];
    assert_eq!(fields, wanted);
    assert_eq!(reply["usage"]["completion_tokens"], reply["completion_ids"].as_array().unwrap().len());
    assert_eq!(reply["package"]["digest"].as_str().unwrap().len(), 64);
    for stage in ["load", "read", "preprocess", "vision", "prefill", "decode", "total"] {
        assert!(reply["timings_ms"][stage].as_f64().unwrap() >= 0.0, "{stage}");
    }
}

#[test]
fn the_same_question_has_the_same_answer() {
    let once = || {
        let mut command = ask(&["-q", "What is shown?", "--ignore-eos", "--volume"]);
        reply(command.arg(input("volume_f32.npy")))["completion_ids"].clone()
    };
    let ids = once();
    assert_eq!(ids.as_array().unwrap().len(), 4);
    assert_eq!(once(), ids);
}

/// Random weights agree less from one precision to the next than trained ones do; that it runs and that the prompt
/// is the same is what shows here.
#[test]
fn smaller_precisions_answer_too() {
    let chest = input("chest.png");
    let exact = reply(ask(&["-q", "What is shown?", "--ignore-eos", "--image"]).arg(&chest));
    for precision in ["int8", "int4"] {
        let package = package_at(precision);
        let once =
            || reply(ask_of(&package, &["-q", "What is shown?", "--ignore-eos", "--image"]).arg(&chest));
        let answer = once();
        assert_eq!(answer["usage"], exact["usage"], "{precision}");
        assert_ne!(answer["package"]["digest"], exact["package"]["digest"]);
        assert_eq!(once()["completion_ids"], answer["completion_ids"], "{precision}");
    }
}

#[test]
fn options_that_contradict_are_refused() {
    let output = ask(&["-q", "x", "--frames", "2", "--seconds", "2", "--video", "v"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--frames"), "{}", stderr(&output));
}

#[test]
fn frames_are_reported_as_they_were_chosen() {
    let mut video = ask(&["-q", "x", "--frames", "3", "--start", "1", "--end", "3", "--video"]);
    let frames = reply(video.arg(input("clip.mp4")))["frames"].clone();
    let indices: Vec<_> =
        frames.as_array().unwrap().iter().map(|frame| frame["frame_index"].clone()).collect();
    // 8 frames a second: the part is 8..24, a third of it 5⅓, half of that 2⅔
    assert_eq!(indices, [10, 15, 21].map(Value::from));
    assert_eq!(frames[0]["time"], json!(1.25));

    let mut volume = ask(&["-q", "x", "--slices", "4", "--volume"]);
    let frames = reply(volume.arg(input("volume_f32.npy")))["frames"].clone();
    let indices: Vec<_> =
        frames.as_array().unwrap().iter().map(|frame| frame["slice_index"].clone()).collect();
    assert_eq!(indices, [0, 10, 20, 31].map(Value::from));
}

#[test]
fn studies_keep_the_order_of_the_options() {
    let mut command = ask(&["-q", "x", "--slices", "2"]);
    command.arg("--volume").arg(input("volume_f32.npy")).arg("--image").arg(input("chest.png"));
    command.args(["--frames", "1"]).arg("--video").arg(input("clip.mp4"));
    let reply = reply(&mut command);
    let names: Vec<_> =
        reply["frames"].as_array().unwrap().iter().map(|f| f["source"].as_str().unwrap()).collect();
    let ends = ["volume_f32.npy", "volume_f32.npy", "chest.png", "clip.mp4"];
    assert!(names.len() == 4 && names.iter().zip(ends).all(|(name, end)| name.ends_with(end)), "{names:?}");
    let image_tokens = reply["usage"]["image_tokens"].as_u64().unwrap();
    assert_eq!(image_tokens % 4, 0);
}

#[test]
fn files_are_told_by_their_content_and_keep_their_order() {
    let files = [input("volume_f32.npy"), input("chest.png"), input("clip.mp4")];
    let options = ["--slices", "2", "--frames", "1", "-q", "x", "--ignore-eos"];
    let mut plain = ask(&[]);
    plain.args(&files).args(options);
    let mut insisted = ask(&options);
    for (option, file) in ["--volume", "--image", "--video"].iter().zip(&files) {
        insisted.arg(option).arg(file);
    }
    let mut mixed = ask(&[]);
    mixed.arg(&files[0]).arg("--image").arg(&files[1]).args(options).arg(&files[2]);
    let replies = [plain, insisted, mixed].map(|mut command| reply(&mut command));
    for other in &replies[1..] {
        assert_eq!(other["frames"], replies[0]["frames"]);
        assert_eq!(other["completion_ids"], replies[0]["completion_ids"]);
    }
    let studies: Vec<_> =
        replies[0]["frames"].as_array().unwrap().iter().map(|frame| frame["study"].clone()).collect();
    assert_eq!(studies, [0, 0, 1, 2].map(Value::from));
    assert_eq!(replies[0]["frames"][3]["frame_index"].as_u64(), Some(23));
}

#[test]
fn options_are_refused_with_what_they_may_be() {
    let chest = input("chest.png").display().to_string();
    for (options, named, may_be) in [
        (["--threads", "100000"], "--threads", "1 to 1024"),
        (["--slots", "0"], "--slots", "1 to 1024"),
        (["--queue", "99999999"], "--queue", "1 to 65536"),
        (["--slices", "18446744073709551615"], "--slices", "1 to 4096"),
        (["--frames", "5000"], "--frames", "1 to 4096"),
        (["--max-tiles", "257"], "--max-tiles", "1 to 256"),
        (["--timeout", "1e12"], "--timeout", "1000000000"),
        (["--window", "40"], "--window", "-600/1500"),
        (["--preprocessing", "magic"], "--preprocessing", "reference or clinical"),
        (["--seed", "-1"], "--seed", "at least 0"),
        // Of one study it is known that the option does not fit.
        (["--slices", "5"], "slices", "a volume"),
        (["--start", "1"], "start", "a video"),
        (["--window", "lungs"], "--window", "lung, mediastinum"),
    ] {
        let message = refusal(ask(&["-q", "x", "--image", &chest]).args(options), 2);
        assert!(message.starts_with(&format!("error: {named}: wanted ")), "{message}");
        assert!(message.contains(may_be), "{message}");
    }
}

/// The package is not there: none of it is loaded.
#[test]
fn options_that_fit_no_input_are_refused() {
    let nowhere = Scratch::new().path("package");
    let chest = input("chest.png").display().to_string();
    let clip = input("clip.mp4").display().to_string();
    for (options, named) in [
        (
            &["--slices", "5", &chest, &chest][..],
            "--slices: wanted a volume to look at, got 2 inputs, each an image",
        ),
        (&["--slices", "5"], "--slices: wanted a volume to look at, got no input"),
        (&["--frames", "2", "--window", "lung", &chest, &clip], "--window: wanted a volume"),
        (
            &["--start", "2", "--end", "1", &clip],
            "end: wanted seconds from the start of the video, not before --start",
        ),
    ] {
        let message = refusal(ask_of(&nowhere, &["-q", "x"]).args(options), 2);
        assert!(message.starts_with(&format!("error: {named}")), "{message}");
    }
}

#[test]
fn the_question_may_come_from_standard_input() {
    let mut command = ask(&["-q", "-", "--prompt", "direct"]);
    let mut child = command
        .arg("--json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all("What is CT?\n".as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let piped: Value = serde_json::from_slice(&output.stdout).unwrap();
    let given = reply(&mut ask(&["-q", "What is CT?", "--prompt", "direct"]));
    assert_eq!(piped["completion_ids"], given["completion_ids"]);
    assert_eq!(piped["usage"]["prompt_tokens"], given["usage"]["prompt_tokens"]);
}

#[test]
fn the_prompt_may_be_told_in_three_ways() {
    let scratch = Scratch::new();
    let file = scratch.file("prompt.txt", b"Be brief.\n");
    let tokens = |prompt: &str| {
        reply(&mut ask(&["-q", "What is CT?", "--prompt", prompt]))["usage"]["prompt_tokens"]
            .as_u64()
            .unwrap()
    };
    let (direct, custom) = (tokens("direct"), tokens(&format!("@{}", file.display())));
    assert!(direct < custom && custom < tokens("reasoning"));
}

#[test]
fn a_history_comes_before_the_question() {
    let scratch = Scratch::new();
    let history = scratch.file("history.json", br#"[["What is CT?", "A scan."], ["Why?", ""]]"#);
    let trace = scratch.path("trace");
    let mut command = ask(&["-q", "And MRI?", "--prompt", "direct", "--system", "S"]);
    reply(command.arg("--history").arg(history).arg("--trace").arg(&trace));
    let trace: Value = serde_json::from_slice(&std::fs::read(trace.join("trace.json")).unwrap()).unwrap();
    assert_eq!(
        trace["prompt"],
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nWhat is CT?<|im_end|>\n<|im_start|>assistant\nA scan.\
         <|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n<|im_start|>user\nAnd MRI?<|im_end|>\n\
         <|im_start|>assistant\n"
    );
}

#[test]
fn into_a_pipe_goes_the_answer_alone() {
    let output = ask(&["-q", "What is CT?", "--ignore-eos"]).output().unwrap();
    let reply = reply(&mut ask(&["-q", "What is CT?", "--ignore-eos"]));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{}\n", reply["answer"].as_str().unwrap()));
}

#[test]
fn chunks_and_threads_do_not_change_the_answer() {
    let ids = |threads: &str| {
        let mut command = ask(&["-q", "x", "--ignore-eos", "--threads", threads, "--volume"]);
        reply(command.arg(input("volume_f32.npy")))["completion_ids"].clone()
    };
    assert_eq!(ids("1"), ids("2"));
}

#[test]
fn the_two_ways_of_preparing_differ_only_where_the_script_is_broken() {
    for (option, name) in [("--image", "chest.png"), ("--video", "clip.mp4"), ("--volume", "volume_f32.npy")]
    {
        let [reference, clinical] = ["reference", "clinical"].map(|mode| {
            let mut command = ask(&["-q", "x", "--ignore-eos", "--preprocessing", mode, option]);
            reply(command.arg(input(name)))
        });
        assert_eq!(reference["completion_ids"], clinical["completion_ids"], "{name}");
        assert_eq!(clinical["warnings"], json!([]), "{name}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_panic() {
    let mut command = ask(&["-q", "x", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.starts_with("memory: ") && said.lines().count() == 1, "{said}");
}

#[test]
fn the_trace_shows_the_frames_as_the_model_saw_them() {
    let scratch = Scratch::new();
    let (trace, file) = (scratch.path("trace"), scratch.path("JANE^DOE.png"));
    let picture = image::RgbImage::from_fn(448, 448, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    picture.save(&file).unwrap();
    reply(ask(&["-q", "x", "--image"]).arg(file).arg("--trace").arg(&trace));
    let sheet = image::open(trace.join("seen.png")).unwrap().to_rgb8();
    // The picture is of the size that the model takes: it lies below its label, pixel for pixel.
    let (left, top) = (8, sheet.height() - 8 - 448);
    assert!(top > 16, "no room for a label");
    for (x, y, pixel) in picture.enumerate_pixels() {
        assert_eq!(sheet.get_pixel(left + x, top + y), pixel, "{x}, {y}");
    }
    let inked = |y| (0..sheet.width()).any(|x| sheet.get_pixel(x, y).0 == [255; 3]);
    assert!((0..top).any(inked), "no label");

    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        (mode(&trace), mode(&trace.join("seen.png")), mode(&trace.join("trace.json"))),
        (0o700, 0o600, 0o600)
    );

    reply(ask(&["-q", "x", "--trace"]).arg(&trace));
    assert!(!trace.join("seen.png").exists(), "the sheet of the question before is still there");

    // What turns out to be impossible at the end costs no answer.
    std::fs::remove_file(trace.join("trace.json")).unwrap();
    std::fs::create_dir(trace.join("trace.json")).unwrap();
    let output = ask(&["-q", "x", "--json", "--trace"]).arg(&trace).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["answer"].is_string());
    assert!(
        stderr(&output).contains("trace.json: wanted a place that can be written"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_answer_that_was_cut_off_is_told() {
    let form = ["-q", "x", "--prompt", "direct", "--regex", "[a-z]{40}", "--json"];
    let output = ask(&form).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&reply["form"], &reply["truncated"]), (&json!("cut-off"), &json!("answer")));
    let said = stderr(&output);
    assert!(said.contains("cut off after 4 tokens") && said.contains("may not have the form"), "{said}");
    // Without a form it is told too, unless so many tokens were asked for.
    for (options, told) in [(&["--choice", "a", "--choice", "b"][..], false), (&["--ignore-eos"], false)] {
        let output = ask(&["-q", "x", "--prompt", "direct"]).args(options).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("cut off"), told, "{}", stderr(&output));
    }
}

#[test]
fn a_session_is_gone_on_with() {
    let scratch = Scratch::new();
    let file = scratch.path("study.session");
    let asked = |question: &str| {
        let mut command = ask(&["--ignore-eos", "--slices", "2", "--prompt", "direct", "-q", question]);
        command.arg("--volume").arg(input("volume_f32.npy"));
        command
    };
    let session = |question: &str| reply(asked(question).arg("--session").arg(&file));
    assert_eq!(session("What is shown?")["usage"]["cached_tokens"], 0);
    let second = session("Is there a device?");
    assert!(second["usage"]["cached_tokens"].as_u64() > Some(512), "{}", second["usage"]);
    assert_eq!(second["completion_ids"], reply(&mut asked("Is there a device?"))["completion_ids"]);

    // No other file is read as one, or written over.
    let diary = scratch.file("diary", b"dear diary");
    let message = refusal(asked("What?").arg("--session").arg(&diary), 2);
    assert!(message.contains("diary"), "{message}");
    assert_eq!(std::fs::read(diary).unwrap(), b"dear diary");
}

#[test]
fn a_reply_has_its_time() {
    let long = ["-q", "What is CT?", "--ignore-eos", "--max-new-tokens", "4000", "--timeout"];
    let mut command = fleming("ask");
    let cut = reply(command.args(long).arg("0.05"));
    assert_eq!(cut["finish"], "timed-out");
    for wrong in ["0", "-1", "nan", "1e99"] {
        let mut command = fleming("ask");
        let message = refusal(command.args(["-q", "x"]).arg(format!("--timeout={wrong}")), 2);
        assert!(message.contains("--timeout"), "{message}");
    }
}

/// The package is not there, so that whatever is found first comes before the package is loaded.
#[test]
fn files_are_looked_at_before_the_package_is_loaded() {
    let scratch = Scratch::new();
    let nowhere = scratch.path("package");
    let (file, text) = (scratch.file("file", b"x"), input("chest.png"));
    let fifo = scratch.path("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let below = file.join("below").display().to_string();
    let missing = scratch.path("missing").display().to_string();
    let folder = scratch.path("").display().to_string();
    let fifo = fifo.display().to_string();
    for (option, path) in [
        ("--image", &missing),
        ("--video", &folder),
        ("--volume", &fifo),
        ("--image", &fifo),
        ("--history", &missing),
        ("--trace", &below),
        ("--session", &below),
        ("--session", &folder),
    ] {
        let message = refusal(ask_of(&nowhere, &["-q", "x", option]).arg(path), 2);
        assert!(message.contains(path.as_str()), "{option}: {message}");
    }
    let message = refusal(ask_of(&nowhere, &["-q", "x", "--image"]).arg(text), 1);
    assert!(message.contains("package"), "{message}");
}

#[test]
fn levels_that_are_none_are_refused() {
    let log = |levels: &str| {
        let mut command = ask(&["-q", "x"]);
        command.env("FLEMING_LOG", levels);
        command
    };
    for wrong in ["fleming=loud", "ort=debug,fleming=9", "[[["] {
        let message = refusal(&mut log(wrong), 2);
        assert!(message.starts_with("error: FLEMING_LOG: wanted "), "{message}");
    }
    for right in ["", "off", "warn,fleming=info"] {
        reply(&mut log(right));
    }
}
