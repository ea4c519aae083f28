//! Decoders of compressed frames, as DICOM and some picture files hold them. A frame's size and depth are known before it is
//! decoded; a stream that does not agree is refused.

mod stream;
mod markers;
mod colour;
// ── codecs
mod rle;
mod jpeg;
mod jpeg_ls;
mod jpeg_2000;
// ── the table of them
mod codec;

pub(in crate::input) use codec::{Codec, decode, header};
pub(in crate::input) use colour::rgb_of_ycbcr;
#[cfg(feature = "jpeg-turbo")]
pub(in crate::input) use jpeg::is_harmless;
pub(in crate::input) use stream::{Colour, Geometry, StreamHeader};

#[cfg(test)]
pub(in crate::input) mod samples;
#[cfg(test)]
mod tests;
