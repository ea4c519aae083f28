//! The table of codecs.

use super::stream::{Decoded, Geometry, RLE, StreamHeader};
use super::{jpeg, jpeg_2000, jpeg_ls, rle};
use crate::error::{Error, Result};
use crate::watch::Watch;

/// How pixels are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::input) enum Codec {
    /// DICOM's run lengths.
    Rle,
    /// JPEG: baseline, extended, progressive and lossless. The stream says which.
    Jpeg,
    /// JPEG-LS, lossless and near-lossless.
    JpegLs,
    /// JPEG 2000 and HTJ2K, lossless and lossy, in boxes (JP2) or bare.
    Jpeg2000,
}

/// One frame. It costs time and memory in proportion to the stream's bytes and the geometry's pixels.
///
/// # Errors
/// [`Error::Input`] that names the codec's stream as its thing, if the stream is damaged, cut off, of another
/// geometry, or of a kind that is not read. The watch's errors if it ends the work.
pub(in crate::input) fn decode(
    codec: Codec,
    bytes: &[u8],
    geometry: &Geometry,
    watch: &Watch,
) -> Result<Decoded> {
    watch.check()?;
    match codec {
        Codec::Rle => rle::decode(bytes, geometry, watch),
        Codec::Jpeg => jpeg::decode(bytes, geometry, watch),
        Codec::JpegLs => jpeg_ls::decode(bytes, geometry, watch),
        Codec::Jpeg2000 => jpeg_2000::decode(bytes, geometry, watch),
    }
}

/// What a stream says of itself; no pixel is made.
///
/// # Errors
/// [`Error::Input`] if the stream has no header that can be read. A stream of run lengths has none.
pub(in crate::input) fn header(codec: Codec, bytes: &[u8]) -> Result<StreamHeader> {
    match codec {
        Codec::Rle => {
            Err(Error::input(format!("{RLE} stream"), "a stream that says its size", "run lengths alone")
                .hint("take the size from the header of the study"))
        }
        Codec::Jpeg => jpeg::header(bytes),
        Codec::JpegLs => jpeg_ls::header(bytes),
        Codec::Jpeg2000 => jpeg_2000::header(bytes),
    }
}
