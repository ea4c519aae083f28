//! An answer that was handed in.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::Duration;

use tracing::Dispatch;

use super::arguments::{HandleOut, held, taken};
use super::event::Listener;
use super::log::logged;
use super::reply::fleming_reply;
use super::status::{CallResult, Failure, fleming_status, guard, guard_free};
use crate::Cancel;

/// An answer that is being made. Any thread may wait for it, one at a time, and any thread may cancel it meanwhile.
pub struct fleming_pending {
    state: Mutex<(crate::Pending, Listener)>,
    cancel: Cancel,
    log: Option<Dispatch>,
}

/// Waits for an answer, at most timeout_ms milliseconds: 0 only looks, a negative number waits as long as it takes. The
/// callback that was given to fleming_engine_submit is called in this thread with the events since the last call.
/// FLEMING_STATUS_PENDING if the answer is not complete by then. A reply or a failure is returned once. An answer that was
/// cancelled or whose time is over is FLEMING_STATUS_OK with the text so far; fleming_reply_facts.finish says so.
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

/// Cancels an answer that is not complete, and frees it; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_pending_free(pending: *mut fleming_pending) {
    guard_free(|| {
        // SAFETY: the pointer is as the header asks.
        if let Some(pending) = unsafe { taken(pending) } {
            pending.cancel.cancel();
        }
    });
}

impl fleming_pending {
    pub(super) fn new(pending: crate::Pending, listener: Listener, log: Option<Dispatch>) -> Self {
        Self { cancel: pending.switch(), state: Mutex::new((pending, listener)), log }
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
        let patience = u64::try_from(timeout_ms).map_or(Duration::MAX, Duration::from_millis);
        Ok(pending.poll(patience, &mut |event| listener.tell(event, &self.cancel))?)
    }
}
