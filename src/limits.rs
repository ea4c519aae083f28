//! What numbers an option may have: the one place of each bound.

use std::fmt::{self, Display};

use crate::error::{Error, Result};

/// What to do about a number that may not be.
const HINT: &str = "choose a number in this range";

/// The whole numbers that an option may have. It reads `1 to 1024`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// The lowest.
    pub least: u64,
    /// The highest.
    pub most: u64,
}

/// The real numbers that an option may have. It reads `0 to 1` or `above 0, at most 1`. NaN is never one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Real {
    /// The lowest, or what all are above.
    pub least: f64,
    /// The highest.
    pub most: f64,
    /// Whether `least` itself is one.
    pub open: bool,
}

impl Whole {
    /// From `least` to `most`.
    pub const fn new(least: u64, most: u64) -> Self {
        Self { least, most }
    }

    /// Whether a number is one of them.
    pub fn contains(self, number: u64) -> bool {
        (self.least..=self.most).contains(&number)
    }

    /// Refuses what is none of them.
    ///
    /// # Errors
    /// [`Error::Request`] with the name.
    pub fn check(self, name: &str, number: usize) -> Result<()> {
        match self.contains(number as u64) {
            true => Ok(()),
            false => Err(Error::request(name, self, number).hint(HINT)),
        }
    }
}

impl Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.most {
            u64::MAX => write!(f, "at least {}", self.least),
            most => write!(f, "{} to {most}", self.least),
        }
    }
}

impl Real {
    /// From `least` to `most`.
    pub const fn new(least: f64, most: f64) -> Self {
        Self { least, most, open: false }
    }

    /// Above `least`, up to `most`.
    pub const fn above(least: f64, most: f64) -> Self {
        Self { least, most, open: true }
    }

    /// Whether a number is one of them.
    pub fn contains(self, number: f64) -> bool {
        (self.least..=self.most).contains(&number) && !(self.open && number == self.least)
    }

    /// Refuses what is none of them.
    ///
    /// # Errors
    /// [`Error::Request`] with the name.
    pub fn check(self, name: &str, number: f32) -> Result<()> {
        match self.contains(number.into()) {
            true => Ok(()),
            false => Err(Error::request(name, self, number).hint(HINT)),
        }
    }
}

impl Display for Real {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.open, self.least, self.most) {
            (true, least, most) => write!(f, "above {least}, at most {most}"),
            (false, f64::MIN, f64::MAX) => write!(f, "a finite number"),
            (false, least, most) => write!(f, "{least} to {most}"),
        }
    }
}

// ── an engine
/// Far more than any processor has.
pub(crate) const THREADS: Whole = Whole::new(1, 1024);
/// Far more than any machine answers at a time.
pub(crate) const SLOTS: Whole = Whole::new(1, 1024);
/// Each that waits holds its pictures.
pub(crate) const QUEUE: Whole = Whole::new(1, 65_536);
/// Tokens. A chunk must be splittable into parts of at least two.
pub(crate) const CHUNK: Whole = Whole::new(4, 1 << 20);
/// Tokens; the model's own limit is lower.
pub(crate) const CONTEXT: Whole = Whole::new(1, 1 << 24);
/// Bytes: a tebibyte.
pub(crate) const IMAGE_CACHE: Whole = Whole::new(0, 1 << 40);

// ── what is read
/// Bytes: a tebibyte.
pub(crate) const READ_BYTES: Whole = Whole::new(1, 1 << 40);
/// Far more than fit into any machine's memory.
pub(crate) const READ_PIXELS: Whole = Whole::new(1, 1 << 40);
pub(crate) const READ_FRAMES: Whole = Whole::new(1, 1 << 40);

// ── a reply
/// Tokens; what the context has no room for is not generated.
pub(crate) const NEW_TOKENS: Whole = Whole::new(1, u32::MAX as u64);
/// Tokens.
pub(crate) const THINKING_TOKENS: Whole = Whole::new(0, u32::MAX as u64);
pub(crate) const TILES: Whole = Whole::new(1, 256);
pub(crate) const LOGPROBS: Whole = Whole::new(0, 20);
pub(crate) const SPECULATION: Whole = Whole::new(1, 32);
pub(crate) const ANSWERS: Whole = Whole::new(1, 128);
pub(crate) const STOP_STRINGS: Whole = Whole::new(0, 64);
/// Seconds: some 30 years.
pub(crate) const TIMEOUT: Real = Real::above(0.0, 1e9);

// ── what is looked at
/// Studies of one request, each of which may hold a file open. More fit no model's context.
pub(crate) const STUDIES: Whole = Whole::new(0, 512);
/// Frames or slices of one study. More fit no model's context: it is a slip of the keyboard.
pub(crate) const FRAMES: Whole = Whole::new(1, 4096);
/// Seconds, of which there is a frame for each.
pub(crate) const SECONDS: Real = Real::new(1.0, 4096.0);
pub(crate) const AXIS: Whole = Whole::new(0, 2);
/// Of echoes and of windows of a file, counted from 1.
pub(crate) const NUMBER: Whole = Whole::new(1, u32::MAX as u64);
/// Volumes of one study, one for each point in time: far more than any has.
pub(crate) const VOLUME: Whole = Whole::new(0, u32::MAX as u64);
/// Seconds from the start of a clip.
pub(crate) const TIME: Real = Real::new(f64::MIN, f64::MAX);

// ── the choice of a token
pub(crate) const SEED: Whole = Whole::new(0, u64::MAX);
pub(crate) const TEMPERATURE: Real = Real::new(0.0, 100.0);
pub(crate) const TOP_K: Whole = Whole::new(1, u32::MAX as u64);
pub(crate) const TOP_P: Real = Real::above(0.0, 1.0);
pub(crate) const MIN_P: Real = Real::new(0.0, 1.0);
pub(crate) const REPETITION_PENALTY: Real = Real::above(0.0, 100.0);
/// Of presence and of frequency.
pub(crate) const PENALTY: Real = Real::new(-2.0, 2.0);
pub(crate) const LOGIT_BIAS: Real = Real::new(-100.0, 100.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_read_as_they_hold() {
        let whole = Whole::new(1, 32);
        assert_eq!(
            (whole.contains(0), whole.contains(1), whole.contains(32), whole.contains(33)),
            (false, true, true, false)
        );
        assert_eq!(
            (whole.to_string(), Whole::new(0, u64::MAX).to_string()),
            ("1 to 32".into(), "at least 0".into())
        );
        let open = Real::above(0.0, 1.0);
        assert_eq!((open.contains(0.0), open.contains(1e-9), open.contains(1.0)), (false, true, true));
        assert_eq!(
            (open.to_string(), Real::new(-2.0, 2.0).to_string()),
            ("above 0, at most 1".into(), "-2 to 2".into())
        );
        for never in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!open.contains(never) && !Real::new(f64::MIN, f64::MAX).contains(never));
        }
    }
}
