//! How long something took.

use std::time::{Duration, Instant};

/// Milliseconds since a moment.
pub(super) fn milliseconds(since: Instant) -> f64 {
    in_milliseconds(since.elapsed())
}

pub(super) fn in_milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
