//! Bad input gets one clear message and the right exit code, never a panic and never an answer.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::{Scratch, ask, ask_of, example, input, package, refusal};

/// What can be wrong with a file is tested in `reading.rs`, in process; here, that a command says it.
#[test]
fn files_that_cannot_be_read_as_asked() {
    let scratch = Scratch::new();
    let pipe = scratch.pipe("pipe");
    for (option, path, named) in [
        ("--image", scratch.file("text.png", b"not a picture at all"), "text.png"),
        ("--video", example("chest.png"), "an image (PNG)"),
        ("--volume", pipe, "pipe"),
    ] {
        let message = refusal(ask(&["-q", "x", option]).arg(&path), 2);
        assert!(message.contains(named), "{message}");
    }
    let volume = example("volume.npz");
    let slices = usize::MAX.to_string();
    let message = refusal(ask(&["-q", "x", "--slices", &slices, "--volume"]).arg(volume), 2);
    assert!(message.contains("slices: wanted ") && message.contains("1 to 4096"), "{message}");
}

#[test]
fn a_clip_that_does_not_fit_is_refused_before_its_pixels_are_made() {
    let options = ["-q", "x", "--context", "2048", "--frames", "4096", "--video"];
    let message = refusal(ask(&options).arg(example("clip.mp4")), 2);
    assert!(message.contains("2048"), "{message}");
}

#[test]
fn questions_that_cannot_be_asked() {
    let scratch = Scratch::new();
    let image = input("chest.png");
    let tags = refusal(ask(&["-q", "<image> <image>", "--image"]).arg(&image), 2);
    assert!(tags.contains("<image>"), "{tags}");
    let reference = ["--preprocessing", "reference", "-q", "<IMG_CONTEXT>", "--image"];
    let typed = refusal(ask(&reference).arg(&image), 2);
    assert!(typed.contains("<IMG_CONTEXT>"), "{typed}");
    let long = refusal(ask(&["-q", "x", "--context", "64", "--image"]).arg(&image), 2);
    assert!(long.contains("64"), "{long}");
    for history in ["", "{}", "[[1, 2]]", "[[\"only a question\"]]", "[[\"q\", \"a\", \"more\"]]"] {
        let file = scratch.file("history.json", history.as_bytes());
        refusal(ask(&["-q", "x", "--history"]).arg(file), 2);
    }
    for options in [
        ["--prompt", "shouting"],
        ["--prompt", "@/nowhere/prompt.txt"],
        ["--provider", "quantum"],
        ["--threads", "0"],
        ["--context", "0"],
        ["--context", "99999999"],
        ["--max-tiles", "0"],
        ["--max-tiles", "257"],
    ] {
        refusal(ask(&["-q", "x"]).args(options), 2);
    }
}

#[test]
fn packages_that_are_not_what_was_exported() {
    let scratch = Scratch::new();
    refusal(&mut ask_of(&scratch.path("nowhere"), &["-q", "x"]), 1);

    let package = scratch.package();
    let manifest = package.join("fleming.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    for (from, to, named) in [
        ("\"schema\": 2", "\"schema\": 3", "schema"),
        ("\"image_embeds\"", "\"image_embeddings\"", "image_embed"),
        ("\"bicubic\"", "\"nearest\"", "resample"),
        ("\"dtype\": \"float32\"", "\"dtype\": \"float8\"", "dtype"),
        ("{", "", "fleming.json"),
    ] {
        fs::write(&manifest, whole.replacen(from, to, usize::MAX)).unwrap();
        let message = refusal(&mut ask_of(&package, &["-q", "x"]), 1);
        assert!(message.contains(named), "{from}: {message}");
    }
    let gpu = whole.replace("\"target\": \"cpu\"", "\"target\": \"cuda\"");
    fs::write(&manifest, gpu.replace("\"precision\": \"f32\"", "\"precision\": \"bf16\"")).unwrap();
    let message = refusal(&mut ask_of(&package, &["-q", "x"]), 1);
    assert!(message.contains("of target cpu, got cuda") && message.contains("--target cpu"), "{message}");
    fs::write(&manifest, &whole).unwrap();

    let weights = package.join("decoder.onnx.data");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, &bytes).unwrap();
    let altered = refusal(&mut ask_of(&package, &["-q", "x"]), 1);
    assert!(altered.contains("decoder.onnx.data") && altered.contains("SHA-256"), "{altered}");

    bytes.pop();
    fs::write(&weights, &bytes).unwrap();
    let short = refusal(&mut ask_of(&package, &["-q", "x"]), 1);
    assert!(short.contains("bytes"), "{short}");

    fs::remove_file(package.join("tokenizer.json")).unwrap();
    let missing = refusal(&mut ask_of(&package, &["-q", "x"]), 1);
    assert!(missing.contains(".json") || missing.contains("decoder"), "{missing}");
}

