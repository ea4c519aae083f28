//! Bad input gets one clear message and the right exit code, never a panic and never an answer.

use std::fs;
use std::path::Path;

use crate::support::{Scratch, ask, ask_of, input, npy, package, refusal, reply};

/// Asks about a file and returns the refusal, which must name the file.
fn refused(option: &str, path: &Path) -> String {
    let message = refusal(ask(&["-q", "x", option]).arg(path), 2);
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(message.contains(name), "{message}");
    message
}

#[test]
fn files_that_are_not_there_or_not_what_they_should_be() {
    let scratch = Scratch::new();
    let missing = scratch.path("missing");
    let empty = scratch.file("empty", b"");
    let text = scratch.file("text.png", b"not a picture at all");
    for option in ["--image", "--video", "--volume"] {
        for path in [&missing, &empty, &text] {
            refused(option, path);
        }
        refusal(ask(&["-q", "x", option]).arg(scratch.path("")), 2);
    }
}

#[test]
fn files_of_another_kind_say_which_option_takes_them() {
    for (option, name, right) in [
        ("--image", "clip.mp4", "--video"),
        ("--image", "volume_f32.npy", "--volume"),
        ("--video", "chest.png", "--image"),
        ("--video", "volume_f32.npy", "--volume"),
        ("--volume", "chest.png", "--image"),
        ("--volume", "clip.mp4", "--video"),
    ] {
        let message = refused(option, &input(name));
        assert!(message.contains(right), "{option} {name}: {message}");
    }
}

#[test]
fn files_cut_short() {
    let scratch = Scratch::new();
    for (option, name) in [("--image", "chest.png"), ("--video", "clip.mp4"), ("--volume", "volume_f32.npy")]
    {
        let whole = fs::read(input(name)).unwrap();
        for share in [2, 10, 100] {
            let cut = scratch.file(&format!("cut-{share}-{name}"), &whole[..whole.len() / share]);
            refused(option, &cut);
        }
    }
}

#[test]
fn volumes_that_numpy_would_not_give_to_the_script() {
    let scratch = Scratch::new();
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
    };
    let table = [
        ("pickled", header("|O", "(2, 4, 4)"), 32),
        ("bool", header("|b1", "(2, 4, 4)"), 32),
        ("complex", header("<c8", "(2, 4, 4)"), 256),
        ("text", header("<U4", "(2, 4, 4)"), 512),
        ("flat", header("<f4", "(4, 4)"), 64),
        ("five", header("<f4", "(1, 1, 2, 4, 4)"), 128),
        ("two studies", header("<f4", "(2, 2, 4, 4)"), 256),
        ("no slice", header("<f4", "(0, 4, 4)"), 0),
        ("no row", header("<f4", "(2, 0, 4)"), 0),
        ("huge", header("<f8", "(4000000000, 4000000000, 4000000000)"), 64),
        ("overflowing", header("<f8", "(18446744073709551615, 2, 2)"), 64),
        ("negative", header("<f4", "(-2, 4, 4)"), 128),
        ("no header", String::from("{}"), 64),
        ("half a header", String::from("{'descr': '<f4', 'fort"), 64),
    ];
    for (name, header, bytes) in table {
        refused("--volume", &scratch.file(&format!("{name}.npy"), &npy(&header, &vec![0; bytes])));
    }
}

#[test]
fn a_volume_with_nan_names_the_slice() {
    let scratch = Scratch::new();
    let mut values = [0f32; 3 * 4 * 4];
    values[17] = f32::NAN;
    values[1] = 1.0;
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4, 4), }";
    let volume = scratch.file("nan.npy", &npy(header, &data));
    let message = refused("--volume", &volume);
    assert!(message.contains("slice 1"), "{message}");
    // The reference goes on with a black slice.
    let reference = reply(ask(&["-q", "x", "--preprocessing", "reference", "--volume"]).arg(&volume));
    assert_eq!(reference["frames"].as_array().unwrap().len(), 11);
}

#[test]
fn choices_that_leave_nothing_to_look_at() {
    let clip = input("clip.mp4");
    for options in [
        ["--frames", "0"],
        ["--seconds", "0.9"],
        ["--seconds", "-3"],
        ["--seconds", "nan"],
        ["--seconds", "1e300"],
        ["--start", "1000"],
        ["--start", "inf"],
        ["--max-frames", "0"],
    ] {
        refusal(ask(&["-q", "x", "--video"]).arg(&clip).args(options), 2);
    }
    refusal(ask(&["-q", "x", "--slices", "0", "--volume"]).arg(input("volume_f32.npy")), 2);
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
