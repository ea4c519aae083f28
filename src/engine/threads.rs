//! The threads of an engine. They log where those log who start them, and their stacks do not depend on the host: neither on its
//! threads' stacks nor on its settings for new ones.

use std::panic::resume_unwind;
use std::thread::{self, Builder, JoinHandle, Scope, ScopedJoinHandle};

use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

use crate::error::{Error, Result};

/// Bytes, as a program's first thread has on Linux. Only what is used of them takes memory.
const STACK: usize = 8 << 20;

/// Starts a thread of this name.
///
/// # Errors
/// [`Error::Runtime`] if the system gives no thread.
pub(super) fn start(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let builder = Builder::new().name(name.into()).stack_size(STACK);
    builder.spawn(logged_here(work)).map_err(|error| {
        Error::runtime(name, "a thread", error)
            .hint("raise the limit of threads (`ulimit -u`), or run less beside it")
    })
}

/// Starts a thread of this name that ends before the scope does.
///
/// # Errors
/// [`Error::Runtime`] if the system gives no thread.
pub(super) fn start_in<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    let builder = Builder::new().name(name.into()).stack_size(STACK);
    builder.spawn_scoped(scope, logged_here(work)).map_err(|error| {
        Error::runtime(name, "a thread", error)
            .hint("raise the limit of threads (`ulimit -u`), or run less beside it")
    })
}

/// Does work for a caller whose own stack may be small.
///
/// # Errors
/// [`Error::Runtime`] if the system gives no thread, and those of the work.
pub(crate) fn with_room<T: Send>(name: &str, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| joined(start_in(scope, name, work)?))
}

/// What a thread returned. If it panicked, so does this one.
pub(super) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// The same work for another thread. What it logs goes where this thread logs, if that has a place of its own for it.
fn logged_here<T>(work: impl FnOnce() -> T + Send) -> impl FnOnce() -> T + Send {
    let log = dispatcher::get_default(Clone::clone);
    move || match log.is::<NoSubscriber>() {
        true => work(),
        false => dispatcher::with_default(&log, work),
    }
}
