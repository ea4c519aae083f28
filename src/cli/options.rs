//! Options that several verbs share.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use fleming::{AskOptions, Cancel, EngineOptions, Preprocessing, StopRule};

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
}

#[derive(Args)]
pub(super) struct RuntimeArguments {
    /// Execution provider
    #[arg(long, default_value = "cpu")]
    provider: String,
    /// Threads inside an operator [default: one for each physical core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Most tokens in the conversation [default: the model's limit]
    #[arg(long, value_name = "N")]
    context: Option<usize>,
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
    pub(super) fn options(&self, cancel: Cancel) -> AskOptions {
        AskOptions {
            max_new_tokens: self.max_new_tokens,
            stop: if self.ignore_eos { StopRule::LengthOnly } else { StopRule::EndOfTurn },
            preprocessing: match self.preprocessing {
                PreprocessingChoice::Reference => Preprocessing::Reference,
                PreprocessingChoice::Clinical => Preprocessing::Clinical,
            },
            max_tiles: self.max_tiles,
            cancel,
            ..AskOptions::default()
        }
    }
}

impl RuntimeArguments {
    pub(super) fn options(&self) -> EngineOptions {
        EngineOptions {
            library: self.onnxruntime.clone(),
            provider: self.provider.clone(),
            threads: self.threads,
            context: self.context,
        }
    }
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
