//! Turns and studies to token ids and the splice map.
//!
//! A prompt is written as pieces: the template's text, whose control tokens count, the caller's text, whose letters are
//! all it is, and a mark for each frame. In reference mode everything is one text, as in InternVL's `chat()` and the
//! Fleming-VL script on top of it: control tokens count wherever they stand, and the first tags take the frames.

mod pieces;
mod reference;
mod clinical;
mod write;
mod splice;

#[cfg(test)]
mod tests;

pub(crate) use pieces::Written;
pub(crate) use splice::Spliced;
pub(crate) use write::{remarks, write};
