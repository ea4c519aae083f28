//! Data goes to stdout, everything else to stderr.

use std::fmt::Display;
use std::io::Write;

/// What whoever reads answers must know.
pub(super) const NOTICE: &str = "For research and non-clinical use. Not a medical device: do not base a diagnosis or treatment \
                                 on what it says.";

/// Writes a line to stderr. A full disk or a reader that has gone costs no answer.
pub(super) fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes to stdout at once. Where the reader has gone there is nobody left to work for.
pub(super) fn emit(text: impl Display) {
    let mut stdout = std::io::stdout();
    if write!(stdout, "{text}").and_then(|()| stdout.flush()).is_err() {
        std::process::exit(1);
    }
}
