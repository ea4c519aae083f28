//! What ends work early, switches that somebody throws and a deadline; and who hears how far it is.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// A switch that another thread or a signal handler may throw to stop an answer.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Stops the answers that were given this switch, at their next step.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was thrown.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Work that is done within this time is not told.
const PATIENCE: Duration = Duration::from_millis(500);
/// From one time that is told to the next.
const PACE: Duration = Duration::from_millis(100);

/// Any number of switches and at most one deadline. Long work checks it between its steps and gives up with an error. It may
/// have a listener, which hears how far the work is.
///
/// ```
/// use std::time::{Duration, Instant};
/// use fleming::{Cancel, Watch};
///
/// let cancel = Cancel::default();
/// let watch = Watch::default().switch(&cancel).deadline(Instant::now() + Duration::from_secs(60));
/// assert!(watch.check().is_ok());
/// cancel.cancel();
/// assert!(matches!(watch.check(), Err(fleming::Error::Cancelled(_))));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Watch {
    switches: Vec<Cancel>,
    deadline: Option<Instant>,
    listener: Option<Listener>,
}

/// Hears how far work is, now and then.
#[derive(Clone)]
struct Listener {
    hear: Arc<dyn Fn(usize, usize) + Send + Sync>,
    /// When it hears again.
    next: Arc<Mutex<Instant>>,
    pace: Duration,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Watch {
    /// The same with one more switch.
    pub fn switch(mut self, switch: &Cancel) -> Self {
        self.switches.push(switch.clone());
        self
    }

    /// The same with a deadline; of two, the earlier one holds.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self
    }

    /// The same with a function that hears how much of how much is done of a pass over a file: bytes, packets or slices. It
    /// is called in the thread that works, some ten times a second from half a second on after this call, and hears of
    /// each pass anew. The last listener holds.
    ///
    /// ```
    /// use fleming::{ReadOptions, StudyInput, Watch, read};
    ///
    /// let watch = Watch::default().listener(|done, total| eprintln!("{done} of {total}"));
    /// read(&StudyInput::file("examples/clip.mp4"), &ReadOptions::default().watch(watch))?;
    /// # Ok::<(), fleming::Error>(())
    /// ```
    pub fn listener(self, hear: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        self.heard(Arc::new(hear), [PATIENCE, PACE])
    }

    /// The same with a listener that hears from some time on, and in steps.
    fn heard(self, hear: Arc<dyn Fn(usize, usize) + Send + Sync>, [patience, pace]: [Duration; 2]) -> Self {
        let next = Arc::new(Mutex::new(Instant::now() + patience));
        Self { listener: Some(Listener { hear, next, pace }), ..self }
    }

    /// The same with a listener that hears of everything.
    #[cfg(test)]
    pub(crate) fn eager(self, hear: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        self.heard(Arc::new(hear), [Duration::ZERO; 2])
    }

    /// Tells the listener how much of how much is done, if it is time.
    pub(crate) fn tell(&self, done: usize, total: usize) {
        let Some(Listener { hear, next, pace }) = &self.listener else { return };
        // A thread that tells at the same moment tells for both.
        let Ok(mut next) = next.try_lock() else { return };
        let now = Instant::now();
        if now >= *next {
            *next = now + *pace;
            drop(next);
            hear(done.min(total), total);
        }
    }

    /// Tells the listener in any case: at the beginning and the end of work of which it is to hear however short it is.
    pub(crate) fn tell_now(&self, done: usize, total: usize) {
        if let Some(Listener { hear, .. }) = &self.listener {
            hear(done.min(total), total);
        }
    }

    /// Whether there is anything that may end the work.
    pub(crate) fn may_end(&self) -> bool {
        !self.switches.is_empty() || self.deadline.is_some()
    }

    /// Whether work may go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if a switch was thrown, else [`Error::TimedOut`] if the deadline has passed.
    pub fn check(&self) -> Result<()> {
        if self.switches.iter().any(Cancel::is_cancelled) {
            return Err(Error::cancelled());
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(Error::timed_out()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_listener_hears_from_its_time_on_and_in_steps() {
        let count = |pauses| {
            let heard = Arc::new(AtomicUsize::new(0));
            let counter = heard.clone();
            let hear = move |done, total| {
                assert!(done <= total);
                counter.fetch_add(1, Ordering::Relaxed);
            };
            let watch = Watch::default().heard(Arc::new(hear), pauses);
            (0..10).for_each(|done| watch.clone().tell(done, 5));
            heard.load(Ordering::Relaxed)
        };
        let (none, long) = (Duration::ZERO, Duration::from_secs(3600));
        assert_eq!([count([none, none]), count([none, long]), count([long, none])], [10, 1, 0]);
        Watch::default().tell(1, 2);
    }

    #[test]
    fn a_switch_goes_before_the_deadline_and_the_earlier_deadline_holds() {
        let (first, second) = (Cancel::default(), Cancel::default());
        let now = Instant::now();
        let late = Watch::default().deadline(now + Duration::from_secs(3600)).deadline(now);
        assert!(matches!(late.check(), Err(Error::TimedOut(_))));
        let watch = late.switch(&first).switch(&second);
        assert!(matches!(watch.check(), Err(Error::TimedOut(_))));
        second.cancel();
        assert!(matches!(watch.check(), Err(Error::Cancelled(_))));
        assert!(Watch::default().switch(&first).check().is_ok());
    }
}
