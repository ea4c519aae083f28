//! The one way from a question to a reply: read → prepare → write the prompt → encode → prefill → step until done.

mod generation;
mod prepare;
mod reply;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::constraint::Grammars;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::guide::{Common, Guide};
use crate::onnx::{GraphOptions, Provider, Runtime};
use crate::package::Package;
use crate::pixels;
use crate::prompt;
use crate::request::{AskOptions, Event, Reply, Request, Timings, Trace, Tracing, Usage};
use crate::tokenizer::Tokenizer;
use crate::vision::VisionTower;
use generation::Generation;
use prepare::prepare;
use reply::{Tagging, Writer};

/// How an engine is set up.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The ONNX Runtime library; searched for if absent.
    pub library: Option<PathBuf>,
    /// Name of the execution provider.
    pub provider: String,
    /// Threads inside an operator; absent leaves it to ONNX Runtime.
    pub threads: Option<usize>,
    /// Most tokens in a conversation, prompt and reply together; the model's limit if absent.
    pub context: Option<usize>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { library: None, provider: "cpu".into(), threads: None, context: None }
    }
}

/// A loaded model that answers questions.
///
/// ```no_run
/// use fleming::{AskOptions, Engine, EngineOptions, Request, Source, StudyInput};
///
/// let engine = Engine::open("models/demo".as_ref(), &EngineOptions::default())?;
/// let request = Request {
///     studies: vec![StudyInput::Image(Source::Path("chest.png".into()))],
///     question: "Is there a pleural effusion?".into(),
///     ..Request::default()
/// };
/// let reply = engine.ask(&request, &AskOptions::default(), &mut |_event| {})?;
/// println!("{}", reply.answer);
/// # Ok::<(), fleming::Error>(())
/// ```
pub struct Engine {
    package: Package,
    tokenizer: Tokenizer,
    grammars: Grammars,
    context: usize,
    model: Mutex<Model>,
}

/// The two graphs; one request at a time runs them.
struct Model {
    vision: VisionTower,
    decoder: Decoder,
}

impl Engine {
    /// Loads a package. Its files are compared with their recorded digests while the graphs load.
    ///
    /// # Errors
    /// [`Error::Package`] if the folder holds no intact package, [`Error::Runtime`] if ONNX Runtime, the provider or
    /// a graph does not load, [`Error::Request`] for options that cannot be met.
    pub fn open(folder: &Path, options: &EngineOptions) -> Result<Self> {
        let package = Package::open(folder)?;
        let graph_options = graph_options(options)?;
        graph_options.provider.accept(&package.manifest().target)?;
        let context = context(&package, options.context)?;
        let runtime = Runtime::load(options.library.as_deref())?;
        let (intact, tokenizer, model) = std::thread::scope(|scope| {
            let intact = scope.spawn(|| package.verify());
            let tokenizer = Tokenizer::open(&package);
            let model = Model::open(&runtime, &package, graph_options);
            (intact.join(), tokenizer, model)
        });
        // An altered file is the cause, whatever else failed to load because of it.
        intact.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let grammars = Grammars::default();
        Ok(Self { tokenizer: tokenizer?, grammars, model: Mutex::new(model?), package, context })
    }

