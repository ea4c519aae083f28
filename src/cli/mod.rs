//! The command line: a guest of the library, one file for each verb.
//!
//! A file uses only files declared above it.

// ── in and out
mod output;
mod exit;
mod refusal;
mod files;
mod usage;
mod logs;
mod reading;
// ── what is given
mod arguments;
mod options;
mod studies;
mod question;
mod lines;
// ── what comes of it
mod answers;
mod cut;
mod display;
mod sheet;
mod trace;
mod agreement;
mod figures;
mod kept;
mod measured;
// ── verbs
mod ask;
mod chat;
mod batch;
mod eval;
mod bench;
mod doctor;
mod inspect;
mod preview;
#[cfg(feature = "server")]
mod serve;
mod warm;
mod command;

pub(crate) use command::run;
use output::emit;
