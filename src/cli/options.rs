//! Options that several verbs share.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use fleming::{
    AskOptions, Cancel, ConversationId, Engine, EngineOptions, MemoryNeeds, Package, Preprocessing, StopRule,
};

use super::sampling::{ConstraintArguments, SamplingArguments};

#[derive(Args)]
pub(super) struct GenerationArguments {
    /// Most tokens to generate [default: the package's]
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// Do not stop at the end of the model's turn
    #[arg(long)]
    ignore_eos: bool,
    /// How inputs are prepared: clinical mends what the reference script does wrong and says so
    #[arg(long, value_enum, default_value_t = PreprocessingChoice::Clinical)]
    preprocessing: PreprocessingChoice,
    /// Cut an image into up to N tiles of its own aspect ratio, plus a thumbnail
    #[arg(long, value_name = "N")]
    max_tiles: Option<usize>,
    /// Most tokens of thought; then the thought is closed and the answer opened
    #[arg(long, value_name = "N")]
    max_thinking_tokens: Option<usize>,
    /// Report each token's log-probability and those of the N likeliest, with --json
    #[arg(long, value_name = "N")]
    logprobs: Option<usize>,
    /// End the reply before this text; may be repeated
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// Guess up to N tokens ahead from what was written before, and verify them in one run; the reply is the same
    #[arg(long, value_name = "N")]
    speculation: Option<usize>,
    /// End the reply, as far as it is, after this many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    #[command(flatten)]
    sampling: SamplingArguments,
    #[command(flatten)]
    constraint: ConstraintArguments,
}

#[derive(Args)]
pub(super) struct RuntimeArguments {
    /// Folder of an exported package [default: the demo model, models/demo]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// What runs the model: cpu, cuda, tensorrt; cuda:1 is the second GPU
    #[arg(long, default_value = "cpu")]
    provider: String,
    /// An option of the provider, by ONNX Runtime's name of it; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    provider_option: Vec<(String, String)>,
    /// Threads inside an operator [default: one for each physical core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Most tokens in the conversation [default: the model's limit]
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Conversations in memory, each of that many tokens; so many are answered at a time [default: as many as are asked at once]
    #[arg(long, value_name = "N")]
    slots: Option<usize>,
    /// Prompt tokens that run together; other answers go on in between [default: 512]
    #[arg(long, value_name = "N")]
    chunk: Option<usize>,
    /// Folder for the engines that TensorRT builds [default: fleming in the user's cache folder]
    #[arg(long, value_name = "DIR")]
    engine_cache: Option<PathBuf>,
    /// The ONNX Runtime library [default: searched for]
    #[arg(long, value_name = "FILE")]
    onnxruntime: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PreprocessingChoice {
    Reference,
    Clinical,
}

impl GenerationArguments {
    pub(super) fn options(&self, cancel: Cancel) -> Result<AskOptions> {
        let options = AskOptions {
            max_new_tokens: self.max_new_tokens,
            stop: if self.ignore_eos { StopRule::LengthOnly } else { StopRule::EndOfTurn },
            preprocessing: match self.preprocessing {
                PreprocessingChoice::Reference => Preprocessing::Reference,
                PreprocessingChoice::Clinical => Preprocessing::Clinical,
            },
            max_tiles: self.max_tiles,
            max_thinking_tokens: self.max_thinking_tokens,
            logprobs: self.logprobs,
            speculation: self.speculation,
            stop_strings: self.stop.clone(),
            sampling: self.sampling.sampling()?,
            constraint: self.constraint.constraint()?,
            timeout: self.timeout.map(duration).transpose()?,
            cancel,
            ..AskOptions::default()
        };
        // Before the package is loaded, which takes a while.
        options.check()?;
        Ok(options)
    }
}

impl RuntimeArguments {
    /// Loads the package that was named, or the demo model, for as many requests as are asked at once.
    pub(super) fn open(&self, at_once: usize) -> Result<Engine> {
        let folder = self.folder()?;
        let options = self.options(at_once);
        // Before it is taken.
        eprintln!("memory: {}", MemoryNeeds::of(&Package::open(&folder)?, &options)?);
        Ok(Engine::open(&folder, &options)?)
    }

    /// The folder of the package that was named, or of the demo model.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        self.model.clone().map_or_else(demo_model, Ok)
    }

    pub(super) fn options(&self, at_once: usize) -> EngineOptions {
        let usual = EngineOptions::default();
        EngineOptions {
            library: self.onnxruntime.clone(),
            provider: self.provider.clone(),
            provider_options: self.provider_option.clone(),
            threads: self.threads,
            context: self.context,
            slots: self.slots.unwrap_or(at_once),
            // Nobody who asks from here is refused.
            queue: usual.queue.max(at_once),
            chunk: self.chunk.unwrap_or(usual.chunk),
            plan_cache: self.engine_cache.clone(),
            ..usual
        }
    }
}

#[derive(Args)]
pub(super) struct SessionArguments {
    /// Keep what the model has read in this file, and go on from what is in it: the same study is not read again.
    /// The file holds the conversation in the model's terms, and is as confidential
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
}

impl SessionArguments {
    /// Reads the file, if there is one.
    pub(super) fn load(&self, engine: &Engine) -> Result<()> {
        if let Some(file) = self.session.as_deref().filter(|file| file.exists()) {
            engine.load_session(file)?;
        }
        Ok(())
    }

    /// Writes the file, if it was asked for.
    pub(super) fn save(&self, engine: &Engine, conversation: ConversationId) -> Result<()> {
        match &self.session {
            Some(file) => Ok(engine.save_session(conversation, file)?),
            None => Ok(()),
        }
    }
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("no KEY=VALUE")?;
    Ok((key.into(), value.into()))
}

fn duration(seconds: f64) -> Result<Duration> {
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| unusable("--timeout", "a number of seconds above 0", &seconds))
}

/// The demo model of the working folder or of the repository that the executable was built in.
fn demo_model() -> Result<PathBuf> {
    let executable = std::env::current_exe().unwrap_or_default();
    let places = std::iter::once(Path::new("")).chain(executable.ancestors().skip(1));
    let found =
        places.map(|place| place.join("models/demo")).find(|folder| folder.join("fleming.json").is_file());
    let Some(folder) = found else {
        return Err(unusable(
            "--model",
            "the folder of an exported package",
            &"none, and no models/demo is near",
        ));
    };
    eprintln!("no --model: this is the demo model, which knows drawn pictures and nothing of medicine");
    Ok(folder)
}

/// Exit code of what was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// The first Ctrl-C ends the reply, the second the program.
pub(super) fn cancel_on_interrupt() -> Result<Cancel> {
    let cancel = Cancel::default();
    let thrown = cancel.clone();
    ctrlc::set_handler(move || {
        if thrown.is_cancelled() {
            std::process::exit(INTERRUPTED.into());
        }
        thrown.cancel();
    })
    .context("interrupt handler")?;
    Ok(cancel)
}

/// An argument that cannot be used, told as the library tells its own.
pub(super) fn unusable(thing: &str, wanted: &str, got: &dyn std::fmt::Display) -> anyhow::Error {
    let facts = fleming::Facts {
        thing: thing.into(),
        wanted: wanted.into(),
        got: got.to_string(),
        hint: String::new(),
    };
    fleming::Error::Request(Box::new(facts)).into()
}