    /// The package that was loaded.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// Answers a question. `on_event` hears of progress and of the text as it is made. Requests from several threads
    /// take turns.
    ///
    /// # Errors
    /// [`Error::Input`] for studies that cannot be read, [`Error::Request`] for a prompt that does not fit,
    /// [`Error::Runtime`] if a graph fails. The engine stays usable.
    pub fn ask(
        &self,
        request: &Request,
        options: &AskOptions,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Reply> {
        let manifest = self.package.manifest();
        check(options)?;
        let mut timings = Timings::default();
        let prepared = prepare(&self.package, request, options, &mut timings)?;
        let tagged =
            prompt::write(&manifest.prompt, request, &prepared.frames_per_study, options.preprocessing)?;
        let prompt = prompt::splice(
            &manifest.prompt,
            &manifest.tokens,
            &self.tokenizer,
            &tagged.text,
            &prepared.tokens_per_frame,
        )?;
        let prompt_tokens = prompt.ids.len();
        let limit = self.reply_limit(prompt_tokens, options)?;
        let guide = self.guide(request, options, &prompt.ids)?;
        let mut writer = self.writer(&guide, options);
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        let tokenizer = &self.tokenizer;
        let mut generation =
            Generation { options, prompt: &prompt, limit, guide, tokenizer, timings, on_event };
        let outcome = generation.run(&mut model, prepared.pixels.view(), &mut writer)?;
        drop(model);
        let timings = generation.timings;
        let written = writer.finish(outcome.finish, on_event);
        let trace = (options.tracing == Tracing::Tensors).then(|| Trace {
            prompt: tagged.text,
            pixels: pixels::stack(&prepared.tiles, manifest.vision.image_size),
            pixel_values: prepared.pixels,
            input_ids: prompt.ids,
            image_embeds: outcome.embeddings,
            first_logits: outcome.first_logits,
        });
        Ok(Reply {
            usage: Usage {
                prompt_tokens,
                image_tokens: prepared.tokens_per_frame.iter().sum(),
                cached_tokens: 0,
                completion_tokens: written.ids.len(),
            },
            answer: written.answer,
            thought: written.thought,
            text: written.text,
            finish: outcome.finish,
            truncated: written.truncated,
            completion_ids: written.ids,
            logprobs: written.logprobs,
            frames: prepared.frames,
            timings,
            warnings: [prepared.warnings, tagged.warnings, written.warnings].concat(),
            trace,
        })
    }

    fn guide(&self, request: &Request, options: &AskOptions, prompt: &[i64]) -> Result<Guide> {
        let manifest = self.package.manifest();
        let common = Common {
            prompt: &manifest.prompt,
            vocabulary: manifest.tokens.vocabulary,
            tokenizer: &self.tokenizer,
            grammars: &self.grammars,
        };
        Guide::new(common, &request.instruction, options, prompt)
    }

    fn writer(&self, guide: &Guide, options: &AskOptions) -> Writer<'_> {
        let tagging = if guide.is_untagged() { Tagging::Untagged } else { Tagging::Tagged };
        Writer::new(&self.package.manifest().prompt, &self.tokenizer, options, tagging)
    }

    /// How many tokens the reply to a prompt of this length may have.
    fn reply_limit(&self, prompt_tokens: usize, options: &AskOptions) -> Result<usize> {
        let wanted = options.max_new_tokens.unwrap_or(self.package.manifest().generation.max_new_tokens);
        if wanted == 0 {
            return Err(Error::request("max-new-tokens", "at least 1", 0));
        }
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

impl Model {
    fn open(runtime: &Runtime, package: &Package, options: GraphOptions) -> Result<Self> {
        Ok(Self {
            vision: VisionTower::open(runtime, package, options)?,
            decoder: Decoder::open(runtime, package, options)?,
        })
    }
}

/// Refuses what this engine cannot do before anything is read.
fn check(options: &AskOptions) -> Result<()> {
    options.check()?;
    match (options.answers, options.speculation) {
        (Some(answers @ 2..), _) => Err(Error::request("answers", "one: more are not made yet", answers)),
        (_, Some(length)) => Err(Error::request("speculation", "none: it is not done yet", length)),
        _ => Ok(()),
    }
}

fn graph_options(options: &EngineOptions) -> Result<GraphOptions> {
    if options.threads == Some(0) {
        return Err(Error::request("threads", "at least 1", 0));
    }
    Ok(GraphOptions { provider: Provider::named(&options.provider)?, threads: options.threads })
}

/// Most tokens in a conversation.
fn context(package: &Package, option: Option<usize>) -> Result<usize> {
    let limit = package.manifest().max_positions;
    match option {
        Some(context) if context == 0 || context > limit => {
            Err(Error::request("context", format!("1 to {limit} tokens, the model's limit"), context))
        }
        Some(context) => Ok(context),
        None => Ok(limit),
    }
}
