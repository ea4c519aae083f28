//! A single picture from a file, in the pixel mode that Pillow 11.3 would open it in.
//!
//! The mode matters because the reference resizes in it; a mode that this crate does not reproduce exactly is
//! refused by name.

mod bmp;
mod gif;
mod ifd;
mod jpeg;
mod layout;
mod orientation;
mod png;
mod tiff;
mod webp;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use self::orientation::Orientation;
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, PixelMode, Provenance, Study, looked_up, values16};
use crate::study::{Preprocessing, Source};

/// Pillow refuses larger pictures as decompression bombs.
const MOST_PIXELS: u64 = 178_956_970;
/// The largest file read into memory; the largest picture uncompressed, at 16 bits and four channels, fits.
const MOST_BYTES: u64 = 2 << 30;

/// A picture as its decoder leaves it.
struct Picture {
    width: u32,
    height: u32,
    mode: PixelMode,
    samples: Vec<u8>,
    /// How the file says it is to be turned; upright where Pillow itself turns it.
    orientation: Orientation,
    /// What the owner should know, one sentence each.
    remarks: Vec<String>,
}

impl Picture {
    fn new(size: (u32, u32), mode: PixelMode, samples: Vec<u8>) -> Self {
        let (width, height) = size;
        Self { width, height, mode, samples, orientation: Orientation::UPRIGHT, remarks: Vec::new() }
    }

    fn turned(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }
}

/// Why a decoder gave up; [`read`] adds the file's name.
struct Fault {
    wanted: Cow<'static, str>,
    got: String,
    hint: &'static str,
}

impl Fault {
    fn damaged(format: &str, got: impl std::fmt::Display) -> Self {
        Self {
            wanted: format!("a complete, undamaged {format} image").into(),
            got: got.to_string(),
            hint: "save or copy the image again",
        }
    }

    fn unsupported(got: impl Into<String>) -> Self {
        Self {
            wanted: "a pixel format that can be read exactly as the reference reads it".into(),
            got: got.into(),
            hint: "convert the image to 8-bit grey or RGB PNG",
        }
    }

    fn named(self, thing: &str) -> Error {
        Error::input(thing, self.wanted, self.got).hint(self.hint)
    }
}

/// The number of pixels, if a picture of this size may be read at all. To be called before anything is
/// allocated.
fn checked_pixels(width: u32, height: u32) -> std::result::Result<usize, Fault> {
    let pixels = u64::from(width) * u64::from(height);
    if (1..=MOST_PIXELS).contains(&pixels) {
        // At most 2^28: fits any usize of the targets that ONNX Runtime has.
        return Ok(pixels as usize);
    }
    Err(Fault {
        wanted: format!("1 to {MOST_PIXELS} pixels").into(),
        got: format!("{width}×{height} = {pixels} pixels"),
        hint: "scale the image down; the model sees 448×448 pixels of it",
    })
}

/// What is known of a file format.
struct Format {
    name: &'static str,
    /// Whether a file that begins with these bytes has it.
    sniff: fn(&[u8]) -> bool,
    decode: fn(&[u8], Preprocessing) -> std::result::Result<Picture, Fault>,
}

impl Format {
    fn of(head: &[u8]) -> Option<&'static Self> {
        FORMATS.iter().find(|format| (format.sniff)(head))
    }
}

const FORMATS: [Format; 6] = [
    Format { name: "PNG", sniff: |head| head.starts_with(b"\x89PNG\r\n\x1a\n"), decode: png::decode },
    Format { name: "JPEG", sniff: |head| head.starts_with(b"\xff\xd8\xff"), decode: jpeg::decode },
    Format { name: "BMP", sniff: is_bmp, decode: bmp::decode },
    Format {
        name: "GIF",
        sniff: |head| head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a"),
        decode: gif::decode,
    },
    Format { name: "TIFF", sniff: is_tiff, decode: tiff::decode },
    Format {
        name: "WebP",
        sniff: |head| head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP"),
        decode: webp::decode,
    },
];

