//! `fleming ask`: one question, one reply.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{ArgMatches, Args, FromArgMatches};
use fleming::{
    AskOptions, Engine, Exchange, Finish, FrameCount, Instruction, Reply, Request, Source, StudyInput,
    Tracing, VideoSampling, VolumeSampling,
};

use super::display::Display;
use super::options::{GenerationArguments, INTERRUPTED, RuntimeArguments, cancel_on_interrupt, unusable};
use super::{emit, json, trace};

/// Ask a question about images, videos and volumes.
///
/// <image> in the question or the history places the next picture, clip or volume; without such a tag all of them come
/// before the question, in the order of the options.
#[derive(Args)]
pub(super) struct Ask {
    /// Folder of an exported package
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    #[command(flatten)]
    studies: Studies,
    /// The question; - reads it from standard input
    #[arg(short, long, value_name = "TEXT")]
    question: String,
    /// What stands before the question: reasoning (the model is asked to think first), direct (nothing) or @FILE
    #[arg(long, value_name = "reasoning|direct|@FILE", default_value = "reasoning")]
    prompt: String,
    /// System message, instead of the package's
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Earlier turns: a JSON list of [question, answer] pairs
    #[arg(long, value_name = "FILE.json")]
    history: Option<PathBuf>,
    #[command(flatten)]
    generation: GenerationArguments,
    #[command(flatten)]
    runtime: RuntimeArguments,
    /// Print the reply as one JSON object
    #[arg(long)]
    json: bool,
    /// Write the tensors of every stage, and a picture of what the model saw, into this folder
    #[arg(long, value_name = "DIR")]
    trace: Option<PathBuf>,
}

/// The things to look at, in the order in which they were named.
struct Studies(Vec<StudyInput>);

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
    /// Video: as many frames as this duration has whole seconds
    #[arg(long, value_name = "N", conflicts_with = "frames", allow_negative_numbers = true)]
    seconds: Option<f64>,
    /// Video: this many frames, evenly spaced
    #[arg(long, value_name = "N")]
    frames: Option<usize>,
    /// Video: most frames when neither --seconds nor --frames is given and there is one for each second
    #[arg(long, value_name = "N", default_value_t = 32)]
    max_frames: usize,
    /// Video: look from this second on
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    start: Option<f64>,
    /// Video: look up to this second
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    end: Option<f64>,
    /// Volume: this many slices, evenly spaced
    #[arg(long, value_name = "N", default_value_t = VolumeSampling::default().slices)]
    slices: usize,
}

impl Ask {
    pub(super) fn run(self) -> Result<ExitCode> {
        let request = self.request()?;
        let cancel = cancel_on_interrupt()?;
        let started = Instant::now();
        let engine = Engine::open(&self.model, &self.runtime.options())?;
        let load = started.elapsed();

        let mut display = if self.json { Display::silent() } else { Display::new() };
        let tracing = if self.trace.is_some() { Tracing::Tensors } else { Tracing::Off };
        let options = AskOptions { tracing, ..self.generation.options(cancel) };
        let reply = engine.ask(&request, &options, &mut |event| display.show(event))?;
        display.finish(&reply);

        let manifest = engine.package().manifest();
        let report =
            json::Report { reply: &reply, load, name: &manifest.name, digest: engine.package().digest() };
        if let Some(folder) = &self.trace {
            trace::write(folder, &report)?;
        }
        if self.json {
            emit(format_args!("{}\n", report.to_json()));
        }
        Ok(exit_code(&reply))
    }

    fn request(&self) -> Result<Request> {
        Ok(Request {
            studies: self.studies.0.clone(),
            question: question(&self.question)?,
            instruction: instruction(&self.prompt)?,
            system: self.system.clone(),
            history: self.history.as_deref().map(history).transpose()?,
        })
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
        let mut studies = Vec::new();
        for (id, paths) in
            [("image", &arguments.image), ("video", &arguments.video), ("volume", &arguments.volume)]
        {
            let places = matches.indices_of(id).into_iter().flatten();
            studies.extend(places.zip(paths).map(|(place, path)| (place, arguments.study(id, path))));
        }
        studies.sort_by_key(|(place, _)| *place);
        Ok(Self(studies.into_iter().map(|(_, study)| study).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl StudyArguments {
    fn study(&self, kind: &str, path: &Path) -> StudyInput {
        let source = Source::Path(path.to_path_buf());
        match kind {
            "video" => StudyInput::Video(source, self.video_sampling()),
            "volume" => StudyInput::Volume(source, VolumeSampling { slices: self.slices }),
            _ => StudyInput::Image(source),
        }
    }

    fn video_sampling(&self) -> VideoSampling {
        let count = match (self.seconds, self.frames) {
            (Some(seconds), _) => FrameCount::Seconds(seconds),
            (None, Some(frames)) => FrameCount::Exactly(frames),
            (None, None) => FrameCount::PerSecond { max_frames: self.max_frames },
        };
        VideoSampling { count, start: self.start, end: self.end }
    }
}

fn question(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut question = String::new();
    std::io::stdin().read_to_string(&mut question).context("question on standard input")?;
    Ok(without_last_newline(question))
}

fn instruction(prompt: &str) -> Result<Instruction> {
    match (prompt, prompt.strip_prefix('@')) {
        ("reasoning", _) => Ok(Instruction::Reasoning),
        ("direct", _) => Ok(Instruction::Direct),
        (_, Some(path)) => {
            let text = fs::read_to_string(path).map_err(|error| unusable(path, "a text file", &error))?;
            Ok(Instruction::Custom(without_last_newline(text)))
        }
        _ => Err(unusable("--prompt", "reasoning, direct or @FILE", &prompt)),
    }
}

fn history(path: &Path) -> Result<Vec<Exchange>> {
    let name = path.display().to_string();
    let wanted = "a JSON list of [question, answer] pairs";
    let text = fs::read_to_string(path).map_err(|error| unusable(&name, wanted, &error))?;
    let pairs: Vec<(String, String)> =
        serde_json::from_str(&text).map_err(|error| unusable(&name, wanted, &error))?;
    Ok(pairs.into_iter().map(|(question, answer)| Exchange { question, answer }).collect())
}

/// A text file ends in a newline that its text does not have.
fn without_last_newline(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

fn exit_code(reply: &Reply) -> ExitCode {
    match reply.finish {
        Finish::Cancelled => ExitCode::from(INTERRUPTED),
        _ => ExitCode::SUCCESS,
    }
}
