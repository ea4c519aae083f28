//! The audit: one line of JSON for each request, in a file that only its owner reads.

mod line;
mod options;
mod entry;
mod file;
mod log;

pub(crate) use entry::{Answer, Content, Entry, Failure, Keeps, Study, key_prefix};
pub(crate) use log::Audit;
