//! Threads of the engine log where those log who start them.

use tracing::dispatcher;
use tracing::subscriber::NoSubscriber;

/// The same work for another thread. What it logs goes where this thread logs, if that has a place of its own for it.
pub(super) fn logged_here(work: impl FnOnce() + Send + 'static) -> impl FnOnce() + Send + 'static {
    let log = dispatcher::get_default(Clone::clone);
    move || match log.is::<NoSubscriber>() {
        true => work(),
        false => dispatcher::with_default(&log, work),
    }
}
