//! How much of a file is read at most. Whoever runs the engine says so, and not whoever asks it.

use super::row::{Form, Row, Subject, number};
use crate::limits;

const fn row(name: &'static str, form: Form, help: &'static str) -> Row {
    Row::new(Subject::Engine, name, "N", form, help)
}

pub(super) static READING: [Row; 4] = [
    row(
        "max_input_bytes",
        number!(Whole, limits::READ_BYTES, engine.budget.input_bytes as u64),
        "Most bytes of a file that is read as a whole, as pictures are",
    ),
    row(
        "max_pixels",
        number!(Whole, limits::READ_PIXELS, engine.budget.pixels as u64),
        "Most pixels of one picture, frame or slice",
    ),
    row(
        "max_unpacked_bytes",
        number!(Whole, limits::READ_BYTES, engine.budget.unpacked_bytes as u64),
        "Most bytes of all frames of a study, and of what is unpacked on the way to them",
    ),
    row(
        "max_declared_frames",
        number!(Whole, limits::READ_FRAMES, engine.budget.declared_frames as u64),
        "Most frames, slices or pictures that a file may say it holds",
    ),
];
