//! What callers, preparing threads and the loop share.

use super::counts::Published;
use super::options::EngineOptions;
use crate::constraint::Grammars;
use crate::error::{Error, Result};
use crate::guide::{Guide, GuideContext};
use crate::input::Budget;
use crate::package::Package;
use crate::pixels::{Digest, PixelGeometry};
use crate::request::{AskOptions, Instruction};
use crate::tokenizer::Tokenizer;

/// What callers, preparing threads and the loop all read.
pub(super) struct Shared {
    pub(super) package: Package,
    pub(super) tokenizer: Tokenizer,
    pub(super) grammars: Grammars,
    /// Most tokens in a conversation.
    pub(super) context: usize,
    /// How much of a study is read at most.
    pub(super) budget: Budget,
    pub(super) geometry: PixelGeometry,
    /// Of the vision graph and its weights.
    pub(super) vision_digest: String,
    pub(super) counts: Published,
}

impl Shared {
    pub(super) fn new(package: Package, tokenizer: Tokenizer, options: &EngineOptions) -> Result<Self> {
        let manifest = package.manifest();
        let (vision, normalization) = (&manifest.vision, &manifest.normalization);
        let geometry = PixelGeometry {
            size: vision.image_size,
            rescale: normalization.rescale,
            mean: normalization.mean,
            std: normalization.std,
        };
        let graph = &manifest.graphs.vision.file;
        let files = manifest.files.iter().filter(|(name, _)| name.starts_with(graph.as_str()));
        let vision_digest = files.map(|(_, facts)| facts.sha256.as_str()).collect();
        Ok(Self {
            tokenizer,
            grammars: Grammars::default(),
            context: options.context(manifest)?,
            budget: options.budget,
            geometry,
            vision_digest,
            counts: Published::default(),
            package,
        })
    }

    /// What image embeddings depend on beside the pixels: the vision graph, and the scope that may reuse them.
    pub(super) fn image_key(&self, scope: Option<&[u8]>) -> String {
        match scope {
            Some(scope) => format!("{} {:?}", self.vision_digest, Digest::of(scope).0),
            None => self.vision_digest.clone(),
        }
    }

    /// Chooses the tokens of replies to a prompt.
    ///
    /// # Errors
    /// [`Error::Request`] for a constraint that does not compile and for a bias on an id that the vocabulary lacks.
    pub(super) fn guide(
        &self,
        instruction: &Instruction,
        options: &AskOptions,
        prompt: &[i64],
    ) -> Result<Guide> {
        let manifest = self.package.manifest();
        let parts = GuideContext {
            prompt: &manifest.prompt,
            vocabulary: manifest.tokens.vocabulary,
            tokenizer: &self.tokenizer,
            grammars: &self.grammars,
        };
        Guide::new(parts, instruction, options, prompt)
    }

    /// Refuses a text that cannot fit into the context, before it is tokenised, which takes its time.
    ///
    /// # Errors
    /// [`Error::Request`] if it has more bytes than the longest tokens make up.
    pub(super) fn check_text(&self, bytes: usize) -> Result<()> {
        /// What composing letters (NFC) may shrink a text by before it is cut into tokens.
        const COMPOSED: usize = 3;
        let most = self.context.saturating_mul(self.tokenizer.longest()).saturating_mul(COMPOSED);
        match bytes > most {
            true => Err(Error::request(
                "prompt",
                format!("a text that can fit into the context of {} tokens", self.context),
                format!("{bytes} bytes"),
            )
            .hint("shorten the question or the history")),
            false => Ok(()),
        }
    }

    /// How many tokens the reply to a prompt of this length may have.
    ///
    /// # Errors
    /// [`Error::Request`] if none fits into the context.
    pub(super) fn reply_limit(&self, prompt_tokens: usize, options: &AskOptions) -> Result<usize> {
        let wanted = options.max_new_tokens.unwrap_or(self.package.manifest().generation.max_new_tokens);
        match self.context.saturating_sub(prompt_tokens) {
            0 => Err(Error::request(
                "prompt",
                format!("fewer tokens than the context of {}", self.context),
                format!("{prompt_tokens} tokens"),
            )
            .hint("look at fewer frames, slices or tiles, or shorten the history")),
            room => Ok(wanted.min(room)),
        }
    }
}
