//! TIFF: the first picture of a file, read into the mode that Pillow would give it.
//!
//! Pillow turns TIFF pictures upright by itself, so here that belongs to the format and is not a mend.

mod chunks;

use self::chunks::Chunks;
use super::ifd::Ifd;
use super::orientation::{self, Orientation};
use super::{Fault, Picture, checked_pixels, layout};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Numbers of the tags read here and in `chunks`.
mod tag {
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const SAMPLES: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_LENGTHS: u16 = 279;
    pub const PLANAR: u16 = 284;
    pub const PREDICTOR: u16 = 317;
    pub const COLOURS: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_LENGTHS: u16 = 325;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
}

/// What a fourth sample beside three colours is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fourth {
    None,
    Alpha,
    /// Alpha that the colours are already multiplied by.
    Premultiplied,
    Meaningless,
}

/// The meaning of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Grey,
    /// Grey whose 0 is white.
    Inverted,
    GreyAlpha,
    Palette,
    Rgb(Fourth),
    Cmyk,
}

pub(super) fn decode(bytes: &[u8], preprocessing: Preprocessing) -> Result<Picture, Fault> {
    if matches!(bytes.get(..4), Some(b"II\x2b\x00" | b"MM\x00\x2b")) {
        return Err(Fault::unsupported("a BigTIFF"));
    }
    let ifd = Ifd::first(bytes).ok_or_else(|| Fault::damaged("TIFF", "a directory outside the file"))?;
    let side = |tag| ifd.value(tag).ok_or_else(|| Fault::damaged("TIFF", "no width or height"));
    let size = (side(tag::WIDTH)?, side(tag::HEIGHT)?);
    let pixels = checked_pixels(size.0, size.1)?;
    let chunks = Chunks::of(&ifd, size)?;
    let meaning = meaning(&ifd, &chunks)?;
    if preprocessing == Preprocessing::Reference
        && chunks.bits == 16
        && ifd.is_big_endian()
        && meaning_is_grey(meaning)
    {
        return Err(Fault::unsupported("a big-endian 16-bit grey TIFF, whose bytes the reference mixes up"));
    }
    let raw = chunks.read(bytes)?;
    let (mode, samples) = interpret(raw, &chunks, meaning, &ifd)?;
    if samples.len() != pixels * mode.bytes_per_pixel() {
        return Err(Fault::damaged("TIFF", "samples that do not fill the picture"));
    }
    let mut picture = Picture::new(size, mode, samples).turned(Orientation::of_ifd(&ifd));
    if preprocessing == Preprocessing::Reference && is_mapped(meaning, &chunks) {
        jumble(&mut picture, &chunks)?;
    }
    orientation::apply(&mut picture);
    if picture.mode == PixelMode::Grey16 && meaning == Meaning::Inverted {
        invert16(&mut picture, preprocessing);
    }
    if ifd.has_next() {
        picture.remarks.push("Only the first page of this TIFF is looked at.".into());
    }
    Ok(picture)
}

fn meaning_is_grey(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::Grey | Meaning::Inverted)
}

/// Whether Pillow maps the file into memory instead of reading it: its samples are in the file as they are in
/// memory.
fn is_mapped(meaning: Meaning, chunks: &Chunks) -> bool {
    let is_as_in_memory = match meaning {
        Meaning::Grey => chunks.bits >= 8,
        Meaning::Inverted => chunks.bits == 16,
        Meaning::Palette => chunks.bits == 8,
        Meaning::Rgb(Fourth::Alpha) | Meaning::Cmyk => chunks.bits == 8 && chunks.samples == 4,
        Meaning::Rgb(_) | Meaning::GreyAlpha => false,
    };
    is_as_in_memory && chunks.is_one_plain_piece()
}

/// What Pillow does to a mapped picture that lies on its side: it takes the length of a row for that of a
/// column.
fn jumble(picture: &mut Picture, chunks: &Chunks) -> Result<(), Fault> {
    if !picture.orientation.is_sideways() {
        return Ok(());
    }
    if chunks.is_tiled() {
        return Err(Fault::unsupported("a sideways TIFF that the reference jumbles"));
    }
    std::mem::swap(&mut picture.width, &mut picture.height);
    let remark = "This TIFF lies on its side and is jumbled, as in the reference.";
    picture.remarks.push(remark.into());
    Ok(())
}

/// Pillow overlooks that 0 is white, but only at 16 bits.
fn invert16(picture: &mut Picture, preprocessing: Preprocessing) {
    let remark = match preprocessing {
        Preprocessing::Reference => {
            "In this 16-bit TIFF 0 means white; it is read as black, as in the reference."
        }
        Preprocessing::Clinical => {
            picture.samples.iter_mut().for_each(|byte| *byte = !*byte);
            "This 16-bit TIFF, in which 0 means white, was inverted."
        }
    };
    picture.remarks.push(remark.into());
}

