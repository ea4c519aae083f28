//! The one way from a question to a reply, for any number of requests at a time.
//!
//! The caller's thread reads and prepares the studies and writes the prompt; the loop in [`worker`] encodes, prefills and
//! steps; the caller's thread turns tokens into text.

mod answering;
mod build;
mod embed;
mod images;
mod job;
mod logging;
mod memory;
mod options;
mod prepare;
mod queue;
mod reply;
mod session;
mod slots;
mod speculate;
mod stream;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::constraint::Grammars;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::guide::{Common, Guide};
use crate::onnx::{DeviceLock, Runtime};
use crate::package::Package;
use crate::pixels::PixelGeometry;
use crate::request::{AskOptions, Cancel, ConversationId, Event, Reply, Request};
use crate::tokenizer::Tokenizer;
use crate::vision::VisionTower;
use build::GraphOpener;
use images::ImageCache;
use job::{Command, Job};
use logging::logged_here;
use prepare::Question;
use queue::Queue;
use reply::Tagging;
use session::Session;
use stream::Sizes;
use worker::{Slot, Worker};

pub use answering::Answering;
pub use build::{Plan, PlanFolder, PlanState, graph_providers, plan_states, warm};
pub use embed::ImageEmbeddings;
pub use memory::MemoryNeeds;
pub use options::EngineOptions;

/// A loaded model that answers questions. Cheap to clone and usable from any thread; the model is unloaded when the last
/// clone and the last [`Answering`] are gone.
///
/// ```no_run
/// use fleming::{AskOptions, Engine, EngineOptions, Request, StudyInput};
///
/// let engine = Engine::open("models/demo".as_ref(), &EngineOptions::default())?;
/// let study = StudyInput::image("chest.png");
/// let request = Request::about(vec![study], "Is there a pleural effusion?");
/// let reply = engine.ask(&request, &AskOptions::default(), &mut |_event| {})?;
/// println!("{}", reply.answer);
/// # Ok::<(), fleming::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

/// What the clones of an engine share.
struct Handle {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    memory: MemoryNeeds,
    worker: Option<JoinHandle<()>>,
}

/// What callers and the loop both read.
struct Shared {
    package: Package,
    tokenizer: Tokenizer,
    grammars: Grammars,
    context: usize,
    geometry: PixelGeometry,
    /// Of the vision graph and its weights.
    vision_digest: String,
}

/// The two graphs.
struct Model {
    vision: VisionTower,
    decoder: Decoder,
}

/// What an engine has done and is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Requests that wait for a slot.
    pub waiting: usize,
    /// Requests that have a slot.
    pub active: usize,
    /// Turns and releases of slots so far.
    pub(crate) turns: u64,
    /// Steps of the decoder, each for all answers under way.
    pub steps: u64,
    /// Steps that failed, after which each answer's part was run by itself.
    pub failed_steps: u64,
    /// Prompt tokens that ran through the decoder.
    pub prefilled_tokens: u64,
    /// Pictures whose embeddings were in memory.
    pub image_hits: u64,
    /// Pictures that had to be encoded.
    pub image_misses: u64,
    /// Bytes of image embeddings that are kept.
    pub image_bytes: usize,
    /// Tokens that were guessed ahead.
    pub drafted_tokens: u64,
    /// Those of them that were right.
    pub accepted_tokens: u64,
    /// Answers' tokens that were run a second time, because a guess left the next one in doubt.
    pub repeated_tokens: u64,
    /// Time of the rounds of the loop that were one step and nothing else.
    pub step_time: Duration,
    /// How much of it ONNX Runtime took.
    pub step_run_time: Duration,
}

impl Engine {
    /// Loads a package. Its files are compared with their recorded digests while the graphs load. All memory for
    /// conversations is taken here and never again.
    ///
    /// # Errors
    /// [`Error::Package`] if the folder holds no intact package, [`Error::Runtime`] if ONNX Runtime, the provider or
    /// a graph does not load, [`Error::Request`] for options that cannot be met or that the machine has no memory for.
    pub fn open(folder: &Path, options: &EngineOptions) -> Result<Self> {
        options.check()?;
        let package = Package::open(folder)?;
        build::check(&package, options)?;
        let memory = MemoryNeeds::of(&package, options)?;
        tracing::info!(
            weights = memory.weights,
            slots = memory.slots,
            vision_cache = memory.vision_cache,
            work = memory.work,
            "bytes of memory"
        );
        let runtime = Runtime::load(options.library.as_deref())?;
        memory.check(options.graph()?.device.free_memory(&runtime)?)?;
        let (intact, tokenizer, model) = thread::scope(|scope| {
            let intact = scope.spawn(|| package.verify());
            let tokenizer = Tokenizer::open(&package);
            let model = Model::open(&runtime, &package, options);
            (intact.join(), tokenizer, model)
        });
        // An altered file is the cause, whatever else failed to load because of it.
        intact.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let shared = Arc::new(Shared::new(package, tokenizer?, options)?);
        let queue = Arc::new(Queue::new(options.queue));
        let worker = start(model?, &shared, &queue, options)?;
        Ok(Self(Arc::new(Handle { shared, queue, memory, worker: Some(worker) })))
    }

    /// The package that was loaded.
    pub fn package(&self) -> &Package {
        &self.shared().package
    }

    /// The memory that this engine takes.
    pub fn memory(&self) -> MemoryNeeds {
        self.0.memory
    }

