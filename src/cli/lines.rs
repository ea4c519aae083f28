//! Questions in files, one JSON object a line: the one reader of every verb that takes them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use fleming::Request;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::options::{GenerationArguments, unusable};
use super::question::{Wording, exchanges};
use super::studies::{Kind, NamedStudy, Selection};

/// One question of a file.
#[derive(Deserialize)]
pub(super) struct Line {
    pub(super) id: Value,
    /// Things to look at in an order of their own; they come before those named by kind.
    #[serde(default)]
    studies: Vec<NamedStudy>,
    #[serde(alias = "image")]
    images: Option<Files>,
    #[serde(alias = "volume")]
    volumes: Option<Files>,
    #[serde(alias = "video")]
    videos: Option<Files>,
    history: Option<Vec<(String, String)>>,
    question: String,
    /// Every other field: options, or the maker's own.
    #[serde(flatten)]
    pub(super) other: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Files {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

impl Line {
    /// What the line asks; paths are relative to `folder`.
    pub(super) fn request(&self, placeholder: &str, folder: &Path, selection: &Selection) -> Request {
        let kinds: [(_, Kind); 3] = [
            (&self.images, NamedStudy::Image),
            (&self.volumes, NamedStudy::Volume),
            (&self.videos, NamedStudy::Video),
        ];
        let mut studies = self.studies.clone();
        for (files, kind) in kinds {
            let files = match files {
                None => &[],
                Some(Files::One(path)) => std::slice::from_ref(path),
                Some(Files::Several(paths)) => paths.as_slice(),
            };
            studies.extend(files.iter().cloned().map(kind));
        }
        let studies = studies.iter().map(|study| study.input(folder, selection)).collect();
        let history = self.history.clone().map(exchanges).unwrap_or_default();
        Request::tagged(placeholder, studies, &history, &self.question)
    }
}

/// The lines of a file that hold something, each with its number from 1.
pub(super) fn read(path: &Path) -> Result<Vec<(usize, Vec<u8>)>> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| unusable(&name, "a file of JSON lines", &error))?;
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    Ok(lines.filter(|(_, line)| !line.trim_ascii().is_empty()).map(|(n, line)| (n, line.to_vec())).collect())
}

/// The options that a line may hold as fields, named as on the command line.
#[derive(Args)]
pub(super) struct LineOptions {
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    pub(super) wording: Wording,
    #[command(flatten)]
    pub(super) generation: GenerationArguments,
}

/// The same options as the command line gave them: they hold for every line that does not say otherwise.
pub(super) struct Given(Vec<(String, Vec<OsString>)>);

impl Given {
    /// The options of a line with these fields, and the names of the fields that are not read.
    pub(super) fn and(&self, fields: &Map<String, Value>) -> Result<(LineOptions, Vec<String>)> {
        let command = command();
        let long = |field: &str| field.replace('_', "-");
        let known = |field: &str| command.get_arguments().any(|a| a.get_long() == Some(&long(field)));
        let (own, unread): (Vec<_>, Vec<_>) = fields.iter().partition(|(field, _)| known(field));
        let others = self.0.iter().filter(|(name, _)| !own.iter().any(|(field, _)| long(field) == *name));
        let mut arguments: Vec<OsString> = others.flat_map(|(name, values)| written(name, values)).collect();
        for (field, value) in own {
            arguments.extend(argument(&long(field), value));
        }
        let matches = command.try_get_matches_from(arguments).map_err(|error| refused(&error))?;
        let options = LineOptions::from_arg_matches(&matches).map_err(|error| refused(&error))?;
        Ok((options, unread.into_iter().map(|(field, _)| field.clone()).collect()))
    }
}

fn command() -> Command {
    LineOptions::augment_args(Command::new("line").no_binary_name(true).disable_help_flag(true))
}

