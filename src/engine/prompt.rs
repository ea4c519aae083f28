//! A request as the loop runs it.

use super::contents::Token;
use super::shared::Shared;
use super::studies;
use crate::error::Result;
use crate::pixels::{Digest, Tile};
use crate::prompt::{self, Spliced};
use crate::request::{AskOptions, FrameUsed, Request, Timings};
use crate::watch::Watch;

/// A request as the loop runs it. All answers to it share it.
pub(super) struct Prompt {
    pub(super) spliced: Spliced,
    /// What stands at each position.
    pub(super) tokens: Vec<Token>,
    /// Tiles of all frames of all studies, in order.
    pub(super) tiles: Vec<Tile>,
    /// Of each tile's pixels, and of what is made of them.
    pub(super) digests: Vec<Digest>,
    /// Most tokens to generate.
    pub(super) limit: usize,
    /// The text with a placeholder for each frame.
    pub(super) text: String,
    pub(super) image_tokens: usize,
    pub(super) frames: Vec<FrameUsed>,
    pub(super) warnings: Vec<String>,
    pub(super) timings: Timings,
}

impl Prompt {
    /// Reads the studies and writes the prompt.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for studies that cannot be read,
    /// [`Error::Request`](crate::Error::Request) for a prompt that does not fit, and what stopped the work.
    pub(super) fn new(
        shared: &Shared,
        request: &Request,
        options: &AskOptions,
        watch: &Watch,
    ) -> Result<Self> {
        let manifest = shared.package.manifest();
        let mut timings = Timings::default();
        let prepared = studies::prepare(shared, &request.studies, options, watch, &mut timings)?;
        let template = &manifest.prompt;
        let written = prompt::write(template, request, &prepared.frames_per_study, options.preprocessing)?;
        let remarks = prompt::remarks(request, &shared.tokenizer, options.preprocessing);
        let spliced =
            written.splice(template, &manifest.tokens, &shared.tokenizer, &prepared.tokens_per_frame)?;
        let mut tokens = tokens(&spliced, &prepared.digests, manifest.vision.tokens_per_tile);
        if let (Some(scope), Some(first)) = (&options.scope, tokens.first_mut()) {
            *first = first.within(scope);
        }
        Ok(Self {
            limit: shared.reply_limit(spliced.ids.len(), options)?,
            tokens,
            spliced,
            tiles: prepared.tiles,
            digests: prepared.digests,
            text: written.text(template),
            image_tokens: prepared.tokens_per_frame.iter().sum(),
            frames: prepared.frames,
            warnings: [prepared.warnings, written.warnings, remarks].concat(),
            timings,
        })
    }
}

/// What stands at each position of a prompt.
fn tokens(prompt: &Spliced, digests: &[Digest], tokens_per_tile: usize) -> Vec<Token> {
    let token = |(&id, &row): (&i64, &i64)| match usize::try_from(row) {
        Ok(row) => {
            Token::Picture { tile: digests[row / tokens_per_tile], row: (row % tokens_per_tile) as u32 }
        }
        Err(_) => Token::Text(id as u32),
    };
    prompt.ids.iter().zip(&prompt.rows).map(token).collect()
}
