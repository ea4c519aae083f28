//! `fleming preview` and `fleming inspect FILE`: what the model will see, and what is in a study.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Scratch, demo_model, example, stderr};

const EXAMPLES: [&str; 5] = ["chest.png", "clip.mp4", "volume.npz", "chest_ct", "chest.nii.gz"];

fn shown(arguments: &mut Command) -> Value {
    let output = arguments.arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    let values: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    if let [only] = &values[..] { only.clone() } else { values.into() }
}

fn verb(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleming"));
    command.arg(name).arg("--model").arg(demo_model());
    command
}

#[test]
fn every_frame_of_every_kind_is_drawn() {
    let scratch = Scratch::new();
    let (sheet, folder) = (scratch.path("sheet.png"), scratch.path("frames"));
    let mut preview = verb("preview");
    preview.args(EXAMPLES.map(example)).arg("--output").arg(&sheet).arg("--pictures").arg(&folder);
    let seen = shown(&mut preview);
    let frames = seen["frames"].as_array().unwrap();
    let of = |study: usize| frames.iter().filter(|frame| frame["study"] == json!(study)).count();
    assert_eq!([0, 2, 3, 4].map(of), [1, 11, 11, 11]);
    let pictures: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert_eq!(pictures.len(), frames.len());
    let last = image::open(folder.join(format!("{:04}.png", frames.len() - 1))).unwrap();
    assert_eq!((last.width(), last.height()), (256, 256));
    let frame = &frames[frames.len() - 1];
    assert_eq!((&frame["view"]["plane"], &frame["view"]["form"]), (&json!("axial"), &json!("trained")));
    let said = seen["warnings"].as_array().unwrap();
    assert!(said.iter().any(|said| said.as_str().unwrap().contains("of 32 slices")), "{said:?}");
    assert!(image::open(&sheet).unwrap().width() > 1000);
}

/// A trace's picture is of the tiles that went into the vision graph. It lacks the overview of a volume from a scanner, whose
/// other slices the model did not see.
#[test]
fn the_picture_is_the_one_that_a_reply_is_about() {
    let scratch = Scratch::new();
    let (sheet, trace) = (scratch.path("sheet.png"), scratch.path("trace"));
    let studies = ["chest.png", "volume.npz"].map(example);
    let look = ["--slices", "2", "--max-tiles", "4"];
    shown(verb("preview").args(&studies).args(look).arg("--output").arg(&sheet));
    let mut ask = verb("ask");
    ask.args(&studies)
        .args(look)
        .args(["-q", "What is shown?", "--max-new-tokens", "1", "--trace"])
        .arg(&trace);
    shown(&mut ask);
    assert_eq!(fs::read(sheet).unwrap(), fs::read(trace.join("seen.png")).unwrap());
}

#[test]
fn a_study_says_what_is_in_it_and_what_would_be_looked_at() {
    let found = shown(verb("inspect").args(EXAMPLES.map(example)));
    let formats: Vec<_> = found.as_array().unwrap().iter().map(|study| study["format"].clone()).collect();
    assert_eq!(formats[0], "PNG");
    let place = formats.iter().position(|format| *format == "NIfTI").unwrap();
    let volume = &found[place];
    assert_eq!(volume["contents"]["orientation"], "sform");
    assert_eq!(volume["chosen"]["shape"], json!([32.0, 128.0, 128.0]));
    assert_eq!((&volume["chosen"]["frames"], &volume["chosen"]["size"]), (&json!(11), &json!([256, 256])));
    let output = verb("inspect").arg(example("chest.nii.gz")).args(["--form", "native"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["plane         axial", "form          native", "frames        11 of 128×128 pixels"] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let output = verb("inspect").arg(example("chest.png")).args(["--plane", "axial"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
