//! The README's commands, on the synthetic package and inputs.

use std::fs;
use std::path::Path;

use crate::support::{ask_of, input, package, stderr};

/// The arguments of every `fleming ask` in the README, quotes resolved.
fn commands() -> Vec<Vec<String>> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let joined = readme.replace("\\\n", " ");
    let asks = joined.lines().filter_map(|line| line.strip_prefix("target/release/fleming ask "));
    asks.map(words).collect()
}

fn words(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate().flat_map(|(place, part)| match place % 2 {
        0 => part.split_whitespace().map(String::from).collect(),
        _ => vec![part.to_owned()],
    });
    quoted.collect()
}

#[test]
fn every_question_in_the_readme_is_answered() {
    let commands = commands();
    assert!(commands.len() >= 4, "{commands:?}");
    for mut arguments in commands {
        for place in 1..arguments.len() {
            let stand_in = match arguments[place - 1].as_str() {
                "--model" => package(),
                "--image" => input("chest.png"),
                "--video" => input("clip.mp4"),
                "--volume" => input("volume_f32.npy"),
                _ => continue,
            };
            arguments[place] = stand_in.display().to_string();
        }
        let model = arguments.iter().position(|word| word == "--model").unwrap();
        arguments.drain(model..model + 2);
        let output = ask_of(&package(), &[]).args(&arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    }
}
