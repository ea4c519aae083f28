//! What can go wrong, in words a person can act on.
//!
//! Every error holds the same four facts: the thing it is about, what was wanted, what was got and what to do.

use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// The facts of a failure, each a fragment that reads inside one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What the error is about: a file, an option, a tensor, a slice.
    pub thing: String,
    /// What was wanted of it.
    pub wanted: String,
    /// What was found instead.
    pub got: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: wanted {}, got {}", self.thing, self.wanted, self.got)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// A failure, by whose doing it is.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image, video, volume or text that cannot be read as asked.
    #[error("{0}")]
    Input(Box<Facts>),
    /// A request that cannot be carried out: options that contradict, a prompt that does not fit.
    #[error("{0}")]
    Request(Box<Facts>),
    /// An exported package that is incomplete, altered or not what this version reads.
    #[error("{0}")]
    Package(Box<Facts>),
    /// ONNX Runtime, an execution provider or a graph that does not load or run.
    #[error("{0}")]
    Runtime(Box<Facts>),
    /// More requests are waiting than the engine was set up to hold: try again later.
    #[error("{0}")]
    Busy(Box<Facts>),
    /// Work that its caller stopped before there was anything to return.
    #[error("{0}")]
    Cancelled(Box<Facts>),
    /// Work whose time was up before there was anything to return.
    #[error("{0}")]
    TimedOut(Box<Facts>),
}

/// A number and a name for each kind of error, the same in every version and every language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[repr(i32)]
pub enum ErrorCode {
    /// See [`Error::Input`].
    Input = 1,
    /// See [`Error::Request`].
    Request = 2,
    /// See [`Error::Package`].
    Package = 3,
    /// See [`Error::Runtime`].
    Runtime = 4,
    /// See [`Error::Busy`].
    Busy = 5,
    /// See [`Error::Cancelled`].
    Cancelled = 6,
    /// See [`Error::TimedOut`].
    TimedOut = 7,
}

impl ErrorCode {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ErrorCode::Input => "input",
            ErrorCode::Request => "request",
            ErrorCode::Package => "package",
            ErrorCode::Runtime => "runtime",
            ErrorCode::Busy => "busy",
            ErrorCode::Cancelled => "cancelled",
            ErrorCode::TimedOut => "timed-out",
        }
    }
}

impl Error {
    /// The kind of this error as a stable number.
    pub fn code(&self) -> ErrorCode {
        match self {
            Error::Input(_) => ErrorCode::Input,
            Error::Request(_) => ErrorCode::Request,
            Error::Package(_) => ErrorCode::Package,
            Error::Runtime(_) => ErrorCode::Runtime,
            Error::Busy(_) => ErrorCode::Busy,
            Error::Cancelled(_) => ErrorCode::Cancelled,
            Error::TimedOut(_) => ErrorCode::TimedOut,
        }
    }

    /// The facts behind the message.
    pub fn facts(&self) -> &Facts {
        match self {
            Error::Input(f)
            | Error::Request(f)
            | Error::Package(f)
            | Error::Runtime(f)
            | Error::Busy(f)
            | Error::Cancelled(f)
            | Error::TimedOut(f) => f,
        }
    }

    /// The facts behind the message, to be completed.
    pub(crate) fn facts_mut(&mut self) -> &mut Facts {
        match self {
            Error::Input(f)
            | Error::Request(f)
            | Error::Package(f)
            | Error::Runtime(f)
            | Error::Busy(f)
            | Error::Cancelled(f)
            | Error::TimedOut(f) => f,
        }
    }

    pub(crate) fn cancelled() -> Self {
        Error::Cancelled(facts("request", "time to finish", "a cancel by the caller"))
    }

    pub(crate) fn timed_out() -> Self {
        Error::TimedOut(facts("request", "to finish in time", "its deadline"))
    }

    pub(crate) fn input(thing: impl fmt::Display, wanted: impl fmt::Display, got: impl fmt::Display) -> Self {
        Error::Input(facts(thing, wanted, got))
    }

    pub(crate) fn request(
        thing: impl fmt::Display,
        wanted: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Error::Request(facts(thing, wanted, got))
    }

    pub(crate) fn package(
        thing: impl fmt::Display,
        wanted: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Error::Package(facts(thing, wanted, got))
    }

    pub(crate) fn runtime(
        thing: impl fmt::Display,
        wanted: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Error::Runtime(facts(thing, wanted, got))
    }

    pub(crate) fn busy(thing: impl fmt::Display, wanted: impl fmt::Display, got: impl fmt::Display) -> Self {
        Error::Busy(facts(thing, wanted, got))
    }

    /// The same error with advice on what to do.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.facts_mut().hint = hint.to_string();
        self
    }
}

fn facts(thing: impl fmt::Display, wanted: impl fmt::Display, got: impl fmt::Display) -> Box<Facts> {
    Box::new(Facts {
        thing: thing.to_string(),
        wanted: wanted.to_string(),
        // Libraries' messages may go over several lines; ours are one.
        got: got.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" "),
        hint: String::new(),
    })
}
