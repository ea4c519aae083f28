//! What to look at, as options of several verbs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use fleming::{FrameCount, Look, StudyInput};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::options::unusable;

/// The things to look at, in the order in which they were named.
pub(super) struct Studies(pub(super) Vec<StudyInput>);

/// The options behind [`Studies`], as clap parses them.
#[derive(Args)]
struct StudyArguments {
    /// An image file; may be repeated
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// A video file; may be repeated
    #[arg(long, value_name = "FILE")]
    video: Vec<PathBuf>,
    /// A volume: an .npy array of slices; may be repeated
    #[arg(long, value_name = "FILE.npy")]
    volume: Vec<PathBuf>,
    #[command(flatten)]
    selection: Selection,
}

/// Which frames and slices are looked at.
#[derive(Args)]
pub(super) struct Selection {
    /// Video: as many frames as this duration has whole seconds
    #[arg(long, value_name = "N", conflicts_with = "frames", allow_negative_numbers = true)]
    seconds: Option<f64>,
    /// Video: this many frames, evenly spaced
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    /// Video: most frames when neither --seconds nor --frames is given and there is one for each second
    #[arg(long, value_name = "N", default_value_t = Selection::default().max_frames)]
    max_frames: usize,
    /// Video: look from this second on
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    start: Option<f64>,
    /// Video: look up to this second
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    end: Option<f64>,
    /// Volume: this many slices, evenly spaced
    #[arg(long, value_name = "N", default_value_t = Selection::default().slices)]
    slices: usize,
}

/// A study named in a file: `{"image": FILE}`, `{"video": FILE}` or `{"volume": FILE}`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum NamedStudy {
    Image(PathBuf),
    Video(PathBuf),
    Volume(PathBuf),
}

/// What kind of study a file is named as.
pub(super) type Kind = fn(PathBuf) -> NamedStudy;

impl NamedStudy {
    /// The study; a path is relative to `folder`.
    pub(super) fn input(&self, folder: &Path, selection: &Selection) -> StudyInput {
        match self {
            Self::Image(path) => StudyInput::image(folder.join(path)),
            Self::Video(path) => StudyInput::video(folder.join(path)).look(selection.video()),
            Self::Volume(path) => StudyInput::volume(folder.join(path)).look(selection.volume()),
        }
    }
}

impl Default for Selection {
    fn default() -> Self {
        Self { seconds: None, frames: None, max_frames: 32, start: None, end: None, slices: Look::SLICES }
    }
}

impl Selection {
    pub(super) fn video(&self) -> Look {
        let count = match (self.seconds, self.frames) {
            (Some(seconds), _) => FrameCount::Seconds(seconds),
            (None, Some(frames)) => FrameCount::Exactly(frames),
            (None, None) => FrameCount::PerSecond { max_frames: self.max_frames },
        };
        let mut look = Look::default().frames(count);
        (look.start, look.end) = (self.start, self.end);
        look
    }

    pub(super) fn volume(&self) -> Look {
        Look::default().slices(self.slices)
    }
}

impl Studies {
    /// Reads options alone, without a verb.
    pub(super) fn parse(arguments: Vec<OsString>) -> std::result::Result<Self, clap::Error> {
        let command =
            Self::augment_args(clap::Command::new("study").no_binary_name(true).disable_help_flag(true));
        Self::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }
}

/// A study as an object of its kind and file and the options that it was named with.
pub(super) fn study_to_json(study: &StudyInput) -> Value {
    let StudyInput::File { source, modality, look } = study else { return Value::Null };
    let mut object = json!({modality.unwrap_or_default().name(): source.name()});
    match look.frames {
        Some(FrameCount::PerSecond { max_frames }) => object["max_frames"] = json!(max_frames),
        Some(FrameCount::Seconds(seconds)) => object["seconds"] = json!(seconds),
        Some(FrameCount::Exactly(frames)) => object["frames"] = json!(frames),
        None => {}
    }
    for (name, second) in [("start", look.start), ("end", look.end)] {
        if let Some(second) = second {
            object[name] = json!(second);
        }
    }
    if let Some(slices) = look.slices {
        object["slices"] = json!(slices);
    }
    object
}

/// The study of such an object.
pub(super) fn study_from_json(object: &Value) -> Result<StudyInput> {
    let wanted = "an object with image, video or volume and its options, as /save writes it";
    let complain = || unusable("study", wanted, object);
    let option = |(name, value): (&String, &Value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), String::from);
        OsString::from(format!("--{}={value}", name.replace('_', "-")))
    };
    let arguments = object.as_object().ok_or_else(complain)?.iter().map(option).collect();
    let mut studies = Studies::parse(arguments).map_err(|_| complain())?.0;
    match (studies.pop(), studies.is_empty()) {
        (Some(study), true) => Ok(study),
        _ => Err(complain()),
    }
}

impl Args for Studies {
    fn augment_args(command: clap::Command) -> clap::Command {
        StudyArguments::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        StudyArguments::augment_args_for_update(command)
    }
}

impl FromArgMatches for Studies {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let arguments = StudyArguments::from_arg_matches(matches)?;
        let kinds: [(_, _, Kind); 3] = [
            ("image", arguments.image, NamedStudy::Image),
            ("video", arguments.video, NamedStudy::Video),
            ("volume", arguments.volume, NamedStudy::Volume),
        ];
        let mut studies = Vec::new();
        for (id, paths, kind) in kinds {
            let places = matches.indices_of(id).into_iter().flatten();
            studies.extend(places.zip(paths.into_iter().map(kind)));
        }
        studies.sort_by_key(|(place, _)| *place);
        let input = |(_, study): (usize, NamedStudy)| study.input(Path::new(""), &arguments.selection);
        Ok(Self(studies.into_iter().map(input).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
