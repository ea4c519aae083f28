//! TIFF.

mod tag;
mod chunks;
mod meaning;
mod decode;

pub(super) use decode::{decode, size};
