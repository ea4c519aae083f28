//! Clips, by FFmpeg.

mod container;
mod sampling;
mod track;
mod walk;
mod clip;

pub(super) use clip::{open, sniff};