/// The meaning of the samples, if Pillow has a mode for it that is reproduced here.
fn meaning(ifd: &Ifd<'_>, chunks: &Chunks) -> Result<Meaning, Fault> {
    let photometric = ifd.value(tag::PHOTOMETRIC).unwrap_or(0);
    let extras = ifd.values(tag::EXTRA_SAMPLES).unwrap_or_default();
    let formats = ifd.values(tag::SAMPLE_FORMAT).unwrap_or_else(|| vec![1]);
    let (bits, samples) = (chunks.bits, chunks.samples);
    let unsupported = || {
        let got = format!(
            "a TIFF of {samples} samples of {bits} bits, photometric interpretation {photometric}, sample format {}{}{}",
            formats.first().copied().unwrap_or(1),
            if chunks.planar { ", in planes" } else { "" },
            if chunks.reversed { ", with reversed bits" } else { "" },
        );
        Err(Fault::unsupported(got))
    };
    // 8-bit grey may be marked signed: Pillow reads it as if it were not.
    let signed_grey = photometric == 1 && bits == 8 && samples == 1 && formats == [2];
    if !(formats.iter().all(|&format| format == 1) || signed_grey) {
        return unsupported();
    }
    let is_colour = matches!(bits, 8 | 16);
    let rest_is_padding = |from: usize| extras.iter().skip(from).all(|&extra| extra == 0);
    // More samples than four: 8-bit padding only.
    let few = samples <= 4 || bits == 8;
    let kind = (photometric, samples, extras.as_slice());
    // Pillow reads few kinds of planes and of reversed bits as they are meant.
    let is_plain = bits == 8 && matches!(kind, (2, 3, []) | (2, 4, [2]) | (5, 4, []));
    let reversible =
        bits == 1 && photometric <= 1 || bits == 8 && matches!(kind, (1 | 3, 1, []) | (2, 3, []));
    if chunks.planar && !is_plain || chunks.reversed && !reversible {
        return unsupported();
    }
    Ok(match kind {
        (0, 1, []) if bits <= 16 => Meaning::Inverted,
        (1, 1, []) if bits <= 16 => Meaning::Grey,
        (1, 2, [2]) if bits == 8 => Meaning::GreyAlpha,
        (3, 1, []) if bits <= 8 => Meaning::Palette,
        (2, 3, []) if is_colour => Meaning::Rgb(Fourth::None),
        (2, 4, []) if is_colour => Meaning::Rgb(Fourth::Alpha),
        (2, 4, [999]) if bits == 8 => Meaning::Rgb(Fourth::Alpha),
        (2, 4..=6, [first, ..]) if is_colour && few && samples == 3 + extras.len() && rest_is_padding(1) => {
            match first {
                0 => Meaning::Rgb(Fourth::Meaningless),
                1 => Meaning::Rgb(Fourth::Premultiplied),
                2 => Meaning::Rgb(Fourth::Alpha),
                _ => return unsupported(),
            }
        }
        (5, 4, []) if is_colour => Meaning::Cmyk,
        (5, 5..=6, [..]) if bits == 8 && samples == 4 + extras.len() && rest_is_padding(0) => Meaning::Cmyk,
        _ => return unsupported(),
    })
}

/// Samples in rows that begin on a byte, 16-bit ones little-endian, to a mode.
fn interpret(
    raw: Vec<u8>,
    chunks: &Chunks,
    meaning: Meaning,
    ifd: &Ifd<'_>,
) -> Result<(PixelMode, Vec<u8>), Fault> {
    let bits = chunks.bits;
    if meaning_is_grey(meaning) {
        if bits == 16 {
            return Ok((PixelMode::Grey16, raw));
        }
        let (mode, mut samples) = layout::grey(layout::unpack(&raw, chunks.size, bits), bits);
        if meaning == Meaning::Inverted {
            samples.iter_mut().for_each(|sample| *sample = !*sample);
        }
        return Ok((mode, samples));
    }
    if meaning == Meaning::Palette {
        let mode = layout::palette(colours(ifd, bits)?);
        return Ok((mode, layout::unpack(&raw, chunks.size, bits)));
    }
    let raw = if bits == 16 { layout::high_bytes(&raw) } else { raw };
    let (mode, kept) = match meaning {
        Meaning::GreyAlpha => (PixelMode::GreyAlpha, 2),
        Meaning::Cmyk => (PixelMode::Cmyk, 4),
        Meaning::Rgb(Fourth::Alpha | Fourth::Premultiplied) => (PixelMode::Rgba, 4),
        _ => (PixelMode::Rgb, 3),
    };
    let mut samples = raw;
    if chunks.samples != kept {
        samples = samples.chunks_exact(chunks.samples).flat_map(|pixel| &pixel[..kept]).copied().collect();
    }
    if meaning == Meaning::Rgb(Fourth::Premultiplied) {
        samples.chunks_exact_mut(4).for_each(divide);
    }
    Ok((mode, samples))
}

/// Colours out of their product with alpha, rounded down.
fn divide(pixel: &mut [u8]) {
    let alpha = u32::from(pixel[3]);
    for colour in &mut pixel[..3] {
        *colour = (u32::from(*colour) * 255).checked_div(alpha).unwrap_or(0).min(255) as u8;
    }
}

/// All reds, then all greens, then all blues, in 16 bits of which Pillow keeps the high ones.
fn colours(ifd: &Ifd<'_>, bits: u32) -> Result<impl Iterator<Item = [u8; 3]>, Fault> {
    let table = ifd.values(tag::COLOURS).unwrap_or_default();
    let count = 1 << bits;
    if table.len() != 3 * count {
        return Err(Fault::damaged("TIFF", format!("a palette of {} values", table.len())));
    }
    Ok((0..count).map(move |index| [0, 1, 2].map(|band| (table[band * count + index] >> 8) as u8)))
}
