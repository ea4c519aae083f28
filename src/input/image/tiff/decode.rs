//! The first picture of a TIFF, read into the mode that Pillow would give it.
//!
//! Pillow turns TIFF pictures upright by itself, so here that belongs to the format and is not a mend.

use super::super::super::reading::ReadOptions;
use super::super::ifd::Ifd;
use super::super::layout;
use super::super::orientation::Orientation;
use super::super::picture::{Fault, Picture, checked_pixels};
use super::chunks::Chunks;
use super::meaning::{Fourth, Meaning, is_mapped, meaning};
use super::tag;
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// What stands before the pixels.
struct Page<'a> {
    ifd: Ifd<'a>,
    chunks: Chunks,
    meaning: Meaning,
}

impl<'a> Page<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Fault> {
        if matches!(bytes.get(..4), Some(b"II\x2b\x00" | b"MM\x00\x2b")) {
            return Err(Fault::unsupported("a BigTIFF"));
        }
        let ifd = Ifd::first(bytes).ok_or_else(|| Fault::damaged("TIFF", "a directory outside the file"))?;
        let side = |tag| ifd.value(tag).ok_or_else(|| Fault::damaged("TIFF", "no width or height"));
        let size = (side(tag::WIDTH)?, side(tag::HEIGHT)?);
        checked_pixels(size.0, size.1)?;
        let chunks = Chunks::of(&ifd, size)?;
        let meaning = meaning(&ifd, &chunks)?;
        Ok(Self { ifd, chunks, meaning })
    }
}

/// Width and height as it will be read.
pub(in crate::input::image) fn size(bytes: &[u8], preprocessing: Preprocessing) -> Result<(u32, u32), Fault> {
    let Page { ifd, chunks, meaning } = Page::of(bytes)?;
    Ok(match preprocessing == Preprocessing::Reference && is_mapped(meaning, &chunks) {
        // Jumbled, and of the size that was stored.
        true => chunks.size,
        false => Orientation::of_ifd(&ifd).upright(chunks.size),
    })
}

pub(in crate::input::image) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let Page { ifd, chunks, meaning } = Page::of(bytes)?;
    let (size, preprocessing) = (chunks.size, options.preprocessing);
    let pixels = checked_pixels(size.0, size.1)?;
    if preprocessing == Preprocessing::Reference
        && chunks.bits == 16
        && ifd.is_big_endian()
        && meaning.is_grey()
    {
        return Err(Fault::unsupported("a big-endian 16-bit grey TIFF, whose bytes the reference mixes up"));
    }
    let raw = chunks.read(bytes, &options.watch)?;
    let (mode, samples) = interpret(raw, &chunks, meaning, &ifd)?;
    if samples.len() != pixels * mode.bytes_per_pixel() {
        return Err(Fault::damaged("TIFF", "samples that do not fill the picture"));
    }
    let mut picture = Picture::new(size, mode, samples).turned(Orientation::of_ifd(&ifd));
    if preprocessing == Preprocessing::Reference && is_mapped(meaning, &chunks) {
        jumble(&mut picture, &chunks)?;
    }
    picture.stand_up();
    if picture.mode == PixelMode::Grey16 && meaning == Meaning::Inverted {
        invert16(&mut picture, preprocessing);
    }
    if ifd.has_next() {
        picture.remarks.push("Only the first page of this TIFF is looked at.".into());
    }
    Ok(picture)
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

/// Samples in rows that begin on a byte, 16-bit ones little-endian, to a mode.
fn interpret(
    raw: Vec<u8>,
    chunks: &Chunks,
    meaning: Meaning,
    ifd: &Ifd<'_>,
) -> Result<(PixelMode, Vec<u8>), Fault> {
    let bits = chunks.bits;
    if meaning.is_grey() {
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
