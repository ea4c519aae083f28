//! A lock on the devices of this process, shared by all engines.
//!
//! While one thread captures a CUDA graph, CUDA rejects calls of other threads that could disturb the capture: allocating,
//! freeing, waiting for a copy. ONNX Runtime captures in CUDA's global mode, which means every thread on every device. So a
//! thread that uses a device holds this lock shared, and a capture holds it alone.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static HOLDERS: Mutex<Holders> = Mutex::new(Holders { shared: 0, loading: 0, waiting: 0, capturing: false });
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// Whether this thread holds the lock shared.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

struct Holders {
    /// Threads that hold the lock shared.
    shared: usize,
    /// Those of them that load or unload a model.
    loading: usize,
    /// Threads that wait to capture.
    waiting: usize,
    capturing: bool,
}

/// The lock, held shared by this thread until it is dropped. A thread that holds it may take it again.
pub(crate) struct DeviceLock {
    /// Whether this is the thread's outermost hold, which counts.
    outermost: bool,
    /// 1 for a load or an unload, else 0.
    loading: usize,
    /// A hold belongs to its thread.
    _not_send: PhantomData<*const ()>,
}

/// The lock, held by this thread alone until it is dropped.
pub(super) struct CaptureLock {
    /// Whether this thread held the lock shared before, and does again afterwards.
    was_shared: bool,
}

fn holders() -> MutexGuard<'static, Holders> {
    HOLDERS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while(condition: impl Fn(&Holders) -> bool) -> MutexGuard<'static, Holders> {
    let waited = CHANGED.wait_while(holders(), |holders| condition(holders));
    waited.unwrap_or_else(PoisonError::into_inner)
}

impl DeviceLock {
    /// For one round of the loop. Waits while a thread captures or waits to capture.
    pub(crate) fn shared() -> Self {
        Self::take(0)
    }

    /// For loading or unloading a model, which can take minutes. Nobody captures until it is dropped.
    pub(crate) fn loading() -> Self {
        Self::take(1)
    }

    fn take(loading: usize) -> Self {
        let outermost = !HELD.replace(true);
        if outermost {
            let mut holders = wait_while(|holders| holders.capturing || holders.waiting > 0);
            holders.shared += 1;
            holders.loading += loading;
        }
        Self { outermost, loading, _not_send: PhantomData }
    }
}

impl Drop for DeviceLock {
    fn drop(&mut self) {
        if self.outermost {
            HELD.set(false);
            let mut holders = holders();
            holders.shared -= 1;
            holders.loading -= self.loading;
            CHANGED.notify_all();
        }
    }
}

impl CaptureLock {
    /// Waits until no other thread holds the lock. Returns `None` at once while a model is loading, which can take minutes.
    pub(super) fn take() -> Option<Self> {
        let was_shared = HELD.get();
        {
            let mut holders = holders();
            if holders.loading > 0 {
                return None;
            }
            // release this thread's own hold meanwhile: otherwise two threads that wait to capture would deadlock
            holders.shared -= usize::from(was_shared);
            holders.waiting += 1;
            CHANGED.notify_all();
        }
        let mut holders = wait_while(|holders| holders.capturing || holders.shared > 0);
        holders.waiting -= 1;
        holders.capturing = true;
        Some(Self { was_shared })
    }
}

impl Drop for CaptureLock {
    fn drop(&mut self) {
        let mut holders = holders();
        holders.capturing = false;
        holders.shared += usize::from(self.was_shared);
        CHANGED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// The lock is the process's, and other tests load and unload engines.
    fn capture() -> CaptureLock {
        loop {
            if let Some(lock) = CaptureLock::take() {
                return lock;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_capture_runs_alone() {
        let (working, capturing) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let rounds = |number: usize| {
            for round in 0..200 {
                let _lock = DeviceLock::shared();
                // a thread may take it again
                drop(DeviceLock::shared());
                working.fetch_add(1, Ordering::SeqCst);
                if round % 10 == number {
                    working.fetch_sub(1, Ordering::SeqCst);
                    let _capture = capture();
                    assert_eq!(working.load(Ordering::SeqCst), 0);
                    assert_eq!(capturing.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    capturing.fetch_sub(1, Ordering::SeqCst);
                    working.fetch_add(1, Ordering::SeqCst);
                }
                assert_eq!(capturing.load(Ordering::SeqCst), 0);
                working.fetch_sub(1, Ordering::SeqCst);
            }
        };
        thread::scope(|scope| {
            for number in 0..4 {
                scope.spawn(move || rounds(number));
            }
        });
    }

    #[test]
    fn no_capture_waits_for_a_model_to_load() {
        let loading = DeviceLock::loading();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _lock = DeviceLock::shared();
                assert!(CaptureLock::take().is_none());
            });
        });
        drop(loading);
    }
}
