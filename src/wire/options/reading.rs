//! How much of a file is read at most. Whoever runs the engine says so, and not whoever asks it.

use super::row::{Row, number};
use crate::input::Budget;

pub(super) static READING: [Row; 4] = [
    number!(
        Budget::MAX_INPUT_BYTES,
        engine.budget.input_bytes as u64,
        "N",
        "Most bytes of a file that is read as a whole, as pictures are"
    ),
    number!(
        Budget::MAX_PIXELS,
        engine.budget.pixels as u64,
        "N",
        "Most pixels of one picture, frame or slice"
    ),
    number!(
        Budget::MAX_UNPACKED_BYTES,
        engine.budget.unpacked_bytes as u64,
        "N",
        "Most bytes of all frames of a study, and of what is unpacked on the way to them"
    ),
    number!(
        Budget::MAX_DECLARED_FRAMES,
        engine.budget.declared_frames as u64,
        "N",
        "Most frames, slices or pictures that a file may say it holds"
    ),
];
