//! How an engine is set up.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::input::Budget;
use crate::limits;
use crate::onnx::{Device, GraphOptions};
use crate::package::Manifest;

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

impl EngineOptions {
    /// Refuses numbers that cannot be met.
    pub(super) fn check(&self) -> Result<()> {
        limits::SLOTS.check("slots", self.slots)?;
        limits::QUEUE.check("queue", self.queue)?;
        limits::CHUNK.check("chunk", self.chunk)?;
        limits::IMAGE_CACHE.check("image-cache", self.vision_cache)?;
        self.budget.check()?;
        self.threads.map_or(Ok(()), |threads| limits::THREADS.check("threads", threads))?;
        Ok(())
    }

    pub(super) fn graph(&self) -> Result<GraphOptions> {
        let device = Device::parse(&self.provider, &self.provider_options)?;
        Ok(GraphOptions { device, threads: self.threads, ranges: None })
    }

    /// Most tokens in a conversation.
    pub(super) fn context(&self, manifest: &Manifest) -> Result<usize> {
        let limit = manifest.max_positions;
        match self.context {
            Some(context) if context == 0 || context > limit => {
                Err(Error::request("context", format!("1 to {limit} tokens, the model's limit"), context)
                    .hint("choose a number in this range, or leave it out"))
            }
            Some(context) => Ok(context),
            None => Ok(limit),
        }
    }
}
