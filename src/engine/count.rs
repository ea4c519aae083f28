//! How long a prompt would be, without pixels.

use std::time::Instant;

use super::api::Engine;
use super::studies::Studies;
use crate::error::Result;
use crate::prompt;
use crate::request::{AskOptions, Request};

/// How long a prompt would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCount {
    /// All tokens of the prompt, those of the pictures included.
    pub prompt_tokens: usize,
    /// Tokens that carry image embeddings.
    pub image_tokens: usize,
    /// Frames that would be looked at.
    pub frames: usize,
    /// Most tokens in a conversation, prompt and reply together.
    pub context: usize,
}

impl TokenCount {
    /// Whether the prompt leaves room for a reply.
    pub fn fits(&self) -> bool {
        self.prompt_tokens < self.context
    }
}

impl Engine {
    /// Counts the tokens of a request from headers and options alone: no pixel is made and nothing runs. Of the options only
    /// `preprocessing`, `max_tiles`, `cancel` and `timeout` matter. A video counts as its header says; a damaged one may hold fewer
    /// frames.
    ///
    /// ```no_run
    /// # fn main() -> fleming::Result<()> {
    /// use fleming::{AskOptions, Engine, EngineOptions, Request, StudyInput};
    ///
    /// let engine = Engine::open("models/demo".as_ref(), &EngineOptions::default())?;
    /// let request = Request::about(vec![StudyInput::file("volume.npz")], "Is there a nodule?");
    /// let count = engine.count_tokens(&request, &AskOptions::default())?;
    /// println!("{} of {} tokens", count.prompt_tokens, count.context);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for studies that cannot be read,
    /// [`Error::Request`](crate::Error::Request) for options that cannot be met, for studies that no turn places and for a text
    /// that is far too long; [`Error::Cancelled`](crate::Error::Cancelled) or [`Error::TimedOut`](crate::Error::TimedOut) if it was
    /// stopped; [`Error::Runtime`](crate::Error::Runtime) if the engine was shut down.
    pub fn count_tokens(&self, request: &Request, options: &AskOptions) -> Result<TokenCount> {
        self.0.queue.refuse_unserved()?;
        options.check()?;
        let shared = &self.0.shared;
        let manifest = shared.package.manifest();
        let watch = options.watch(Instant::now()).switch(&self.0.stopped);
        let extent = Studies::open(shared, &request.studies, options, &watch)?.extent;
        let (template, mode) = (&manifest.prompt, options.preprocessing);
        let written = prompt::write(template, request, &extent.frames_per_study, mode)?;
        shared.check_text(written.bytes())?;
        let frames = extent.tokens_per_frame.len();
        let around = written.splice(template, &manifest.tokens, &shared.tokenizer, &vec![0; frames])?;
        Ok(TokenCount {
            prompt_tokens: around.ids.len() + extent.tokens(),
            image_tokens: extent.tokens(),
            frames,
            context: shared.context,
        })
    }
}
