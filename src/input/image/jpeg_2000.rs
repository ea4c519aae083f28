//! JPEG 2000, in its boxes or as a bare code stream.

use super::super::codecs::Codec;
use super::super::reading::ReadOptions;
use super::coded;
use super::picture::{Fault, Picture, Size};

pub(super) fn size(bytes: &[u8], options: &ReadOptions) -> Result<Size, Fault> {
    coded::size(Codec::Jpeg2000, bytes, options)
}

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    coded::decode(Codec::Jpeg2000, bytes, options)
}
