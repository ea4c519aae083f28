//! JPEG (ITU-T T.81): baseline, extended with 8 and 12 bits, progressive, and lossless with 2 to 16 bits.
//!
//! Samples come out as they were coded, without a change of colours.

mod huffman;
mod header;
mod lossless;
mod idct;
mod upsample;
mod sequential;
#[cfg(feature = "jpeg-turbo")]
mod turbo;
mod decode;

pub(super) use decode::{decode, header};
#[cfg(feature = "jpeg-turbo")]
pub(in crate::input) use turbo::is_harmless;

#[cfg(test)]
mod tests;