    /// Answers a question. `on_event` hears of progress and of the text as it is made.
    ///
    /// # Errors
    /// Those of [`submit`](Self::submit) and [`Answering::wait`]. The engine stays usable.
    pub fn ask(
        &self,
        request: &Request,
        options: &AskOptions,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Reply> {
        self.submit(request, options)?.wait(on_event)
    }

    /// Reads the studies and hands the question in; the answer is made while the caller does something else.
    ///
    /// # Errors
    /// [`Error::Input`] for studies that cannot be read, [`Error::Request`] for options that cannot be met and for a
    /// prompt that does not fit, [`Error::Busy`] if too many requests are waiting.
    pub fn submit(&self, request: &Request, options: &AskOptions) -> Result<Answering> {
        if let Some(answers @ 2..) = options.answers {
            return Err(Error::request("answers", "one where one is waited for", answers)
                .hint("`submit_all` gives as many as are asked for"));
        }
        let mut all = self.submit_all(request, options)?;
        all.pop().ok_or_else(|| Error::request("answers", "at least 1", 0))
    }

    /// Hands in a question for as many answers as `options.answers` says, which share one prefill. The n-th, from 0, is
    /// sampled with the seed plus n.
    ///
    /// # Errors
    /// Those of [`submit`](Self::submit).
    pub fn submit_all(&self, request: &Request, options: &AskOptions) -> Result<Vec<Answering>> {
        options.check()?;
        let shared = self.shared();
        let answers = options.answers.unwrap_or(1);
        self.0.queue.check_room(answers)?;
        let question = Question::new(shared, request, options)?;
        let mut jobs = Vec::new();
        let mut all = Vec::new();
        for number in 0..answers as u64 {
            let mut options = options.clone();
            options.sampling.seed = options.sampling.seed.wrapping_add(number);
            let guide = shared.guide(request, &options, &question.prompt.ids)?;
            let tagging = if guide.is_untagged() { Tagging::Untagged } else { Tagging::Tagged };
            let (messages, receiver) = mpsc::channel();
            let abandoned = Cancel::default();
            let asked = question.asked(&options, tagging);
            jobs.push(Job {
                id: asked.conversation,
                question: Arc::clone(&question),
                guide,
                submitted: question.submitted,
                abandoned: abandoned.clone(),
                messages,
                options,
            });
            all.push(Answering::new(self, asked, receiver, abandoned));
        }
        self.0.queue.push(jobs)?;
        Ok(all)
    }

    /// Writes what a finished conversation left in memory to a file, so that it can be gone on with after a restart.
    ///
    /// # Errors
    /// [`Error::Request`] if the conversation is under way or its place was taken, [`Error::Input`] if the file cannot
    /// be written.
    pub fn save_session(&self, conversation: ConversationId, file: &Path) -> Result<()> {
        let session = self.command(|reply| Command::Save(conversation, reply))??;
        session.write(file, self.package().digest())
    }

    /// Reads a saved conversation into a free slot: a request that begins like it is not prefilled again.
    ///
    /// # Errors
    /// [`Error::Input`] if the file is not whole or of another package, [`Error::Request`] if it is longer than the
    /// context, [`Error::Busy`] if no slot is free.
    pub fn load_session(&self, file: &Path) -> Result<ConversationId> {
        let session = Session::read(file, self.package().digest())?;
        self.command(|reply| Command::Load(session, reply))?
    }

    /// What was done so far and what is under way.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the loop broke down.
    pub fn counts(&self) -> Result<Counts> {
        self.command(Command::Count)
    }

    fn command<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Result<T> {
        let (reply, answer) = mpsc::channel();
        self.0.queue.command(command(reply))?;
        answer.recv().map_err(|_| Error::runtime("engine", "a running loop", "one that broke down"))
    }

    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(worker) = self.worker.take() {
            // A loop that broke down has told everyone who waited.
            let _ = worker.join();
        }
    }
}

impl Shared {
    fn new(package: Package, tokenizer: Tokenizer, options: &EngineOptions) -> Result<Self> {
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
        let context = options.context(manifest)?;
        Ok(Self { tokenizer, grammars: Grammars::default(), context, geometry, vision_digest, package })
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
    fn open(runtime: &Runtime, package: &Package, options: &EngineOptions) -> Result<Self> {
        let _lock = DeviceLock::loading();
        let opener = GraphOpener::new(runtime, package, options, PlanFolder::Cache)?;
        Ok(Self { vision: opener.vision()?.graph, decoder: opener.decoder()?.graph })
    }
}

/// Starts the loop.
fn start(
    model: Model,
    shared: &Arc<Shared>,
    queue: &Arc<Queue>,
    options: &EngineOptions,
) -> Result<JoinHandle<()>> {
    let (shared, queue) = (Arc::clone(shared), Arc::clone(queue));
    let (slots, chunk, vision_cache) = (options.slots, options.chunk, options.vision_cache);
    let work = move || {
        let manifest = shared.package.manifest();
        let sizes = Sizes {
            tokens_per_tile: manifest.vision.tokens_per_tile,
            hidden: manifest.vision.hidden_size,
            chunk,
        };
        let worker = Worker {
            shared: &shared,
            queue: &queue,
            model,
            images: ImageCache::new(vision_cache),
            slots: (0..slots).map(|_| Slot::default()).collect(),
            sizes,
            counts: Counts::default(),
        };
        worker.run();
    };
    thread::Builder::new()
        .name("fleming-engine".into())
        .spawn(logged_here(work))
        .map_err(|error| Error::runtime("engine", "a thread", error))
}

#[cfg(test)]
mod tests;
