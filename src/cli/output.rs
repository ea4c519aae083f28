//! Data goes to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use fleming::{Facts, wire};

/// What whoever reads answers must know.
pub(super) const NOTICE: &str = "For research and non-clinical use. Not a medical device: do not base a diagnosis or treatment \
                                 on what it says.";

/// Writes lines to stderr, control characters escaped. A full disk or a reader that has gone costs no answer.
pub(super) fn note(text: impl Display) {
    let text = text.to_string();
    let lines: Vec<_> = text.split('\n').map(wire::printable).collect();
    let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
}

/// Says what failed, in one line.
pub(super) fn complain(error: &anyhow::Error) {
    let text = format!("{error:#}");
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    note(format_args!("error: {}", lines.join(" ")));
}

/// Writes to stdout at once.
pub(super) fn emit(text: impl Display) {
    let mut stdout = io::stdout();
    delivered(write!(stdout, "{text}").and_then(|()| stdout.flush()));
}

/// Ends the program if stdout could not be written: there is nobody left to work for. A reader that has gone needs no word.
pub(super) fn delivered(written: io::Result<()>) {
    let Err(error) = written else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        let mut facts = Facts::new("standard output", "a place that can be written", error);
        facts.hint = "make room, or send it elsewhere".into();
        note(format_args!("error: {facts}"));
    }
    std::process::exit(1);
}
