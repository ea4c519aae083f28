//! A loaded model.

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use super::build;
use super::caller::{Caller, Messages, Wakers};
use super::counts::Counts;
use super::handle::{Handle, Loading};
use super::memory::MemoryNeeds;
use super::options::EngineOptions;
use super::pending::{Group, Pending, Switches};
use super::queue::{Command, Submission};
use super::session::Session;
use super::threads;
use crate::error::{Error, Result};
use crate::input::Budget;
use crate::onnx::Runtime;
use crate::package::Package;
use crate::request::{AskOptions, ConversationId, Event, Reply, Request};
use crate::watch::{Cancel, Watch};

/// A loaded model that answers questions. Cheap to clone and usable from any thread; the model is unloaded when the last
/// clone and the last [`Pending`] are gone.
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
pub struct Engine(pub(super) Arc<Handle>);

impl Engine {
    /// Loads a package. Its files are compared with their recorded digests while the graphs load. All memory for
    /// conversations is taken here and never again.
    ///
    /// # Errors
    /// [`Error::Package`] if the folder holds no intact package, [`Error::Runtime`] if ONNX Runtime, the provider or
    /// a graph does not load, [`Error::Request`] for options that cannot be met or that the machine has no memory for.
    pub fn open(folder: &Path, options: &EngineOptions) -> Result<Self> {
        Self::open_watched(folder, options, &Watch::default())
    }

    /// The same, for a caller who may end it early and hears how far it is: its listener is told how many bytes of the
    /// package were compared with their digests. Meanwhile the graphs load, which may take longer. A plan that is being built
    /// is built to its end.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and [`Error::Cancelled`] or [`Error::TimedOut`] if the watch ended it.
    pub fn open_watched(folder: &Path, options: &EngineOptions, watch: &Watch) -> Result<Self> {
        let opened = threads::with_room("fleming-open", || Self::open_here(folder, options, watch));
        opened.map_err(Error::of_loading)
    }

