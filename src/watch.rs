//! What ends work early: switches that somebody throws, and a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

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

/// Any number of switches and at most one deadline. Long work checks it between its steps and gives up with an error.
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
    use std::time::Duration;

    use super::*;

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
