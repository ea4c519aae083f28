//! Exit codes: 0 done; 2 the command, its files or its question are at fault; 1 the package or the machine is; 3 some
//! lines of a batch failed; 4 an answer was cut off that had a form to keep to; 5 a run was slower than it may be;
//! 130 interrupted.

use anyhow::{Context, Result};
use fleming::{Cancel, ErrorCode};

/// Exit code of a command that cannot be carried out as it was given.
pub(super) const MISUSED: u8 = 2;

/// Exit code of an answer that was cut off and so may not have the form that was asked for.
pub(super) const CUT_OFF: u8 = 4;

/// Exit code of a batch in which some lines could not be answered.
pub(super) const SOME_FAILED: u8 = 3;

/// Exit code of a run that was slower than a kept one by more than was allowed.
pub(super) const SLOWER: u8 = 5;

/// Exit code of what was interrupted.
pub(super) const INTERRUPTED: u8 = 130;

/// Exit code of a failure.
pub(super) fn code_of(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<fleming::Error>().map(fleming::Error::code) {
        Some(ErrorCode::Input | ErrorCode::Request | ErrorCode::TimedOut) => MISUSED,
        Some(ErrorCode::Cancelled) => INTERRUPTED,
        _ => 1,
    }
}

/// The first Ctrl-C ends the reply, the second the program.
pub(super) fn cancel_on_interrupt() -> Result<Cancel> {
    let cancel = Cancel::default();
    let thrown = cancel.clone();
    ctrlc::set_handler(move || {
        if thrown.is_cancelled() {
            std::process::exit(INTERRUPTED.into());
        }
        thrown.cancel();
    })
    .context("interrupt handler")?;
    Ok(cancel)
}
