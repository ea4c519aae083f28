//! Clips, by FFmpeg.

mod container;
mod track;
mod walk;
mod clip;

pub(super) use clip::{open, sniff};
