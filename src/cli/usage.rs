//! What the parser of the command line says: help and versions on stdout, refusals on stderr in one line like all others.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use fleming::Facts;

use super::exit::MISUSED;
use super::output::{delivered, note};

/// Says it. `command` is what was called, such as `fleming ask`.
pub(super) fn told(error: &clap::Error, command: &str) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            delivered(error.print().and_then(|()| io::stdout().flush()));
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A stderr that cannot be written changes no exit code.
            let _ = error.print();
            ExitCode::from(MISUSED)
        }
        _ => {
            note(format_args!("error: {}", refusal(error, command)));
            ExitCode::from(MISUSED)
        }
    }
}

/// A refusal in four facts.
fn refusal(error: &clap::Error, command: &str) -> Facts {
    let said = |kind| text(error, kind);
    let (argument, value) = (said(ContextKind::InvalidArg), said(ContextKind::InvalidValue));
    let (name, placeholder) = argument.split_once(' ').unwrap_or((&argument, ""));
    let value = if value.is_empty() { "nothing" } else { &value };
    let mut facts = match error.kind() {
        ErrorKind::InvalidSubcommand => Facts::new(
            said(ContextKind::InvalidSubcommand),
            format!("a command of {command}"),
            "an unknown one",
        ),
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            Facts::new(&argument, format!("an option of {command}"), "an unknown one")
        }
        ErrorKind::UnknownArgument => {
            Facts::new(&argument, format!("an argument of {command}"), "one too many")
        }
        ErrorKind::MissingRequiredArgument => Facts::new(command, &argument, "nothing"),
        ErrorKind::ArgumentConflict => match said(ContextKind::PriorArg) {
            other if other == argument => Facts::new(name, "to be given once", "several"),
            other => Facts::new(name, format!("none of {other} beside it"), "both"),
        },
        ErrorKind::ValueValidation => Facts::new(name, values(placeholder), value),
        ErrorKind::InvalidValue => match said(ContextKind::ValidValue) {
            valid if valid.is_empty() => Facts::new(name, values(placeholder), value),
            valid => Facts::new(name, format!("one of {valid}"), value),
        },
        ErrorKind::TooManyValues => Facts::new(name, "no value", value),
        ErrorKind::InvalidUtf8 => Facts::new(command, "arguments in UTF-8", "other bytes"),
        _ => Facts::new(
            command,
            "arguments that it knows",
            error.to_string().lines().next().unwrap_or_default(),
        ),
    };
    let similar = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let similar = similar.map(said).into_iter().find(|name| !name.is_empty());
    let similar = similar.map_or(String::new(), |name| format!("{name} is similar; "));
    facts.hint = format!("{similar}see {command} --help");
    facts
}

/// What the values of a placeholder are.
fn values(placeholder: &str) -> &str {
    match placeholder {
        "<N>" => "a whole number",
        "<N,…>" => "whole numbers with commas between them",
        "<i/n>" => "i/n with i from 1 to n, such as 1/4",
        // A file or a folder without an option before it.
        "" => "a value",
        other => other,
    }
}

/// What the parser knows of its refusal.
fn text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(ContextValue::StyledStr(text)) => text.to_string(),
        Some(ContextValue::StyledStrs(texts)) => {
            texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        Some(ContextValue::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}
