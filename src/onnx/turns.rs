//! Turns at the devices of this process, of all engines together.
//!
//! While one thread has a run recorded, CUDA refuses to every other what could disturb it: to take memory, to give it
//! back, to wait for a copy. ONNX Runtime records so that all threads are meant, whichever device they use. So threads
//! that work on devices have turns, which they share but for a recording, which nobody is beside.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

static TURNS: Mutex<Turns> = Mutex::new(Turns { working: 0, long: 0, waiting: 0, alone: false });
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// Whether this thread has a turn.
    static MINE: Cell<bool> = const { Cell::new(false) };
}

struct Turns {
    /// Threads that have one.
    working: usize,
    /// Those of them that may have it for minutes.
    long: usize,
    /// Threads that wait to be alone.
    waiting: usize,
    alone: bool,
}

/// A thread's turn, until this goes. A thread that has one may take another.
pub(crate) struct Turn {
    first: bool,
    /// 1 if it may take minutes.
    long: usize,
    /// It is this thread's.
    _of_thread: PhantomData<*const ()>,
}

/// Nobody else's turn.
pub(super) struct Alone {
    /// Whether this thread had a turn before, and has one again afterwards.
    had: bool,
}

fn turns() -> MutexGuard<'static, Turns> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait_while(condition: impl Fn(&Turns) -> bool) -> MutexGuard<'static, Turns> {
    let waited = CHANGED.wait_while(turns(), |turns| condition(turns));
    waited.unwrap_or_else(PoisonError::into_inner)
}

impl Turn {
    /// For a round of steps, a chunk, a few tiles. Waits while others are alone or about to be.
    pub(crate) fn take() -> Self {
        Self::begin(0)
    }

    /// To load or to unload, which may take minutes: until then nobody is alone.
    pub(crate) fn long() -> Self {
        Self::begin(1)
    }

    fn begin(long: usize) -> Self {
        let first = !MINE.replace(true);
        if first {
            let mut turns = wait_while(|turns| turns.alone || turns.waiting > 0);
            turns.working += 1;
            turns.long += long;
        }
        Self { first, long, _of_thread: PhantomData }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.first {
            MINE.set(false);
            let mut turns = turns();
            turns.working -= 1;
            turns.long -= self.long;
            CHANGED.notify_all();
        }
    }
}

impl Alone {
    /// Waits until all others have ended their turns; nothing if one of them may have it for long.
    pub(super) fn take() -> Option<Self> {
        let had = MINE.get();
        {
            let mut turns = turns();
            if turns.long > 0 {
                return None;
            }
            // its own turn is up meanwhile, or two that wait would wait for each other
            turns.working -= usize::from(had);
            turns.waiting += 1;
            CHANGED.notify_all();
        }
        let mut turns = wait_while(|turns| turns.alone || turns.working > 0);
        turns.waiting -= 1;
        turns.alone = true;
        Some(Self { had })
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let mut turns = turns();
        turns.alone = false;
        turns.working += usize::from(self.had);
        CHANGED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    /// The turns are the process's, and other tests load and unload engines.
    fn alone() -> Alone {
        loop {
            if let Some(alone) = Alone::take() {
                return alone;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn nobody_is_beside_a_recording() {
        let (working, recording) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let rounds = |number: usize| {
            for round in 0..200 {
                let _turn = Turn::take();
                // one's own turn is no hindrance, however often it was taken
                drop(Turn::take());
                working.fetch_add(1, Ordering::SeqCst);
                if round % 10 == number {
                    working.fetch_sub(1, Ordering::SeqCst);
                    let _alone = alone();
                    assert_eq!(working.load(Ordering::SeqCst), 0);
                    assert_eq!(recording.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    recording.fetch_sub(1, Ordering::SeqCst);
                    working.fetch_add(1, Ordering::SeqCst);
                }
                assert_eq!(recording.load(Ordering::SeqCst), 0);
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
    fn nobody_waits_for_a_model_to_load() {
        let loading = Turn::long();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _turn = Turn::take();
                assert!(Alone::take().is_none());
            });
        });
        drop(loading);
    }
}
