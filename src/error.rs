//! What can go wrong, in words a person can act on.
//!
//! Every error holds the same four facts: the thing it is about, what was wanted, what was got and what to do.

use std::borrow::Cow;
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

impl Facts {
    /// Facts without a hint. Each is one line. What is very long, such as a text in place of a file's name, is shortened, and
    /// the content of a `data:` URL is left out.
    pub fn new(thing: impl fmt::Display, wanted: impl fmt::Display, got: impl fmt::Display) -> Self {
        Self {
            thing: fragment(thing, LONGEST_THING),
            wanted: fragment(wanted, LONGEST),
            got: fragment(got, LONGEST),
            hint: String::new(),
        }
    }

    /// The failure in one sentence, without the hint. Control characters in it are escaped; an empty name is `""`.
    pub fn sentence(&self) -> String {
        let thing = if self.thing.is_empty() { "\"\"" } else { &self.thing };
        printable(&format!("{thing}: wanted {}, got {}", self.wanted, self.got)).into_owned()
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence())?;
        if !self.hint.is_empty() {
            write!(f, " ({})", printable(&self.hint))?;
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

/// A failure that does not say yet what to do about it. Only advice makes an [`Error`] of it.
#[derive(Debug)]
#[must_use]
pub(crate) struct Unadvised(Error);

impl Unadvised {
    /// The error with advice on what to do.
    pub(crate) fn hint(self, hint: impl fmt::Display) -> Error {
        self.0.hint(hint)
    }

    /// The error, which is a fault of the program.
    pub(crate) fn report(self) -> Error {
        self.hint("this is a fault of fleming: report it, with what led to it")
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
            .hint("allow more time, or look at less")
    }

    /// The same error, in which work that was ended early is loading and no request.
    pub(crate) fn of_loading(mut self) -> Self {
        match &mut self {
            Error::Cancelled(facts) => facts.thing = "loading".into(),
            Error::TimedOut(facts) => {
                facts.thing = "loading".into();
                facts.hint = "allow more time".into();
            }
            _ => {}
        }
        self
    }

    pub(crate) fn input(
        thing: impl fmt::Display,
        wanted: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Unadvised {
        Unadvised(Error::Input(facts(thing, wanted, got)))
    }

    pub(crate) fn request(
        thing: impl fmt::Display,
        wanted: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Unadvised {
        Unadvised(Error::Request(facts(thing, wanted, got)))
    }

    pub(crate) fn package(
        thing: impl fmt::Display,
        wanted: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Unadvised {
        Unadvised(Error::Package(facts(thing, wanted, got)))
    }

    pub(crate) fn runtime(
        thing: impl fmt::Display,
        wanted: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Unadvised {
        Unadvised(Error::Runtime(facts(thing, wanted, got)))
    }

    pub(crate) fn busy(
        thing: impl fmt::Display,
        wanted: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Unadvised {
        Unadvised(Error::Busy(facts(thing, wanted, got)))
    }

    /// The same error with other advice on what to do.
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.facts_mut().hint = fragment(hint, LONGEST);
        self
    }
}

fn facts(thing: impl fmt::Display, wanted: impl fmt::Display, got: impl fmt::Display) -> Box<Facts> {
    Box::new(Facts::new(thing, wanted, got))
}

/// Letters of a thing: longer than the paths that people have.
const LONGEST_THING: usize = 300;
/// Letters of the other facts. What a library says of a failure may be long.
const LONGEST: usize = 2000;

/// A text as a fact.
fn fragment(text: impl fmt::Display, longest: usize) -> String {
    // Libraries' messages may go over several lines; ours are one.
    let line = text.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
    shortened(&without_content(line), longest)
}

/// A text of at most about so many letters: what is longer lacks its middle.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    let letters = text.chars().count();
    if letters <= longest {
        return text.to_owned();
    }
    let tail = longest / 4;
    let (head, end): (String, String) =
        (text.chars().take(longest - tail).collect(), text.chars().skip(letters - tail).collect());
    format!("{head}…{end}")
}

/// A text in which a `data:` URL ends where its content begins.
fn without_content(mut text: String) -> String {
    const BEGINNING: &str = "data:";
    /// Letters of a media type with its parameters.
    const LONGEST_TYPE: usize = 120;
    let mut from = 0;
    while let Some(start) = text[from..].find(BEGINNING).map(|at| from + at + BEGINNING.len()) {
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ')');
        let url = &text[start..];
        let url = &url[..url.find(ends).unwrap_or(url.len())];
        from = start;
        if let Some(comma) = url.find(',').filter(|comma| *comma <= LONGEST_TYPE) {
            let content = start + comma + 1..start + url.len();
            from = content.start;
            if !content.is_empty() {
                text.replace_range(content, "…");
            }
        }
    }
    text
}

/// A text for a terminal or a log: control characters and those that turn the direction of writing are escaped as
/// `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match hidden(letter) {
            true => escaped.extend(letter.escape_default()),
            false => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        let error = Error::input("a\u{1b}[31m\nb.png", "a\tfile", "one\n  two\r\nthree").hint("look\u{202e}");
        assert_eq!(error.to_string(), r"a\u{1b}[31m b.png: wanted a\tfile, got one two three (look\u{202e})");
    }

    #[test]
    fn an_empty_name_is_seen_and_loading_is_no_request() {
        assert_eq!(Error::input("", "a file", "none").hint("").to_string(), "\"\": wanted a file, got none");
        let [cancelled, late] = [Error::cancelled(), Error::timed_out()].map(Error::of_loading);
        assert_eq!(cancelled.to_string(), "loading: wanted time to finish, got a cancel by the caller");
        assert_eq!(late.to_string(), "loading: wanted to finish in time, got its deadline (allow more time)");
        let other = Error::input("x", "a file", "none").hint("");
        assert_eq!(other.clone().of_loading().to_string(), other.to_string());
    }

    #[test]
    fn what_is_very_long_lacks_its_middle() {
        let long = format!("{}/name.png", "x".repeat(50_000));
        let message = Error::input(&long, "a file", &long).hint("").to_string();
        assert!(
            message.len() < 3000 && message.contains("…") && message.contains("name.png: wanted"),
            "{message}"
        );
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("abcdefgh", 4), "abc…h");
    }

    #[test]
    fn the_content_of_a_url_is_left_out() {
        for (text, wanted) in [
            ("data:image/png;base64,iVBORw0KGgo=", "data:image/png;base64,…"),
            ("[\"data:,secret\", \"data:text/plain,more\"]", "[\"data:,…\", \"data:text/plain,…\"]"),
            ("bytes of data: three, four", "bytes of data: three, four"),
            ("data:,", "data:,"),
        ] {
            assert_eq!(without_content(text.into()), wanted);
        }
    }
}