/// An option as a command line has it; a switch has no values.
fn written(name: &str, values: &[OsString]) -> Vec<OsString> {
    let valued = |value: &OsString| {
        let mut argument = OsString::from(format!("--{name}="));
        argument.push(value);
        argument
    };
    match values {
        [] => vec![format!("--{name}").into()],
        values => values.iter().map(valued).collect(),
    }
}

/// A field as a command line has it; `false` and `null` take the option back.
fn argument(name: &str, value: &Value) -> Vec<OsString> {
    let text = |value: &Value| match value {
        Value::String(text) => OsString::from(text),
        other => other.to_string().into(),
    };
    match value {
        Value::Null | Value::Bool(false) => Vec::new(),
        Value::Bool(true) => written(name, &[]),
        Value::Array(values) => values.iter().flat_map(|value| written(name, &[text(value)])).collect(),
        value => written(name, &[text(value)]),
    }
}

/// What clap says, as a refusal of this program.
pub(super) fn refused(error: &clap::Error) -> anyhow::Error {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    unusable("options", "those that --help lists", &first.trim_start_matches("error: "))
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        LineOptions::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        LineOptions::augment_args_for_update(command)
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        LineOptions::from_arg_matches(matches)?;
        let command = command();
        let given = command.get_arguments().filter(|argument| {
            matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
        });
        let pair = |argument: &clap::Arg| {
            let values = match argument.get_action().takes_values() {
                true => matches
                    .get_raw(argument.get_id().as_str())
                    .into_iter()
                    .flatten()
                    .map(OsString::from)
                    .collect(),
                false => Vec::new(),
            };
            Some((argument.get_long()?.to_owned(), values))
        };
        Ok(Self(given.filter_map(pair).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleming::{FrameCount, StudyInput};
    use serde_json::json;

    fn given(arguments: &[&str]) -> Given {
        Given::from_arg_matches(&command().try_get_matches_from(arguments).unwrap()).unwrap()
    }

    fn fields(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_field_takes_the_place_of_the_command_lines_option() {
        let given = given(&["--slices", "5", "--seconds=3", "--ignore-eos"]);
        let read = |own| given.and(&fields(own)).unwrap().0.selection;
        assert_eq!(read(json!({})).volume().slices, Some(5));
        assert_eq!(read(json!({"slices": 7})).volume().slices, Some(7));
        assert_eq!(read(json!({"slices": null})).volume().slices, Some(11));
        assert_eq!(read(json!({"start": -1.5})).video().start, Some(-1.5));
        assert_eq!(read(json!({"seconds": null, "frames": 2})).video().frames, Some(FrameCount::Exactly(2)));
        assert!(read(json!({"ignore_eos": false})).video().end.is_none());
    }

    #[test]
    fn what_cannot_be_an_option_is_refused_or_told() {
        let given = given(&[]);
        for wrong in [
            json!({"slices": "many"}),
            json!({"ignore_eos": "yes"}),
            json!({"slices": [1, 2]}),
            json!({"slices": true}),
        ] {
            assert!(given.and(&fields(wrong.clone())).is_err(), "{wrong}");
        }
        assert_eq!(given.and(&fields(json!({"imagse": "a.png", "system": "S"}))).unwrap().1, ["imagse"]);
    }

    #[test]
    fn studies_of_a_line_keep_their_order() {
        let line: Line = serde_json::from_value(json!({
            "id": 1, "question": "Q", "video": "c", "image": ["a", "b"], "volumes": null,
            "studies": [{"volume": "x"}, {"image": "y"}],
        }))
        .unwrap();
        let request = line.request("<image>", Path::new("f"), &Selection::default());
        let name = |study: &StudyInput| match study {
            StudyInput::File { source, modality: Some(kind), .. } => {
                format!("{} {}", kind.name(), source.name())
            }
            _ => unreachable!(),
        };
        let names: Vec<_> = request.studies.iter().map(name).collect();
        assert_eq!(names, ["volume f/x", "image f/y", "image f/a", "image f/b", "video f/c"]);
    }
}
