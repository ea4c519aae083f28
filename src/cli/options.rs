//! Options that several verbs share, beside those of the library's table.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use fleming::{ConversationId, Engine, EngineOptions, MemoryNeeds, Package};

use super::arguments::{Given, Running};
use super::files::try_file;
use super::output::note;
use super::refusal::{readable, unusable};

#[derive(Args)]
pub(super) struct RuntimeArguments {
    /// Folder of an exported package [default: the demo model, models/demo]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    given: Given<Running>,
}

impl RuntimeArguments {
    /// Loads the package that was named, or the demo model, for as many requests as are asked at once.
    pub(super) fn open(&self, at_once: usize) -> Result<Engine> {
        let options = self.options(at_once)?;
        let folder = self.folder()?;
        // Before it is taken.
        note(format_args!("memory: {}", MemoryNeeds::of(&Package::open(&folder)?, &options)?));
        Ok(Engine::open(&folder, &options)?)
    }

    /// The folder of the package that was named, or of the demo model.
    pub(super) fn folder(&self) -> Result<PathBuf> {
        folder(self.model.as_ref())
    }

    /// The options, for as many requests as are asked at once.
    pub(super) fn options(&self, at_once: usize) -> Result<EngineOptions> {
        let chosen = self.given.chosen()?;
        let mut options = chosen.options()?.engine;
        if !chosen.has("slots") {
            options.slots = at_once;
        }
        if !chosen.has("queue") {
            // Nobody who asks from here is refused.
            options.queue = options.queue.max(at_once);
        }
        Ok(options)
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
    /// Refuses a file that could not be read at the start or written at the end.
    pub(super) fn check(&self) -> Result<()> {
        let Some(file) = &self.session else { return Ok(()) };
        if file.exists() {
            readable(file)?;
        }
        try_file(file)
    }

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

/// The folder of a package that was named, or of the demo model.
pub(super) fn folder(model: Option<&PathBuf>) -> Result<PathBuf> {
    model.cloned().map_or_else(demo_model, Ok)
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
            "name one with --model DIR",
        ));
    };
    note(format_args!(
        "no --model: this is the demo model, which knows drawn pictures and nothing of medicine"
    ));
    Ok(folder)
}
