//! JPEG-LS (ISO/IEC 14495-1, ITU-T T.87): lossless and near-lossless, 2 to 16 bits, every interleave mode.

mod header;
mod bits;
mod contexts;
mod scan;
mod decode;

pub(super) use decode::{decode, header};

#[cfg(test)]
mod tests;
