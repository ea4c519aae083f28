//! A loaded model.

use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Dispatch;

use super::arguments::{HandleOut, StructOut, growing, held, options, path, taken, zeroed};
use super::aside::aside;
use super::event::LoadListener;
use super::log::{dispatch, logged};
use super::options::fleming_engine_options;
use super::status::{CallResult, c_text, fleming_status, guard, guard_free};
use crate::{Cancel, Engine, Instruction, Package, Watch, onnxruntime};

/// A loaded model. It may be used from any number of threads at once. Freed while calls are under way or pending answers are
/// there, it is unloaded when the last of them is done.
pub struct fleming_engine {
    pub(super) engine: Engine,
    pub(super) log: Option<Dispatch>,
    /// Of the package: name, digest, precision, target; of ONNX Runtime: file and build; the provider; the instruction.
    words: [CString; 8],
}

/// Memory in bytes that an engine takes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_memory {
    /// sizeof(fleming_memory)
    pub struct_size: usize,
    /// The weights of both graphs.
    pub weights: u64,
    /// Keys and values of all slots.
    pub slots: u64,
    /// The most that kept image embeddings take.
    pub image_cache: u64,
    /// The most that runs work with while they last, and ONNX Runtime itself.
    pub work: u64,
    /// All of it.
    pub total: u64,
}

/// What was loaded, and what it is doing. The texts stand until the engine is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_engine_facts {
    /// sizeof(fleming_engine_facts)
    pub struct_size: usize,
    /// Name of the package.
    pub package: *const c_char,
    /// SHA-256 of the package, which names what answered: to be kept with the answers.
    pub digest: *const c_char,
    /// Precision of the weights: "f32", "int8", "int4".
    pub precision: *const c_char,
    /// What the package was exported for: "cpu".
    pub target: *const c_char,
    /// File name of the ONNX Runtime library, and what that says about its build.
    pub onnxruntime: *const c_char,
    pub onnxruntime_build: *const c_char,
    /// Side of the square that every frame or tile is brought to, in pixels.
    pub tile_size: usize,
    /// Bytes of memory that the engine takes.
    pub memory: u64,
    /// The execution provider and its device, as the options named it: "cpu", "cuda:1".
    pub provider: *const c_char,
    /// As the engine was set up: most tokens in a conversation, answers at a time, answers that may wait, prompt tokens that
    /// run together, and threads inside an operator; 0 threads: ONNX Runtime's choice.
    pub context: usize,
    pub slots: usize,
    pub queue: usize,
    pub chunk: usize,
    pub threads: usize,
    /// Tokens of a tile, and the most tiles that fit into the context beside one token of text.
    pub tokens_per_tile: usize,
    pub most_tiles: usize,
    /// Now: answers whose studies are being read or wait for that, answers that are ready and wait for a slot, answers that have
    /// one, and the tokens that these hold.
    pub preparing: usize,
    pub waiting: usize,
    pub active: usize,
    pub held_tokens: usize,
    /// Since the engine was opened: steps of the decoder, each for all answers under way, and those that failed; prompt tokens
    /// that ran; pictures whose embeddings were in memory, and those that had to be encoded; tokens guessed ahead, and right ones.
    pub steps: u64,
    pub failed_steps: u64,
    pub prefilled_tokens: u64,
    pub image_hits: u64,
    pub image_misses: u64,
    pub drafted_tokens: u64,
    pub accepted_tokens: u64,
    /// Bytes of image embeddings that are kept now.
    pub image_bytes: u64,
    /// 1 as long as it can answer; 0 after it broke down or was shut down.
    pub alive: i32,
    /// 0
    pub reserved: i32,
    /// The package's text that stands before a question, with a newline between them, where fleming_ask_options.instruction is
    /// NULL.
    pub instruction: *const c_char,
}

growing!(fleming_memory: 48);

// The last field first was `memory`.
growing!(fleming_engine_facts: 72 240 248);

/// Tells how much memory an engine on the package in this folder will take with these options. Nothing is loaded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_package_memory(
    package: *const c_char,
    options: *const fleming_engine_options,
    memory: *mut fleming_memory,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (folder, setup) = (path("package", package)?, self::options(options)?.read()?);
        let facts = StructOut::at(memory)?;
        let needs = crate::MemoryNeeds::of(&Package::open(&folder)?, &setup)?;
        facts.write(&fleming_memory {
            weights: needs.weights,
            slots: needs.slots,
            image_cache: needs.vision_cache,
            work: needs.work,
            total: needs.total(),
            ..zeroed()
        });
        Ok(fleming_status::Ok)
    })
}

