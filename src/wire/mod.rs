//! What goes in and out of a program as text: JSON of requests, studies, conversations, replies and errors, and the one
//! table of options. Every surface reads and writes by it.

mod error;
mod text;
mod json;
mod options;
mod study;
mod fields;
mod transcript;
mod case;
mod reply;
mod doctor;

pub use case::Case;
pub use doctor::{Checks, doctor, package_facts};
pub use doctor::{Round, Sample, gain, kernels, machine, noise, onnxruntime, overhead, round, summary};
pub use error::error;
pub use json::{json, json_object};
pub use options::{Chosen, Files, Form, Options, Row, Spelling, option, options, whole};
pub use reply::{FORM_CUT_OFF, Report, form, frame, package, reply, usage};
pub use study::{facts, look, read_study, study};
pub use text::{MOST_TEXT_BYTES, check_encoding, read_text, read_text_from, text_of};
pub use transcript::{Message, Piece, Transcript, next_question, transcript};

pub use crate::error::printable;
pub use crate::limits::{Real, Subject, Whole};
pub use crate::words::counted;

#[cfg(test)]
mod tests;
