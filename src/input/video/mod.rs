//! Clips, by FFmpeg.

mod container;
mod tables;
mod raw;
mod avc;
mod hollow;
mod track;
mod timeline;
mod painter;
mod decoding;
mod walk;
mod seek;
mod clip;

pub(super) use clip::{open, sniff};

#[cfg(test)]
mod tests;
