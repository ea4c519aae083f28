//! Work in another thread, for a caller whose stack may be small and who may want to hear how far it is.

use std::panic::resume_unwind;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Builder};
use std::time::Duration;

use super::status::{CallResult, Failure};

/// Bytes, as a program's first thread has on Linux. Only what is used of them takes memory.
const STACK: usize = 8 << 20;
const PACE: Duration = Duration::from_millis(100);

/// Does work in a thread of its own and waits for it. At its beginning and some ten times a second, `meanwhile` is called in
/// this thread.
pub(super) fn aside<T: Send>(work: impl FnOnce() -> T + Send, mut meanwhile: impl FnMut()) -> CallResult<T> {
    thread::scope(|scope| {
        let (working, ended) = mpsc::channel::<()>();
        let work = move || {
            // Gone when the work ends, however it does.
            let _working = working;
            work()
        };
        let builder = Builder::new().name("fleming-work".into()).stack_size(STACK);
        let thread = builder.spawn_scoped(scope, work).map_err(|error| {
            Failure::of_system("thread", "one more", &error, "raise the limit of threads (`ulimit -u`)")
        })?;
        meanwhile();
        while ended.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
            meanwhile();
        }
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}