    fn open_here(folder: &Path, options: &EngineOptions, watch: &Watch) -> Result<Self> {
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
        memory.check(options.graph(package.manifest())?.device.free_memory(&runtime)?)?;
        let handle = Arc::new(Handle::open(package, options, &Loading { runtime, memory, watch })?);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| other.strong_count() > 0);
        open.push(Arc::downgrade(&handle));
        Ok(Self(handle))
    }

    /// Shuts down every engine of this process that is open, as [`shut_down`](Self::shut_down) does. New ones may be opened
    /// afterwards.
    pub fn shut_down_all() {
        let open = std::mem::take(&mut *OPEN.lock().unwrap_or_else(PoisonError::into_inner));
        open.iter().filter_map(Weak::upgrade).for_each(|handle| handle.shut_down());
    }

    /// Cancels all answers under way, unloads the model and waits for the end of its threads. Who waits for an answer gets
    /// the text so far. Whatever is asked of this engine or its clones afterwards is [`Error::Runtime`]. Not to be called by
    /// what an engine calls from its threads. In a child of the process that opened the engine it does nothing.
    pub fn shut_down(&self) {
        self.0.shut_down();
    }

    /// How it was set up.
    pub fn options(&self) -> &EngineOptions {
        &self.0.options
    }

    /// The package that was loaded.
    pub fn package(&self) -> &Package {
        &self.0.shared.package
    }

    /// The memory that this engine takes.
    pub fn memory(&self) -> MemoryNeeds {
        self.0.memory
    }

    /// How much of a study is read at most.
    pub fn budget(&self) -> Budget {
        self.0.shared.budget
    }

    /// Refuses a child of the process that opened the engine, and everybody after the engine was shut down.
    ///
    /// # Errors
    /// [`Error::Runtime`] for them.
    pub(crate) fn refuse_unserved(&self) -> Result<()> {
        self.0.queue.refuse_unserved()
    }

    /// Most tokens in a conversation, prompt and reply together.
    pub fn context(&self) -> usize {
        self.0.shared.context
    }

    /// Answers a question. `on_event` is called with progress and with the text as it is generated.
    ///
    /// # Errors
    /// Those of [`submit`](Self::submit) and [`Pending::wait`]. The engine stays usable.
    pub fn ask(
        &self,
        request: &Request,
        options: &AskOptions,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Reply> {
        self.submit(request, options)?.wait(on_event)
    }

    /// Hands a question in and returns at once. Other threads read the studies and generate the answer. Studies that cannot be
    /// read are an error of [`Pending::wait`].
    ///
    /// # Errors
    /// [`Error::Request`] for options that cannot be met, [`Error::Busy`] if too many answers are under way,
    /// [`Error::Runtime`] in a child of the process that opened the engine.
    pub fn submit(&self, request: &Request, options: &AskOptions) -> Result<Pending> {
        if let Some(answers @ 2..) = options.answers {
            return Err(Error::request("answers", "one where one is waited for", answers)
                .hint("`submit_all` gives as many as are asked for"));
        }
        let mut all = self.submit_all(request, options)?;
        all.pop().ok_or_else(|| Error::request("answers", "at least 1", 0).hint("ask for one"))
    }

    /// Hands in a question for as many answers as `options.answers` says, which share one prefill. The n-th, from 0, is
    /// sampled with the seed plus n.
    ///
    /// # Errors
    /// Those of [`submit`](Self::submit); [`Error::Request`] too if the engine can never hold that many.
    pub fn submit_all(&self, request: &Request, options: &AskOptions) -> Result<Vec<Pending>> {
        let submitted = Instant::now();
        options.check()?;
        let admissions = self.0.queue.admissions(options.answers.unwrap_or(1))?;
        let options = Arc::new(options.clone());
        let everybody_left = Cancel::default();
        let stopped = &self.0.stopped;
        let group = Arc::new(Group(everybody_left.clone()));
        let shared_watch = options.watch(submitted).switch(stopped);
        let mut preparation = shared_watch.clone().switch(&everybody_left);
        let alone = admissions.len() == 1;
        let (mut callers, mut all) = (Vec::new(), Vec::new());
        for admission in admissions {
            let (sender, receiver) = mpsc::channel();
            let wakers = Arc::<Wakers>::default();
            let (cancel, abandoned) = (Cancel::default(), Cancel::default());
            if alone {
                preparation = preparation.switch(&cancel);
            }
            let conversation = ConversationId::next();
            callers.push(Caller {
                conversation,
                submitted,
                watch: shared_watch.clone().switch(&cancel).switch(&abandoned),
                abandoned: abandoned.clone(),
                messages: Messages::new(sender, &wakers),
                admission,
            });
            let switches = Switches { cancel, abandoned, _group: Arc::clone(&group) };
            all.push(Pending::new(&self.0, conversation, &options, (receiver, wakers), switches));
        }
        let request = request.clone();
        self.0.queue.submit(Submission { request, options, submitted, watch: preparation, callers })?;
        Ok(all)
    }

    /// Writes what a finished conversation left in memory to a file, so that it can continue after a restart.
    ///
    /// # Errors
    /// [`Error::Request`] if the conversation is under way or its place was taken, [`Error::Input`] if the file cannot
    /// be written.
    pub fn save_session(&self, conversation: ConversationId, file: &Path) -> Result<()> {
        let session = self.command(|reply| Command::Save(conversation, reply))??;
        session.write(file, self.package().digest())
    }

    /// The same as bytes, which are as confidential as the study.
    ///
    /// # Errors
    /// [`Error::Request`] if the conversation is under way or its place was taken.
    pub fn session_bytes(&self, conversation: ConversationId) -> Result<Vec<u8>> {
        let session = self.command(|reply| Command::Save(conversation, reply))??;
        Ok(session.to_bytes(self.package().digest()))
    }

    /// Reads a saved conversation into a free slot: a request that begins like it is not prefilled again.
    ///
    /// # Errors
    /// [`Error::Input`] if the file is not whole or of another package, [`Error::Request`] if it is longer than the
    /// context, [`Error::Busy`] if no slot is free.
    pub fn load_session(&self, file: &Path) -> Result<ConversationId> {
        let session = Session::read(file, self.package().digest(), self.most_of_session())?;
        self.command(|reply| Command::Load(session, reply))?
    }

    /// The same from bytes.
    ///
    /// # Errors
    /// The same, about the bytes.
    pub fn load_session_bytes(&self, bytes: &[u8]) -> Result<ConversationId> {
        let session = Session::of_bytes(bytes, self.package().digest(), self.most_of_session())?;
        self.command(|reply| Command::Load(session, reply))?
    }

    /// Most tokens of a session, and most bytes of its values.
    fn most_of_session(&self) -> [u64; 2] {
        [self.context() as u64, self.memory().slots]
    }

    /// What was done and what is under way, as of the loop's last round. It never waits for the loop.
    pub fn counts(&self) -> Counts {
        let waiting = self.0.queue.waiting();
        Counts { preparing: waiting.preparing, waiting: waiting.ready, ..self.0.shared.counts.snapshot() }
    }

    /// Whether it can answer at all. A loop that broke down never does again; [`submit`](Self::submit) then refuses everything.
    pub fn is_alive(&self) -> bool {
        self.0.queue.refuse_child().is_ok() && self.0.queue.is_served()
    }

    /// Has the loop do something between two steps, and waits for it.
    pub(super) fn command<T>(&self, command: impl FnOnce(Sender<T>) -> Command) -> Result<T> {
        let (reply, answer) = mpsc::channel();
        self.0.queue.command(command(reply))?;
        answer.recv().map_err(|_| {
            Error::runtime("engine", "a running loop", "one that broke down").hint("open the engine again")
        })
    }
}

/// The engines of this process.
static OPEN: Mutex<Vec<Weak<Handle>>> = Mutex::new(Vec::new());
