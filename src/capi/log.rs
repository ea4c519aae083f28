//! What the library has to tell while it works, to a function of the host.

use std::ffi::{OsString, c_char, c_void};
use std::fmt::{self, Write};

use std::sync::{Once, PoisonError, RwLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::subscriber::Subscriber;
use tracing::{Dispatch, Event, Level, Metadata, callsite, level_filters::LevelFilter};
use tracing_subscriber::EnvFilter;

use super::enums::{fleming_log_level, log_level};
use super::status::{CallResult, c_text, fleming_status, guard, outside};

/// Hears a line of the log, of level `level` (a fleming_log_level). It is called from any thread, also from several at once, and
/// calls no function of this library. No line holds a prompt, an answer, a path or a pixel.
pub type fleming_log_callback =
    Option<unsafe extern "C-unwind" fn(user_data: *mut c_void, level: i32, message: *const c_char)>;

/// A function of the host, as the place where the log goes.
struct Host {
    callback: unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char),
    user_data: *mut c_void,
    most: LevelFilter,
}

// SAFETY: the header asks for a callback that may be called from any thread, with this pointer.
unsafe impl Send for Host {}
// SAFETY: the same, from several threads at once.
unsafe impl Sync for Host {}

/// Where everything goes that no engine has a callback of its own for.
static PROCESS: RwLock<Option<Host>> = RwLock::new(None);

/// Sets who hears the log of the whole process: what happens before there is an engine, and engines that have no callback of
/// their own. level is the most that is logged, a fleming_log_level or 0 for warnings; a callback of NULL ends it. When this
/// returns, the callback before is not called any more.
///
/// Without a callback, the variable FLEMING_LOG of the environment has the log written to stderr, as of the command line: "info",
/// "debug", "fleming=debug,ort=warn". It is read with the first call that works on an engine.
#[unsafe(no_mangle)]
pub extern "C" fn fleming_log(
    callback: fleming_log_callback,
    user_data: *mut c_void,
    level: i32,
) -> fleming_status {
    guard(|| {
        let most = log_level(level)?;
        begin();
        *PROCESS.write().unwrap_or_else(PoisonError::into_inner) =
            callback.map(|callback| Host { callback, user_data, most });
        callsite::rebuild_interest_cache();
        Ok(fleming_status::Ok)
    })
}

/// Makes the log of the process, once.
fn begin() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails where the host is a Rust program that has a log already, which then hears everything.
        let _ = tracing::dispatcher::set_global_default(Dispatch::new(Process::new()));
    });
}

/// What writes lines to stderr.
type Lines = Box<dyn Subscriber + Send + Sync>;

/// The log of the process: the host's callback, or stderr.
struct Process {
    /// What FLEMING_LOG asks for.
    stderr: Option<Lines>,
}

impl Process {
    const VARIABLE: &str = "FLEMING_LOG";

    fn new() -> Self {
        let levels = std::env::var_os(Self::VARIABLE).filter(|levels| !levels.is_empty());
        let read = |levels: &OsString| EnvFilter::builder().parse(levels.to_str()?).ok();
        let stderr = levels.map(|levels| match read(&levels) {
            Some(filter) => Self::lines(filter),
            None => {
                let usual = || EnvFilter::new("warn,ort=off");
                tracing::dispatcher::with_default(&Dispatch::new(Self::lines(usual())), || {
                    tracing::warn!(
                        "FLEMING_LOG is no list of levels, such as info or fleming=debug,ort=warn"
                    );
                });
                Self::lines(usual())
            }
        });
        Self { stderr }
    }

    fn lines(filter: EnvFilter) -> Lines {
        let lines = tracing_subscriber::fmt().with_env_filter(filter).without_time();
        Box::new(lines.with_writer(std::io::stderr).log_internal_errors(false).finish())
    }

    /// Who hears it now.
    fn heard<T>(&self, host: impl FnOnce(&Host) -> T, stderr: impl FnOnce(&Lines) -> T) -> Option<T> {
        let process = PROCESS.read().unwrap_or_else(PoisonError::into_inner);
        match &*process {
            Some(hears) => Some(host(hears)),
            None => self.stderr.as_ref().map(stderr),
        }
    }
}

impl Subscriber for Process {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Who hears it may change.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.heard(|host| host.enabled(metadata), |stderr| stderr.enabled(metadata)).unwrap_or(false)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(
            self.heard(|host| host.most, |stderr| stderr.max_level_hint().unwrap_or(LevelFilter::TRACE))
                .unwrap_or(LevelFilter::OFF),
        )
    }

    fn event(&self, event: &Event<'_>) {
        self.heard(|host| host.event(event), |stderr| stderr.event(event));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Where an engine logs; none if there is no callback. Level 0 is that of warnings.
pub(super) fn dispatch(
    callback: fleming_log_callback,
    user_data: *mut c_void,
    level: i32,
) -> CallResult<Option<Dispatch>> {
    let most = log_level(level)?;
    Ok(callback.map(|callback| Dispatch::new(Host { callback, user_data, most })))
}

/// Runs a call of an engine that logs there.
pub(super) fn logged<T>(log: Option<&Dispatch>, call: impl FnOnce() -> T) -> T {
    begin();
    match log {
        Some(log) => tracing::dispatcher::with_default(log, call),
        None => call(),
    }
}

impl Subscriber for Host {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // What ONNX Runtime logs as an error comes back as one.
        let own = !metadata.target().starts_with("ort") || self.most >= LevelFilter::DEBUG;
        own && *metadata.level() <= self.most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.most)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = LogLine(String::new());
        event.record(&mut line);
        let level = match *event.metadata().level() {
            Level::ERROR => fleming_log_level::Error,
            Level::WARN => fleming_log_level::Warn,
            Level::INFO => fleming_log_level::Info,
            Level::DEBUG => fleming_log_level::Debug,
            Level::TRACE => fleming_log_level::Trace,
        };
        let text = c_text(&line.0);
        // SAFETY: the header asks for a callback that takes these, and for a pointer that is good until the engine is gone.
        outside(|| unsafe { (self.callback)(self.user_data, level as i32, text.as_ptr()) });
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// A line: the message first, then `name=value`.
struct LogLine(String);

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => {
                let rest = std::mem::take(&mut self.0);
                write!(self.0, "{value:?}{rest}")
            }
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
