//! PNG.

mod chunks;
mod decode;
mod clip;

pub(super) use clip::{outline, play};
pub(super) use decode::{decode, size};
