//! What to look at, as arguments of several verbs.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use fleming::{AskOptions, Budget, Look, Modality, ReadOptions, Reply, StudyInput, Watch, measure};

use super::reading::ReadingBar;
use super::refusal::unusable;

/// The files to look at, in the order in which they were named, each with what it was said to be.
pub(super) struct Studies(Vec<(Option<Modality>, PathBuf)>);

/// The arguments behind [`Studies`], as clap parses them.
#[derive(Args)]
struct StudyArguments {
    /// What to look at: images, videos and volumes, each recognised by its content
    #[arg(value_name = "FILE")]
    file: Vec<PathBuf>,
    /// A file that must be an image; may be repeated
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// A file that must be a video; may be repeated
    #[arg(long, value_name = "FILE")]
    video: Vec<PathBuf>,
    /// A file or folder that must be a volume; may be repeated
    #[arg(long, value_name = "FILE")]
    volume: Vec<PathBuf>,
}

impl Studies {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Refuses an output that would take the place of a study.
    pub(super) fn spared(&self, output: &Path) -> Result<()> {
        let of = |path: &Path| path.metadata().map(|there| (there.dev(), there.ino())).ok();
        match of(output) {
            Some(there) if self.0.iter().any(|(_, path)| of(path) == Some(there)) => {
                let name = output.display().to_string();
                Err(unusable(
                    &name,
                    "another file than a study",
                    &"the same",
                    "name another file for the picture",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The studies, looked at in this way. Where there are several, an option may be meant for some of them.
    pub(super) fn inputs(&self, look: &Look) -> Vec<StudyInput> {
        let look = if self.0.len() > 1 { look.clone().shared() } else { look.clone() };
        let input = |(modality, path): &(Option<Modality>, PathBuf)| {
            let study = match modality {
                Some(modality) => StudyInput::of(*modality, path.as_path()),
                None => StudyInput::file(path.as_path()),
            };
            study.look(look.clone())
        };
        self.0.iter().map(input).collect()
    }
}

/// Refuses studies that cannot be looked at as they are to be, before the package is loaded: no pixel is made. Returns the
/// kind of each.
pub(super) fn measurable(
    studies: &[StudyInput],
    options: &AskOptions,
    budget: Budget,
) -> Result<Vec<Modality>> {
    let bar = ReadingBar::new();
    let watch = bar.over(Watch::default().switch(&options.cancel));
    let reading = ReadOptions::default().preprocessing(options.preprocessing).budget(budget).watch(watch);
    let kinds = studies.iter().map(|study| Ok(measure(study, &reading)?.modality));
    kinds.collect()
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
        let StudyArguments { file, image, video, volume } = StudyArguments::from_arg_matches(matches)?;
        let kinds = [
            ("file", None, file),
            ("image", Some(Modality::Image), image),
            ("video", Some(Modality::Video), video),
            ("volume", Some(Modality::Volume), volume),
        ];
        let mut studies = Vec::new();
        for (id, modality, paths) in kinds {
            let places = matches.indices_of(id).into_iter().flatten();
            studies.extend(places.zip(paths.into_iter().map(|path| (modality, path))));
        }
        studies.sort_by_key(|(place, _)| *place);
        Ok(Self(studies.into_iter().map(|(_, study)| study).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Adds the kinds of what a reply is about, each once.
pub(super) fn add_kinds(kinds: &mut Vec<Modality>, reply: &Reply) {
    for kind in reply.frames.iter().map(|frame| frame.provenance.modality) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
}
