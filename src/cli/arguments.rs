//! Arguments of the command line, made from the library's table of options.

use std::ffi::OsString;
use std::marker::PhantomData;

use anyhow::Result;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use fleming::wire::{Chosen, Form, Options, Row, Subject, options};
use fleming::{Cancel, Look};

use super::refusal::unusable;

/// The options of some subjects, as the command line gave them.
pub(super) struct Given<P>(Vec<(&'static Row, Vec<OsString>)>, PhantomData<P>);

/// Which options of the table a verb takes.
pub(super) trait Taking {
    fn take(row: &Row) -> bool;
}

/// All that a question may come with.
pub(super) struct Asking;

/// What of a study is looked at.
pub(super) struct Looking;

/// All that decides what the model sees of a study.
pub(super) struct Seeing;

/// Options of answers and engines that decide it too.
const OF_READING: [&str; 6] = [
    "preprocessing",
    "max_tiles",
    "max_input_bytes",
    "max_pixels",
    "max_unpacked_bytes",
    "max_declared_frames",
];

/// How an engine is set up.
pub(super) struct Running;

impl Taking for Asking {
    fn take(row: &Row) -> bool {
        row.subject != Subject::Engine
    }
}

impl Taking for Looking {
    fn take(row: &Row) -> bool {
        matches!(row.subject, Subject::Look(_))
    }
}

impl Taking for Seeing {
    fn take(row: &Row) -> bool {
        Looking::take(row) || OF_READING.contains(&row.name)
    }
}

impl Taking for Running {
    fn take(row: &Row) -> bool {
        row.subject == Subject::Engine
    }
}

impl<P: Taking> Given<P> {
    /// The options, read and checked.
    pub(super) fn chosen(&self) -> Result<Chosen> {
        let mut chosen = Chosen::default();
        for (row, values) in &self.0 {
            chosen.add(row, values)?;
        }
        // What contradicts is found now, and not by the first question.
        chosen.options()?;
        Ok(chosen)
    }
}

impl Given<Asking> {
    /// The options of questions that stop when this switch is thrown.
    pub(super) fn options(&self, cancel: Cancel) -> Result<Options> {
        let mut options = self.chosen()?.options()?;
        // Before the package is loaded, which takes a while.
        options.ask.check()?;
        options.look.check()?;
        options.ask.cancel = cancel;
        Ok(options)
    }
}

impl Given<Seeing> {
    /// The options, of which those that matter are set.
    pub(super) fn seen(&self) -> Result<Options> {
        let options = self.chosen()?.options()?;
        options.look.check()?;
        Ok(options)
    }
}

impl Given<Looking> {
    pub(super) fn look(&self) -> Result<Look> {
        Ok(self.chosen()?.options()?.look)
    }
}

impl<P: Taking> Args for Given<P> {
    fn augment_args(command: Command) -> Command {
        command.args(options().filter(|row| P::take(row)).map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<P: Taking> FromArgMatches for Given<P> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let rows = options().filter(|row| P::take(row));
        let given = rows.filter(|row| matches.value_source(row.name) == Some(ValueSource::CommandLine));
        let values = |row: &'static Row| match row.form {
            Form::Switch(..) => Vec::new(),
            _ => matches.get_raw(row.name).into_iter().flatten().map(OsString::from).collect(),
        };
        Ok(Self(given.map(|row| (row, values(row))).collect(), PhantomData))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What of a study is looked at, by the options of a text: `--slices 5 --axis=2`.
pub(super) fn look(text: &str) -> Result<Look> {
    let mut chosen = Chosen::default();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let row = options().find(|row| Looking::take(row) && name.strip_prefix("--") == Some(&row.long()));
        let row = row.ok_or_else(|| {
            unusable("options", "those of a study, such as --slices N", &word, "/help lists them")
        })?;
        if matches!(row.form, Form::Switch(..)) && value.is_none() {
            chosen.add(row, &[])?;
            continue;
        }
        let value = value
            .or_else(|| words.next())
            .ok_or_else(|| unusable(name, row.value, &"nothing", "write its value after it"))?;
        chosen.add(row, &[value.into()])?;
    }
    Ok(chosen.options()?.look)
}

/// The argument of a row. Its values are read by the library, which says what they may be.
fn argument(row: &'static Row) -> Arg {
    let argument = Arg::new(row.name).long(row.long()).help(help(row));
    if matches!(row.form, Form::Switch(..)) {
        return argument.action(ArgAction::SetTrue);
    }
    let action = if row.repeats() { ArgAction::Append } else { ArgAction::Set };
    let argument = argument.action(action).value_name(row.value).value_parser(clap::value_parser!(OsString));
    match row.form {
        Form::Parsed(..) => argument.allow_hyphen_values(true),
        Form::Whole(..) | Form::Real(..) => argument.allow_negative_numbers(true),
        _ => argument,
    }
}

/// What a row does, what it may be and what holds without it.
fn help(row: &Row) -> String {
    let default = row.default().map(|value| format!(" [default: {value}]")).unwrap_or_default();
    let may_be = row.may_be().filter(|_| tells(row)).map(|values| format!(" [{values}]")).unwrap_or_default();
    format!("{}{may_be}{default}", row.help)
}

/// Whether it helps to know what a row may be; bounds that nobody meets do not.
fn tells(row: &Row) -> bool {
    match row.form {
        Form::Whole(range, ..) => range.most <= 1 << 16,
        Form::Real(range, ..) => range.most <= 1e4,
        _ => true,
    }
}
