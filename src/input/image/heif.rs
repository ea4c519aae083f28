//! Pictures in HEIC and AVIF files, which FFmpeg decodes. The reference script reads none.

use super::super::reading::ReadOptions;
use super::super::video::{Still, StillHeader, decode_still, still_header};
use super::orientation::Orientation;
use super::picture::{Fault, Picture, Size};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Whether a file that begins with these bytes holds pictures coded by AV1.
pub(super) fn is_avif(head: &[u8]) -> bool {
    matches!(brand(head), Some(b"avif" | b"avis"))
}

/// Whether it holds such pictures coded by another codec, as a rule HEVC.
pub(super) fn is_heic(head: &[u8]) -> bool {
    matches!(brand(head), Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1"))
}

fn brand(head: &[u8]) -> Option<&[u8; 4]> {
    head.get(4..)?.strip_prefix(b"ftyp")?.first_chunk()
}

pub(super) fn size(bytes: &[u8], options: &ReadOptions) -> Result<Size, Fault> {
    if options.preprocessing == Preprocessing::Reference {
        let hint = "it can be read with clinical preprocessing; or convert it to PNG".into();
        return Err(Fault { hint, ..Fault::unsupported("a HEIC or AVIF image") });
    }
    let StillHeader { size: [width, height], orientation } = still_header(bytes, options)?;
    Ok(Orientation::of(orientation).upright((width, height)))
}

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let Still { header, samples, has_alpha, remarks } = decode_still(bytes, options)?;
    let mode = if has_alpha { PixelMode::Rgba } else { PixelMode::Rgb };
    let mut picture =
        Picture::new(header.size.into(), mode, samples).turned(Orientation::of(header.orientation));
    picture.remarks = remarks;
    Ok(picture)
}
