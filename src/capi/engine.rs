//! A loaded model.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use tracing::Dispatch;

use super::arguments::{HandleOut, StructOut, growing, held, options, path, taken, zeroed};
use super::embeddings::fleming_embeddings;
use super::log::{dispatch, logged};
use super::options::{fleming_ask_options, fleming_engine_options};
use super::pending::fleming_pending;
use super::reply::fleming_reply;
use super::request::fleming_request;
use super::status::{c_text, fleming_status, guard, guard_free};
use crate::{Cancel, Engine, Package, onnxruntime};

/// A loaded model. It may be used from any number of threads at once. Freed while calls are under way or pending answers are
/// there, it is unloaded when the last of them is done.
pub struct fleming_engine {
    pub(super) engine: Engine,
    pub(super) log: Option<Dispatch>,
    /// Of the package: name, digest, precision, target; of ONNX Runtime: file and build.
    words: [CString; 6],
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

/// What was loaded. The texts stand until the engine is freed.
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
}

growing!(fleming_memory, fleming_engine_facts);

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
/// room for is refused.
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
        let engine = logged(log.as_ref(), || Engine::open(&folder, &options))?;
        out.give(Arc::new(fleming_engine::new(engine, log)));
        Ok(fleming_status::Ok)
    })
}

/// Tells what was loaded.
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

/// Answers a request and returns when the answer is complete. The callback of the options hears of it meanwhile, in this
/// thread; an answer that it cancels is FLEMING_STATUS_OK, as far as it got. Options may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_ask(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    reply: *mut *mut fleming_reply,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = HandleOut::at("reply", reply)?;
        let cancel = Cancel::default();
        let (request, options) = (request.with(&setup, &model.engine)?, setup.read(&cancel)?);
        let listener = setup.listener();
        let tell = &mut |event: crate::Event<'_>| listener.tell(event, &cancel);
        let reply = logged(model.log.as_ref(), || model.engine.ask(&request, &options, tell))?;
        out.give(Arc::new(fleming_reply::new(reply)));
        Ok(fleming_status::Ok)
    })
}

/// Hands a request in and returns at once. The studies are read and the answer is made meanwhile: fleming_pending_wait tells of
/// studies that cannot be read. The callback of the options is called from fleming_pending_wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_submit(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    pending: *mut *mut fleming_pending,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = HandleOut::at("pending", pending)?;
        let (request, options) = (request.with(&setup, &model.engine)?, setup.read(&Cancel::default())?);
        let submitted = logged(model.log.as_ref(), || model.engine.submit(&request, &options))?;
        out.give(Arc::new(fleming_pending::new(submitted, setup.listener(), model.log.clone())));
        Ok(fleming_status::Ok)
    })
}

/// Makes the image embeddings of a request's studies; the text of the request is ignored. Of the options, preprocessing,
/// max_tiles and timeout_ms matter; they may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_embed(
    engine: *const fleming_engine,
    request: *const fleming_request,
    options: *const fleming_ask_options,
    embeddings: *mut *mut fleming_embeddings,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let model = held("engine", engine)?;
        let (request, setup) = (held("request", request)?, self::options(options)?);
        let out = HandleOut::at("embeddings", embeddings)?;
        let (request, options) = (request.with(&setup, &model.engine)?, setup.read(&Cancel::default())?);
        let made = logged(model.log.as_ref(), || model.engine.embed(&request.studies, &options))?;
        out.give(Arc::new(fleming_embeddings::new(made)));
        Ok(fleming_status::Ok)
    })
}

/// Writes what the conversation of a reply left in memory to a file, as long as no other request took its slot. The file is as
/// confidential as the study.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_save_session(
    engine: *const fleming_engine,
    reply: *const fleming_reply,
    file: *const c_char,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (model, reply, file) = (held("engine", engine)?, held("reply", reply)?, path("file", file)?);
        logged(model.log.as_ref(), || model.engine.save_session(reply.conversation, &file))?;
        Ok(fleming_status::Ok)
    })
}

/// Reads a saved conversation into a free slot: a request that begins like it (the same studies, the same turns) runs only what
/// is new.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_load_session(
    engine: *const fleming_engine,
    file: *const c_char,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (model, file) = (held("engine", engine)?, path("file", file)?);
        logged(model.log.as_ref(), || model.engine.load_session(&file))?;
        Ok(fleming_status::Ok)
    })
}

/// Frees an engine; NULL is nothing to free. It does not wait: see fleming_engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_engine_free(engine: *mut fleming_engine) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(engine) }));
}

impl fleming_engine {
    fn new(engine: Engine, log: Option<Dispatch>) -> Self {
        let manifest = engine.package().manifest();
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
        ];
        Self { words: words.map(c_text), engine, log }
    }

    fn facts(&self) -> fleming_engine_facts {
        let [package, digest, precision, target, onnxruntime, onnxruntime_build] =
            self.words.each_ref().map(|word| word.as_ptr());
        fleming_engine_facts {
            package,
            digest,
            precision,
            target,
            onnxruntime,
            onnxruntime_build,
            tile_size: self.engine.package().manifest().tile_size() as usize,
            memory: self.engine.memory().total(),
            ..zeroed()
        }
    }
}