/// Loads the package in this folder; options may be NULL. All memory for conversations is taken here. What the machine has no
/// room for is refused. It takes as long as reading the package; on_load of the options hears of it and may end it, which then
/// takes up to a second, or to the end of a plan that TensorRT is building.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_open(
    package: *const c_char,
    options: *const fleming_engine_options,
    engine: *mut *mut fleming_engine,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (folder, setup) = (path("package", package)?, self::options(options)?);
        let out = HandleOut::at("engine", engine)?;
        let log = dispatch(setup.log, setup.log_user_data, setup.log_level)?;
        let options = setup.read()?;
        let hears = LoadListener { callback: setup.on_load, user_data: setup.load_user_data };
        let engine =
            opened(hears, |watch| logged(log.as_ref(), || Engine::open_watched(&folder, &options, watch)))?;
        out.give(Arc::new(fleming_engine::new(engine, log)));
        Ok(fleming_status::Ok)
    })
}

/// Opens an engine, and tells the host how far it is.
fn opened(
    hears: LoadListener,
    open: impl FnOnce(&Watch) -> crate::Result<Engine> + Send,
) -> CallResult<Engine> {
    if hears.callback.is_none() {
        return Ok(open(&Watch::default())?);
    }
    let (cancel, heard) = (Cancel::default(), Arc::new([const { AtomicU64::new(0) }; 2]));
    let numbers = Arc::clone(&heard);
    let tell = || {
        let [done, total] = heard.each_ref().map(|number| number.load(Ordering::Relaxed));
        if !hears.tell(done, total) {
            cancel.cancel();
        }
    };
    let watch = Watch::default().switch(&cancel).listener(move |done, total| {
        numbers[0].store(done as u64, Ordering::Relaxed);
        numbers[1].store(total as u64, Ordering::Relaxed);
    });
    let engine = aside(|| open(&watch), tell)??;
    // Its end is told too, and may still end it.
    tell();
    watch.check().map_err(crate::Error::of_loading)?;
    Ok(engine)
}

/// Tells what was loaded, and what the engine is doing at this moment. It never waits for the engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_read(
    engine: *const fleming_engine,
    facts: *mut fleming_engine_facts,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (model, facts) = (held("engine", engine)?, StructOut::at(facts)?);
        facts.write(&model.facts());
        Ok(fleming_status::Ok)
    })
}

/// Ends every engine of this process: cancels all answers, unloads the models, and waits for the end of their threads; for a
/// plug-in's last call, or before exit. Who waits for an answer gets the text so far. Objects are to be freed as ever; whatever else
/// asks these engines for work is FLEMING_STATUS_RUNTIME, and their alive is 0. New engines may be opened afterwards. ONNX Runtime stays loaded, as it does
/// until the process ends. It must not be called by a function that hears the log, nor beside fleming_engine_open.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_shutdown() {
    guard_free(Engine::shut_down_all);
}

/// Frees an engine; NULL is nothing to free. The last of the engine and its pending answers to be freed waits for the end of its
/// threads: for one step, or one graph's run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_free(engine: *mut fleming_engine) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(engine) }));
}

impl fleming_engine {
    fn new(engine: Engine, log: Option<Dispatch>) -> Self {
        let (manifest, options) = (engine.package().manifest(), engine.options());
        let (library, build) = match onnxruntime() {
            Some(facts) => (facts.library, facts.build),
            None => Default::default(),
        };
        let words = [
            &manifest.name,
            engine.package().digest(),
            &manifest.precision,
            &manifest.target,
            &library,
            &build,
            &options.provider,
            manifest.instruction(&Instruction::Reasoning).unwrap_or_default(),
        ];
        Self { words: words.map(c_text), engine, log }
    }

    fn facts(&self) -> fleming_engine_facts {
        let [package, digest, precision, target, onnxruntime, onnxruntime_build, provider, instruction] =
            self.words.each_ref().map(|word| word.as_ptr());
        let (options, counts, context) = (self.engine.options(), self.engine.counts(), self.engine.context());
        let tokens_per_tile = self.engine.package().manifest().vision.tokens_per_tile;
        fleming_engine_facts {
            package,
            digest,
            precision,
            target,
            onnxruntime,
            onnxruntime_build,
            tile_size: self.engine.package().manifest().tile_size() as usize,
            memory: self.engine.memory().total(),
            provider,
            context,
            slots: options.slots,
            queue: options.queue,
            chunk: options.chunk,
            threads: options.threads.unwrap_or_default(),
            tokens_per_tile,
            most_tiles: context.saturating_sub(1) / tokens_per_tile.max(1),
            preparing: counts.preparing,
            waiting: counts.waiting,
            active: counts.active,
            held_tokens: counts.held_tokens,
            steps: counts.steps,
            failed_steps: counts.failed_steps,
            prefilled_tokens: counts.prefilled_tokens,
            image_hits: counts.image_hits,
            image_misses: counts.image_misses,
            drafted_tokens: counts.drafted_tokens,
            accepted_tokens: counts.accepted_tokens,
            image_bytes: counts.image_bytes as u64,
            alive: self.engine.is_alive().into(),
            instruction,
            ..zeroed()
        }
    }
}
