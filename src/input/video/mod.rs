//! Clips, by FFmpeg.

mod container;
mod tables;
mod raw;
mod avc;
mod hollow;
mod track;
mod timeline;
mod painter;
mod planes;
mod items;
mod still;
mod decoding;
mod walk;
mod seek;
mod clip;

pub(super) use clip::{open, sniff};
pub(super) use planes::Planes;
pub(super) use still::{Still, StillHeader, decode_still, still_header};

#[cfg(test)]
mod tests;
