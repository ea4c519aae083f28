//! PNG.

mod chunks;
mod decode;

pub(super) use decode::{decode, size};
