//! What an option is called, what it is about and what numbers it may have. The options themselves stand beside their
//! fields.

use std::fmt::{self, Display};

use crate::error::{Error, Result};
use crate::frame::Modality;

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
    pub fn check(self, name: impl Display, number: impl TryInto<u64> + Display + Copy) -> Result<()> {
        match number.try_into().is_ok_and(|number| self.contains(number)) {
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
    pub fn check(self, name: impl Display, number: impl Into<f64> + Display + Copy) -> Result<()> {
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

/// What an option is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// How an engine is set up.
    Engine,
    /// What is looked at of a study of this kind.
    Look(Modality),
    /// The words around a question.
    Wording,
    /// How an answer is made.
    Generation,
}

/// The one place of an option's name. It reads as messages and the command line write it: `max-new-tokens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OptionName {
    /// The name in JSON: `max_new_tokens`.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) subject: Subject,
}

/// An option that is a number, and what it may be: a [`Whole`] or a [`Real`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct NumberOption<R> {
    pub(crate) option: OptionName,
    pub(crate) range: R,
}

impl Subject {
    /// An option about this.
    pub(crate) const fn option(self, name: &'static str) -> OptionName {
        OptionName { name, subject: self }
    }
}

impl OptionName {
    /// The option, which is a whole number.
    pub(crate) const fn whole(self, least: u64, most: u64) -> NumberOption<Whole> {
        self.within(Whole::new(least, most))
    }

    /// The option, which is a number in this range.
    pub(crate) const fn within<R: Copy>(self, range: R) -> NumberOption<R> {
        NumberOption { option: self, range }
    }
}

impl Display for OptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name.replace('_', "-"))
    }
}

impl NumberOption<Whole> {
    /// Refuses the first of what was given that it may not be.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option.
    pub(crate) fn check<N>(&self, given: impl IntoIterator<Item = N>) -> Result<()>
    where
        N: TryInto<u64> + Display + Copy,
    {
        given.into_iter().try_for_each(|number| self.range.check(self.option, number))
    }
}

impl NumberOption<Real> {
    /// Refuses the first of what was given that it may not be.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option.
    pub(crate) fn check<N>(&self, given: impl IntoIterator<Item = N>) -> Result<()>
    where
        N: Into<f64> + Display + Copy,
    {
        given.into_iter().try_for_each(|number| self.range.check(self.option, number))
    }
}

/// Studies of one request, each of which may hold a file open. More fit no model's context.
pub(crate) const STUDIES: Whole = Whole::new(0, 512);

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
        let option = Subject::Generation.option("top_k").whole(1, 9);
        option.check(None::<usize>).unwrap();
        option.check([1, 9]).unwrap();
        assert_eq!(
            option.check([9, -1]).unwrap_err().to_string(),
            "top-k: wanted 1 to 9, got -1 (choose a number in this range)"
        );
        for never in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!open.contains(never) && !Real::new(f64::MIN, f64::MAX).contains(never));
        }
    }
}
