//! TIFF and BigTIFF.

mod tag;
mod unpack;
mod jpeg;
mod chunks;
mod meaning;
mod decode;

pub(super) use decode::{decode, size};

#[cfg(test)]
mod tests;
