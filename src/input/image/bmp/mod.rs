//! BMP.

mod header;
mod rle;
mod decode;

pub(super) use decode::{decode, size};
