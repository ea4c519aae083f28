//! The formats of pictures.

use super::super::reading::ReadOptions;
#[cfg(feature = "video")]
use super::heif;
use super::picture::{Fault, Picture, Size};
use super::reel::{Outline, Reel};
use super::{bmp, gif, jpeg, jpeg_2000, png, tiff, webp};

/// What is known of a file format.
pub(super) struct Format {
    pub(super) name: &'static str,
    /// Whether a file that begins with these bytes has it.
    sniff: fn(&[u8]) -> bool,
    /// Width and height of the picture as it will be read, upright or not. No pixel is made.
    pub(super) size: fn(&[u8], &ReadOptions) -> Result<Size, Fault>,
    pub(super) decode: fn(&[u8], &ReadOptions) -> Result<Picture, Fault>,
    /// How its animations are read, if it has any.
    pub(super) moving: Option<Moving>,
}

/// How an animation is read.
#[derive(Clone, Copy)]
pub(super) struct Moving {
    /// What stands before the pixels; of a single picture too.
    pub(super) outline: fn(&[u8], &ReadOptions) -> Result<Outline, Fault>,
    /// Shows the pictures until the last that is kept.
    pub(super) play: fn(&[u8], &ReadOptions, &mut Reel) -> Result<(), Fault>,
}

impl Format {
    pub(super) fn of(head: &[u8]) -> Option<&'static Self> {
        FORMATS.iter().find(|format| (format.sniff)(head))
    }
}

static FORMATS: &[Format] = &[
    Format {
        name: "PNG",
        sniff: |head| head.starts_with(b"\x89PNG\r\n\x1a\n"),
        size: png::size,
        decode: png::decode,
        moving: Some(Moving { outline: png::outline, play: png::play }),
    },
    Format {
        name: "JPEG",
        sniff: |head| head.starts_with(b"\xff\xd8\xff"),
        size: jpeg::size,
        decode: jpeg::decode,
        moving: None,
    },
    Format {
        name: "JPEG 2000",
        sniff: is_jpeg_2000,
        size: jpeg_2000::size,
        decode: jpeg_2000::decode,
        moving: None,
    },
    Format { name: "BMP", sniff: is_bmp, size: bmp::size, decode: bmp::decode, moving: None },
    Format {
        name: "GIF",
        sniff: |head| head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a"),
        size: gif::size,
        decode: gif::decode,
        moving: Some(Moving { outline: gif::outline, play: gif::play }),
    },
    Format { name: "TIFF", sniff: is_tiff, size: tiff::size, decode: tiff::decode, moving: None },
    Format {
        name: "WebP",
        sniff: |head| head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP"),
        size: webp::size,
        decode: webp::decode,
        moving: Some(Moving { outline: webp::outline, play: webp::play }),
    },
    #[cfg(feature = "video")]
    Format { name: "AVIF", sniff: heif::is_avif, size: heif::size, decode: heif::decode, moving: None },
    #[cfg(feature = "video")]
    Format { name: "HEIC", sniff: heif::is_heic, size: heif::size, decode: heif::decode, moving: None },
];

/// In its boxes, or as a bare code stream.
fn is_jpeg_2000(head: &[u8]) -> bool {
    head.starts_with(b"\0\0\0\x0cjP  \r\n\x87\n") || head.starts_with(b"\xff\x4f\xff\x51")
}

/// "BM" alone begins many a text; the header's size says more.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM") && matches!(head.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// Magic number 43 is BigTIFF.
fn is_tiff(head: &[u8]) -> bool {
    matches!(head.get(..4), Some([b'I', b'I', 42 | 43, 0] | [b'M', b'M', 0, 42 | 43]))
}
