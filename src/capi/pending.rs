//! An answer that was handed in.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use tracing::Dispatch;

use super::arguments::{HandleOut, NumberOut, held, taken};
use super::bell::Bell;
use super::event::Listener;
use super::log::logged;
use super::reply::fleming_reply;
use super::status::{CallResult, Failure, fleming_status, guard, guard_free};
use crate::Cancel;

/// An answer that is being made. Any thread may wait for it, one at a time, and any thread may cancel it meanwhile.
pub struct fleming_pending {
    state: Mutex<(crate::Pending, Listener)>,
    bell: Arc<Bell>,
    cancel: Cancel,
    log: Option<Dispatch>,
}

/// Waits for an answer, at most timeout_ms milliseconds: 0 only looks, a negative number waits as long as it takes. The
/// callback that was given to fleming_engine_submit is called in this thread with the events since the last call; events that
/// nobody takes are kept and go with the answer. FLEMING_STATUS_PENDING if the answer is not complete by then. A reply or a
/// failure is returned once; a call after it is FLEMING_STATUS_REQUEST. An answer that was cancelled or whose time is over is
/// FLEMING_STATUS_OK with the text so far; fleming_reply_facts.finish says so. While one thread waits, another's call is
/// FLEMING_STATUS_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_pending_wait(
    pending: *const fleming_pending,
    timeout_ms: i64,
    reply: *mut *mut fleming_reply,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| {
        let (pending, out) = unsafe { (held("pending", pending)?, HandleOut::at("reply", reply)?) };
        match logged(pending.log.as_ref(), || pending.wait(timeout_ms))? {
            None => Ok(fleming_status::Pending),
            Some(reply) => {
                out.give(Arc::new(fleming_reply::new(reply)));
                Ok(fleming_status::Ok)
            }
        }
    })
}

/// Ends an answer at its next step, from any thread; fleming_pending_wait then returns the text so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_pending_cancel(pending: *const fleming_pending) -> fleming_status {
    // SAFETY: the pointer is as the header asks.
    guard(|| {
        unsafe { held("pending", pending) }?.cancel.cancel();
        Ok(fleming_status::Ok)
    })
}

/// A descriptor to wait on with poll, epoll or an event loop: readable whenever fleming_pending_wait may have something to do,
/// the end included, which then is called with a timeout_ms of 0. It may be readable for nothing. It is an eventfd of Linux, made with
/// the first call (one descriptor for each answer, and a system call for the first event after each look); elsewhere this is
/// FLEMING_STATUS_RUNTIME, and fleming_ask_options.on_ready serves. The answer owns it: take it out of your loop before
/// fleming_pending_free, which closes it; do not read it, write to it or close it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_pending_descriptor(
    pending: *const fleming_pending,
    descriptor: *mut i32,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| {
        let (pending, out) = unsafe { (held("pending", pending)?, NumberOut::at("descriptor", descriptor)?) };
        out.write(pending.bell.descriptor()?);
        Ok(fleming_status::Ok)
    })
}

/// Cancels an answer that is not complete, and frees it; NULL is nothing to free. A thread that waits for it meanwhile gets the
/// text so far.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_pending_free(pending: *mut fleming_pending) {
    guard_free(|| {
        // SAFETY: the pointer is as the header asks.
        if let Some(pending) = unsafe { taken(pending) } {
            pending.cancel.cancel();
            pending.bell.part();
        }
    });
}

impl fleming_pending {
    pub(super) fn new(pending: crate::Pending, listener: Listener, log: Option<Dispatch>) -> Self {
        let (bell, cancel) = (Arc::new(Bell::new(listener)), pending.switch());
        let rings = Arc::clone(&bell);
        pending.on_message(move || rings.ring());
        Self { state: Mutex::new((pending, listener)), bell, cancel, log }
    }

    fn wait(&self, timeout_ms: i64) -> CallResult<Option<crate::Reply>> {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            // The callback panicked: the answer itself is sound.
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::argument("pending", "one that nobody waits for", "one in use"));
            }
        };
        let (pending, listener) = &mut *state;
        self.bell.silence();
        let patience = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        Ok(pending.poll(patience, &mut |event| listener.tell(event, &self.cancel))?)
    }
}
