//! How an engine is set up.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::input::Budget;
use crate::limits::{NumberOption, OptionName, Subject, Whole};
use crate::onnx::{Device, GraphOptions, OwnOperators};
use crate::package::Manifest;
use crate::watch::Watch;

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The ONNX Runtime library; searched for if absent.
    pub library: Option<PathBuf>,
    /// Name of the execution provider: `cpu`, `cuda`, `tensorrt`. `cuda:1` is the second GPU.
    pub provider: String,
    /// Options of that provider, by ONNX Runtime's names. An unknown one is refused with the list of all.
    pub provider_options: Vec<(String, String)>,
    /// Threads inside an operator; absent leaves it to ONNX Runtime.
    pub threads: Option<usize>,
    /// Most tokens in a conversation, prompt and reply together; the model's limit if absent.
    pub context: Option<usize>,
    /// Conversations in memory: the most requests that are answered at a time, and the most conversations that can continue
    /// without a new prefill.
    pub slots: usize,
    /// Answers that may wait for a slot; more are refused as [`Error::Busy`].
    pub queue: usize,
    /// Prompt tokens that run together. A smaller number interrupts other answers for a shorter time; the answers are the
    /// same.
    pub chunk: usize,
    /// Most bytes of image embeddings that are kept, so that a picture asked about again is not encoded again.
    pub vision_cache: usize,
    /// Folder for plans, which TensorRT builds of graphs in minutes. Absent, it is `$XDG_CACHE_HOME/fleming`, or
    /// `~/.cache/fleming`. Plans in the package's folder `engines` are taken first.
    pub plan_cache: Option<PathBuf>,
    /// How much of a study is read at most.
    pub budget: Budget,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            library: None,
            provider: "cpu".into(),
            provider_options: Vec::new(),
            threads: None,
            context: None,
            slots: 1,
            queue: 64,
            chunk: 512,
            vision_cache: 256 << 20,
            plan_cache: None,
            budget: Budget::default(),
        }
    }
}

const fn option(name: &'static str) -> OptionName {
    Subject::Engine.option(name)
}

/// The options that are numbers, with what they may be.
impl EngineOptions {
    /// Far more than any processor has.
    pub(crate) const THREADS: NumberOption<Whole> = option("threads").whole(1, 1024);
    /// Tokens; the model's own limit is lower.
    pub(crate) const CONTEXT: NumberOption<Whole> = option("context").whole(1, 1 << 24);
    /// Far more than any machine answers at a time.
    pub(crate) const SLOTS: NumberOption<Whole> = option("slots").whole(1, 1024);
    /// Each that waits holds its pictures.
    pub(crate) const QUEUE: NumberOption<Whole> = option("queue").whole(1, 65_536);
    /// Tokens. A chunk must be splittable into parts of at least two.
    pub(crate) const CHUNK: NumberOption<Whole> = option("chunk").whole(4, 1 << 20);
    /// Bytes: a tebibyte.
    pub(crate) const IMAGE_CACHE: NumberOption<Whole> = option("image_cache").whole(0, 1 << 40);
}

impl EngineOptions {
    /// Refuses numbers that cannot be met.
    pub(super) fn check(&self) -> Result<()> {
        Self::SLOTS.check([self.slots])?;
        Self::QUEUE.check([self.queue])?;
        Self::CHUNK.check([self.chunk])?;
        Self::IMAGE_CACHE.check([self.vision_cache])?;
        self.budget.check()?;
        Self::THREADS.check(self.threads)
    }

    /// How the graphs of a package are run.
    pub(super) fn graph(&self, manifest: &Manifest) -> Result<GraphOptions> {
        let device = Device::parse(&self.provider, &self.provider_options)?;
        Ok(GraphOptions {
            operators: OwnOperators::of(&device, manifest)?,
            device,
            threads: self.threads,
            ranges: None,
            watch: Watch::default(),
        })
    }

    /// Most tokens in a conversation.
    pub(super) fn context(&self, manifest: &Manifest) -> Result<usize> {
        let limit = manifest.max_positions;
        match self.context {
            Some(context) if context == 0 || context > limit => Err(Error::request(
                Self::CONTEXT.option,
                format!("1 to {limit} tokens, the model's limit"),
                context,
            )
            .hint("choose a number in this range, or leave it out")),
            Some(context) => Ok(context),
            None => Ok(limit),
        }
    }
}
