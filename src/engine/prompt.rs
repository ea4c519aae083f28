//! A request as the loop runs it.

use std::sync::Arc;

use super::contents::Token;
use super::shared::Shared;
use super::studies::{Extent, Studies};
use crate::error::Result;
use crate::pixels::{Digest, Tile};
use crate::prompt::{self, Spliced, Written};
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
    pub(super) frames: Arc<[FrameUsed]>,
    pub(super) warnings: Vec<String>,
    pub(super) timings: Timings,
}

impl Prompt {
    /// Reads the studies and writes the prompt. What does not fit is refused before any pixel is made.
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
        let studies = Studies::open(shared, &request.studies, options, watch)?;
        let counted = studies.extent.clone();
        let mut text = Text::write(shared, request, options, &counted)?;
        let prepared = studies.read(options.scope.as_deref())?;
        // A stream may hold other frames than its header promises.
        if prepared.extent != counted {
            text = Text::write(shared, request, options, &prepared.extent)?;
        }
        let Text { written, spliced, limit } = text;
        let manifest = shared.package.manifest();
        let mut tokens = tokens(&spliced, &prepared.digests, manifest.vision.tokens_per_tile);
        if let (Some(scope), Some(first)) = (&options.scope, tokens.first_mut()) {
            *first = first.within(scope);
        }
        let remarks = prompt::remarks(request, &shared.tokenizer, options.preprocessing);
        Ok(Self {
            limit,
            tokens,
            spliced,
            text: written.text(&manifest.prompt),
            image_tokens: prepared.extent.tokens(),
            tiles: prepared.tiles,
            digests: prepared.digests,
            frames: prepared.frames.into(),
            warnings: [prepared.warnings, written.warnings, remarks].concat(),
            timings: prepared.timings,
        })
    }
}

/// The text of a prompt with room for its pictures.
pub(super) struct Text {
    written: Written,
    pub(super) spliced: Spliced,
    /// Most tokens to generate.
    limit: usize,
}

impl Text {
    /// Writes a prompt around studies of this extent.
    ///
    /// # Errors
    /// [`Error::Request`](crate::Error::Request) for one that does not fit.
    pub(super) fn write(
        shared: &Shared,
        request: &Request,
        options: &AskOptions,
        extent: &Extent,
    ) -> Result<Self> {
        let manifest = shared.package.manifest();
        let template = &manifest.prompt;
        // If the pictures alone do not fit, refuse before their tokens are laid out.
        shared.reply_limit(extent.tokens(), options)?;
        let written = prompt::write(template, request, &extent.frames_per_study, options.preprocessing)?;
        shared.check_text(written.bytes())?;
        let spliced =
            written.splice(template, &manifest.tokens, &shared.tokenizer, &extent.tokens_per_frame)?;
        let limit = shared.reply_limit(spliced.ids.len(), options)?;
        Ok(Self { written, spliced, limit })
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
