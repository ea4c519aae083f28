//! What a row of the table says.

use std::path::PathBuf;

use crate::engine::EngineOptions;
use crate::limits::{NumberOption, OptionName, Real, Subject, Whole};
use crate::request::{AskOptions, Instruction};
use crate::study::Look;

/// What the options of the table are set on.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How an engine is set up.
    pub engine: EngineOptions,
    /// What of a study is looked at.
    pub look: Look,
    /// What stands before the question.
    pub instruction: Instruction,
    /// The system message; the package's if absent.
    pub system: Option<String>,
    /// How to answer.
    pub ask: AskOptions,
}

/// One option.
#[derive(Debug)]
#[non_exhaustive]
pub struct Row {
    /// The name in JSON, such as `max_new_tokens`.
    pub name: &'static str,
    /// What it is about.
    pub subject: Subject,
    /// A word for its value in help: `N`, `FILE`. A switch has none.
    pub value: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What holds without it, where that is no fixed value: `the package's`. See [`Row::default`].
    pub absent: &'static str,
    /// Names of options that contradict it.
    pub excludes: &'static [&'static str],
    /// What values it has, and how they are set.
    pub form: Form,
}

/// The values of an option, and where they go. The functions of a form belong together: what one sets, the other gets.
#[derive(Debug)]
#[non_exhaustive]
pub enum Form {
    /// A whole number.
    Whole(Whole, fn(&mut Options, u64), fn(&Options) -> Option<u64>),
    /// A real number.
    Real(Real, fn(&mut Options, f64), fn(&Options) -> Option<f64>),
    /// Yes, or no without it.
    Switch(fn(&mut Options), fn(&Options) -> bool),
    /// One of these words.
    Word(&'static [&'static str], fn(&mut Options, &str), fn(&Options) -> Option<&'static str>),
    /// A text.
    Text(fn(&mut Options, String), fn(&Options) -> Option<String>),
    /// A text of a form of its own: what it is, in words, and a function that says whether it took one.
    Parsed(&'static str, fn(&mut Options, &str) -> bool, fn(&Options) -> Option<String>),
    /// A file or folder of this machine.
    Path(fn(&mut Options, PathBuf), fn(&Options) -> Option<PathBuf>),
    /// Any number of texts.
    Texts(fn(&mut Options, Vec<String>), fn(&Options) -> Vec<String>),
    /// Any number of `name=value`, in JSON an object too: what a pair is, in words, and a function that says whether it took one.
    Pairs(&'static str, fn(&mut Options, &str, &str) -> bool),
    /// A text, or the file that holds it.
    Document(fn(&str) -> Spelling, fn(&mut Options, Document)),
}

/// How a document was given as one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// The text is a word with a meaning of its own.
    Word,
    /// The text is the document.
    Itself,
    /// The text names a file, from the byte on that is told.
    File(usize),
    /// The text is none of what is wanted.
    Wrong(&'static str),
}

/// A document as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// A word with a meaning of its own.
    Word(String),
    /// The text itself.
    Text(String),
    /// What a file held.
    File(String),
}

/// The row of a number: `number!(EngineOptions::SLOTS, engine.slots as usize, "N", "What it does")`, and of one that may be
/// absent `number!(EngineOptions::THREADS, engine.threads as Option<usize>, …)`.
macro_rules! number {
    ($number:expr, $($field:ident).+ as Option<$type:ty>, $value:literal, $help:literal) => {
        $number.row(
            $value,
            |options, number| options.$($field).+ = Some(number as $type),
            |options| options.$($field).+.map(|number| number as _),
            $help,
        )
    };
    ($number:expr, $($field:ident).+ as $type:ty, $value:literal, $help:literal) => {
        $number.row(
            $value,
            |options, number| options.$($field).+ = number as $type,
            |options| Some(options.$($field).+ as _),
            $help,
        )
    };
}

pub(super) use number;

impl NumberOption<Whole> {
    /// The row of this option: a word for its value, how that is set and got, and what it does.
    pub(super) const fn row(
        self,
        value: &'static str,
        set: fn(&mut Options, u64),
        get: fn(&Options) -> Option<u64>,
        help: &'static str,
    ) -> Row {
        Row::new(self.option, value, Form::Whole(self.range, set, get), help)
    }
}

impl NumberOption<Real> {
    /// The row of this option: a word for its value, how that is set and got, and what it does.
    pub(super) const fn row(
        self,
        value: &'static str,
        set: fn(&mut Options, f64),
        get: fn(&Options) -> Option<f64>,
        help: &'static str,
    ) -> Row {
        Row::new(self.option, value, Form::Real(self.range, set, get), help)
    }
}

impl Row {
    pub(super) const fn new(option: OptionName, value: &'static str, form: Form, help: &'static str) -> Self {
        let OptionName { name, subject } = option;
        Self { name, subject, value, help, absent: "", excludes: &[], form }
    }

    /// The same with what holds without it.
    pub(super) const fn absent(self, absent: &'static str) -> Self {
        Self { absent, ..self }
    }

    /// The same with the names of options that contradict it.
    pub(super) const fn excludes(self, excludes: &'static [&'static str]) -> Self {
        Self { excludes, ..self }
    }

    /// The name on the command line, without the dashes before it.
    pub fn long(&self) -> String {
        self.subject.option(self.name).to_string()
    }

    /// The value that holds without it, in words; none where it does nothing then.
    pub fn default(&self) -> Option<String> {
        let usual = Options::default();
        let value = match &self.form {
            Form::Whole(_, _, get) => get(&usual).map(|number| number.to_string()),
            Form::Real(_, _, get) => get(&usual).map(|number| number.to_string()),
            Form::Word(_, _, get) => get(&usual).map(str::to_owned),
            Form::Text(_, get) => get(&usual),
            Form::Path(_, get) => get(&usual).map(|path| path.display().to_string()),
            _ => None,
        };
        if self.absent.is_empty() { value } else { Some(self.absent.to_owned()) }
    }

    /// The numbers or words that it may have; none where it may be any text.
    pub fn may_be(&self) -> Option<String> {
        match &self.form {
            Form::Whole(range, ..) => Some(range.to_string()),
            Form::Real(range, ..) => Some(range.to_string()),
            Form::Word(words, ..) => Some(words.join(", ")),
            _ => None,
        }
    }

    /// Whether it may be given several times.
    pub fn repeats(&self) -> bool {
        matches!(self.form, Form::Texts(..) | Form::Pairs(..))
    }
}