#[test]
fn libraries_that_are_not_onnx_runtime() {
    let scratch = Scratch::new();
    let nowhere = refusal(&mut ask(&["-q", "x", "--onnxruntime", "/nowhere/libonnxruntime.so"]), 1);
    assert!(nowhere.contains("/nowhere/libonnxruntime.so"), "{nowhere}");
    let library = scratch.file("libonnxruntime.so", b"not a library");
    let garbage = refusal(ask(&["-q", "x"]).env("ORT_DYLIB_PATH", &library), 1);
    assert!(garbage.contains("libonnxruntime.so"), "{garbage}");
}

proptest::proptest! {
    #[test]
    fn a_damaged_manifest_is_read_or_refused(at in 0usize..6000, byte in 0u8.., length in 0usize..12000) {
        let scratch = Scratch::new();
        let mut manifest = fs::read(package().join("fleming.json")).unwrap();
        let at = at.min(manifest.len() - 1);
        manifest[at] = byte;
        manifest.truncate(length.max(at));
        scratch.file("fleming.json", &manifest);
        // The files it names are not there: what matters is that nothing panics on the way to saying so.
        proptest::prop_assert!(fleming::Package::open(&scratch.path("")).is_err());
    }
}

#[test]
fn a_log_that_cannot_be_written_costs_no_answer() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = ask(&["-q", "x"]).stderr(full()).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    let output = ask(&["-q", "x", "--image", "nowhere.png"]).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_has_no_end_is_not_read_as_text() {
    let scratch = Scratch::new();
    let pipe = scratch.pipe("pipe");
    let message = refusal(ask(&["-q", "x", "--history"]).arg(&pipe), 2);
    assert!(message.contains("no regular file"), "{message}");
    let answers = scratch.path("answers.jsonl");
    let message = refusal(crate::support::fleming("batch").arg("/dev/zero").arg(&answers), 2);
    assert!(message.contains("a device"), "{message}");
    let questions = scratch.file("questions.jsonl", br#"{"id": 1, "question": "x", "max_new_tokens": 1}"#);
    let mut batch = crate::support::fleming("batch");
    let output = batch.arg(questions).arg("/dev/full").output().unwrap();
    assert!(!output.status.success() && output.status.code().is_some(), "{output:?}");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    let scratch = Scratch::new();
    let history = scratch.file("history.json", b"\xef\xbb\xbf[[\"What is CT?\", \"A scan.\"]]");
    assert!(ask(&["-q", "Why?", "--history"]).arg(history).output().unwrap().status.success());
    let lines = b"\xef\xbb\xbf{\"id\":1,\"question\":\"hi\"}\r\n{\"id\":2,\"question\":\"hi\"}\r\n";
    let questions = scratch.file("questions.jsonl", lines);
    let mut batch = crate::support::fleming("batch");
    let output =
        batch.args(["--max-new-tokens", "1"]).arg(questions).arg(scratch.path("answers.jsonl")).output();
    assert!(output.as_ref().unwrap().status.success(), "{output:?}");
}

#[test]
fn a_tag_in_the_system_text_is_its_letters() {
    let image = input("chest.png");
    let prompt = |system: &str| {
        let scratch = Scratch::new();
        let trace = scratch.path("trace");
        let mut command = ask(&["-q", "x", "--prompt", "direct", "--system", system, "--image"]);
        assert!(command.arg(&image).arg("--trace").arg(&trace).output().unwrap().status.success());
        std::fs::read_to_string(trace.join("trace.json")).unwrap()
    };
    let [plain, tagged] = [prompt("Be brief."), prompt("Be <image> brief.")];
    let placed = |trace: &str| serde_json::from_str::<serde_json::Value>(trace).unwrap()["prompt"].clone();
    let [plain, tagged] = [placed(&plain), placed(&tagged)].map(|prompt| prompt.as_str().unwrap().to_owned());
    assert_eq!(tagged.replace("Be <image> brief.", "Be brief."), plain);
}

#[test]
fn urls_and_control_characters_are_told_in_one_line() {
    let chest = input("chest.png").display().to_string();
    let data = format!("data:image/png;base64,{}", "iVBORw0KGgo".repeat(5000));
    let file = format!("file://{chest}");
    for (name, told) in [
        (&*data, "data:image/png;base64,…: wanted the name of a file, got a data: URL"),
        (&file, "name the file alone"),
        ("https://example.org/a.png", "download it"),
        ("a\u{1b}[31m\u{7}b.png", r"a\u{1b}[31m\u{7}b.png: wanted a readable file"),
    ] {
        let message = refusal(ask(&["-q", "x", "--image"]).arg(name), 2);
        assert!(message.contains(told) && !message.contains("iVBOR"), "{message}");
        assert!(
            message.len() < 400 + file.len() && !message.trim_end().contains(char::is_control),
            "{message}"
        );
    }
}

#[test]
fn texts_that_are_no_utf8_are_refused_by_name() {
    let scratch = Scratch::new();
    let wide: Vec<u8> = "\u{feff}[]".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let wide = scratch.file("wide.json", &wide);
    let latin = scratch.file("latin.txt", b"caf\xe9");
    let at = format!("@{}", latin.display());
    let batch = |file: &std::path::Path| {
        let mut batch = crate::support::fleming("batch");
        batch.arg(file).arg(scratch.path("answers.jsonl"));
        batch
    };
    let mut history = ask(&["-q", "x", "--history"]);
    history.arg(&wide);
    let mut eval = crate::support::fleming("eval");
    eval.arg(&wide);
    let mut bench = crate::support::fleming("bench");
    bench.arg("--questions").arg(&latin);
    let mut question = ask(&["-q", "-"]);
    question.stdin(fs::File::open(&latin).unwrap());
    for (mut command, name, got) in [
        (history, "wide.json", "UTF-16 text"),
        (batch(&wide), "wide.json", "UTF-16 text"),
        (eval, "wide.json", "UTF-16 text"),
        (ask(&["-q", "x", "--prompt", &at]), "latin.txt", "0xe9 at offset 3, in line 1"),
        (bench, "latin.txt", "0xe9"),
        (question, "the question on standard input", "0xe9"),
    ] {
        let message = refusal(&mut command, 2);
        assert!(message.contains("UTF-8 text") && message.contains("save it as UTF-8"), "{message}");
        assert!(message.contains(name) && message.contains(got), "{message}");
    }
    assert!(!scratch.path("answers.jsonl").exists(), "there are answers to no questions");
}

#[test]
fn a_command_that_cannot_be_parsed_is_refused_in_one_line() {
    for (words, told) in [
        (&["aks"][..], "aks: wanted a command of fleming"),
        (
            &["ask", "--frmaes", "3"],
            "--frmaes: wanted an option of fleming ask, got an unknown one (--frames is similar;",
        ),
        (&["ask"], "fleming ask: wanted --question <TEXT>, got nothing"),
        (&["ask", "-q"], "--question: wanted <TEXT>, got nothing"),
        (&["ask", "-q", "a", "-q", "b"], "--question: wanted to be given once"),
        (&["batch", "a", "b", "c"], "c: wanted an argument of fleming batch, got one too many"),
        (
            &["batch", "a", "b", "--shard", "5/4"],
            "--shard: wanted i/n with i from 1 to n, such as 1/4, got 5/4",
        ),
        (&["bench", "--repeat", "x"], "--repeat: wanted a whole number, got x"),
        (&["bench", "--tiles", "1", "--image", "a"], "--tiles: wanted none of --image <FILE> beside it"),
        (&["ask", "-q", "x", "--json=yes"], "--json: wanted no value, got yes"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
        let message = refusal(command.args(words), 2);
        assert!(message.starts_with(&format!("error: {told}")) && message.contains("--help"), "{message}");
    }
}

#[test]
fn a_stdout_that_cannot_be_written_says_why() {
    for words in [&["--help"][..], &["--version"], &["ask", "--help"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
        let message = refusal(command.args(words).stdout(full), 1);
        assert!(
            message.starts_with("error: standard output: wanted a place that can be written"),
            "{message}"
        );
        // A reader that has gone knows that it went.
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
        let mut child = command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert!(output.stderr.is_empty() && output.status.code().is_some(), "{output:?}");
    }
}
