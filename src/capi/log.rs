//! What the library has to tell while it works, to a function of the host.

use std::ffi::{c_char, c_void};
use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Subscriber;
use tracing::{Dispatch, Event, Level, Metadata, level_filters::LevelFilter};

use super::enums::{fleming_log_level, log_level};
use super::status::{CallResult, c_text, outside};

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
