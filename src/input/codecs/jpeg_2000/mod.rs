//! JPEG 2000 (ITU-T T.800) and HTJ2K (T.814), lossless and lossy, in boxes or bare.

mod boxes;
mod header;
mod guard;
mod decode;

pub(super) use decode::{decode, header};

#[cfg(test)]
mod tests;