/// "BM" alone begins many a text; the header's size says more.
fn is_bmp(head: &[u8]) -> bool {
    head.starts_with(b"BM") && matches!(head.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// Magic number 43 is BigTIFF.
fn is_tiff(head: &[u8]) -> bool {
    matches!(head.get(..4), Some([b'I', b'I', 42 | 43, 0] | [b'M', b'M', 0, 42 | 43]))
}

/// The name of the image format that a file beginning with `head` has, judged by content alone.
pub(super) fn is_image(head: &[u8]) -> Option<&'static str> {
    Format::of(head).map(|format| format.name)
}

/// The picture in `source`, as a study of one frame.
///
/// # Errors
/// [`Error::Input`] if it is not an image, is damaged or too large, or has a mode that cannot be reproduced.
pub(super) fn read(source: &Source, preprocessing: Preprocessing) -> Result<Study> {
    let name = source.name();
    let bytes = content(source)?;
    let Some(format) = Format::of(&bytes) else {
        let got = if bytes.is_empty() { "an empty file" } else { "something else" };
        return Err(Error::input(&name, "an image (PNG, JPEG, BMP, GIF, TIFF or WebP)", got)
            .hint("videos and volumes have their own options"));
    };
    let mut picture = (format.decode)(&bytes, preprocessing).map_err(|fault| fault.named(&name))?;
    match preprocessing {
        Preprocessing::Reference => remark_defects(&mut picture),
        Preprocessing::Clinical => mend(&mut picture),
    }
    let Picture { width, height, mode, samples, remarks, .. } = picture;
    Ok(Study {
        modality: Modality::Image,
        frames: vec![Frame::new(width, height, mode, samples, Provenance::default())?],
        source: name,
        warnings: remarks,
    })
}

fn content(source: &Source) -> Result<Cow<'_, [u8]>> {
    match source {
        Source::Bytes { bytes, .. } => Ok(Cow::Borrowed(bytes)),
        Source::Path(path) => read_file(path, &source.name()).map(Cow::Owned),
        Source::Files(_) => Err(super::several(source)),
    }
}

fn read_file(path: &Path, name: &str) -> Result<Vec<u8>> {
    let wanted = "a readable image file";
    let unreadable = |error: std::io::Error| Error::input(name, wanted, error).hint("check the path");
    let facts = fs::metadata(path).map_err(unreadable)?;
    if facts.is_dir() {
        return Err(Error::input(name, wanted, "a folder").hint("name one file in it"));
    }
    // A pipe or a device may never end.
    if !facts.is_file() {
        return Err(Error::input(name, wanted, "something that is no regular file").hint("copy it to a file"));
    }
    if facts.len() > MOST_BYTES {
        return Err(Error::input(
            name,
            format!("at most {MOST_BYTES} bytes"),
            format!("{} bytes", facts.len()),
        )
        .hint("an image of this size cannot be read; scale it down"));
    }
    fs::read(path).map_err(unreadable)
}

/// Says where the reference's way does the picture harm.
fn remark_defects(picture: &mut Picture) {
    if picture.mode == PixelMode::Grey16 {
        let clipped = values16(&picture.samples).filter(|&value| value > 255).count();
        if clipped > 0 {
            let pixels = picture.samples.len() / 2;
            picture.remarks.push(format!(
                "{clipped} of {pixels} pixels of this 16-bit image are above 255 and become white, as in the \
                 reference."
            ));
        }
    }
    if picture.orientation != Orientation::UPRIGHT {
        let tag = picture.orientation.tag();
        picture.remarks.push(format!("The EXIF orientation ({tag}) is ignored, as in the reference."));
    }
}

/// Puts right what the reference does wrong, and says so.
fn mend(picture: &mut Picture) {
    if picture.orientation != Orientation::UPRIGHT {
        let tag = picture.orientation.tag();
        orientation::apply(picture);
        picture.remarks.push(format!("The image was turned upright by its EXIF orientation ({tag})."));
    }
    match std::mem::replace(&mut picture.mode, PixelMode::Grey) {
        PixelMode::Palette(colours) => {
            picture.samples = looked_up(&picture.samples, &colours);
            picture.mode = PixelMode::Rgb;
            picture.remarks.push("The palette image was converted to RGB before resizing.".into());
        }
        PixelMode::Bilevel => {
            picture.remarks.push("The 1-bit image was converted to grey before resizing.".into());
        }
        PixelMode::Grey16 => {
            let (low, high) = scale16(&mut picture.samples);
            picture.remarks.push(format!("The 16-bit values {low} to {high} were scaled to 0 to 255."));
        }
        mode => picture.mode = mode,
    }
}

/// 16-bit samples to 8 bits over their own range, rounded half up; a constant picture becomes black.
fn scale16(samples: &mut Vec<u8>) -> (u16, u16) {
    let (low, high) =
        values16(samples).fold((u16::MAX, u16::MIN), |(low, high), v| (low.min(v), high.max(v)));
    let range = u32::from(high.saturating_sub(low)).max(1);
    *samples = values16(samples)
        .map(|value| ((u32::from(value - low) * 255 * 2 + range) / (2 * range)) as u8)
        .collect();
    (low, high)
}
