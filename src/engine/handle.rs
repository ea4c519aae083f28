//! What the clones of an engine and its pending answers share, and the threads behind it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::build::{GraphOpener, PlanFolder};
use super::counts::Counts;
use super::encoder::Encoder;
use super::memory::MemoryNeeds;
use super::options::EngineOptions;
use super::preparing;
use super::queue::{Limits, Queue};
use super::sequence::Sizes;
use super::shared::Shared;
use super::slots::Slots;
use super::threads;
use super::worker::Worker;
use crate::decoder::Decoder;
use crate::error::Result;
use crate::onnx::{DeviceLock, Runtime};
use crate::package::Package;
use crate::tokenizer::Tokenizer;
use crate::vision::VisionTower;
use crate::watch::{Cancel, Watch};

/// What the clones of an engine and its pending answers share. The last one to go ends the threads.
pub(super) struct Handle {
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Arc<Queue>,
    pub(super) memory: MemoryNeeds,
    pub(super) options: EngineOptions,
    /// Ends every answer.
    pub(super) stopped: Cancel,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a package is loaded with.
pub(super) struct Loading<'a> {
    pub(super) runtime: Runtime,
    pub(super) memory: MemoryNeeds,
    pub(super) watch: &'a Watch,
}

impl Handle {
    /// Loads a package. Its files are compared with their recorded digests while the graphs load.
    pub(super) fn open(package: Package, options: &EngineOptions, loading: &Loading) -> Result<Self> {
        let (intact, tokenizer, model) = thread::scope(|scope| {
            let intact = threads::start_in(scope, "fleming-verify", || package.verify_watched(loading.watch));
            let tokenizer = Tokenizer::open(&package);
            let model = Model::open(loading, &package, options);
            (intact.and_then(threads::joined), tokenizer, model)
        });
        loading.watch.check()?;
        // An altered file is reported first: it may have made the others fail.
        intact?;
        package.unchanged()?;
        let shared = Arc::new(Shared::new(package, tokenizer?, options)?);
        let queue = Arc::new(Queue::new(Limits {
            under_way: options.slots.saturating_add(options.queue),
            ready: options.slots.max(preparing::at_a_time()),
        }));
        let mut threads = preparing::start(&shared, &queue)?;
        threads.push(start(model?, &shared, &queue, options)?);
        let (options, memory, threads) = (options.clone(), loading.memory, Mutex::new(threads));
        Ok(Self { shared, queue, memory, options, stopped: Cancel::default(), threads })
    }

    /// Ends every answer, and the threads.
    pub(super) fn shut_down(&self) {
        // The threads stayed with the parent.
        if self.queue.refuse_child().is_err() {
            return;
        }
        self.stopped.cancel();
        self.queue.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A loop that broke down has sent an error to every waiting caller.
            let _ = thread.join();
        }
        self.queue.end_all();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shut_down();
    }
}

/// The two graphs.
struct Model {
    vision: VisionTower,
    decoder: Decoder,
}

impl Model {
    fn open(loading: &Loading, package: &Package, options: &EngineOptions) -> Result<Self> {
        let _lock = DeviceLock::loading();
        let opener = GraphOpener::new(&loading.runtime, package, options, PlanFolder::Cache)?;
        let opener = opener.watched(loading.watch);
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
        let vision = &shared.package.manifest().vision;
        let sizes = Sizes { tokens_per_tile: vision.tokens_per_tile, hidden: vision.hidden_size, chunk };
        let worker = Worker {
            shared: &shared,
            queue: &queue,
            encoder: Encoder::new(model.vision, shared.geometry, vision_cache),
            slots: Slots::new(model.decoder, slots),
            sizes,
            counts: Counts::default(),
        };
        worker.run();
    };
    threads::start("fleming-engine", work)
}
