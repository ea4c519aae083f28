//! The first picture of a TIFF, read into the mode that Pillow would give it.
//!
//! Pillow turns TIFF pictures upright by itself, so here that belongs to the format and is not a mend.

use super::super::super::limits::collected;
use super::super::super::reading::ReadOptions;
use super::super::ifd::Ifd;
use super::super::layout;
use super::super::orientation::Orientation;
use super::super::picture::{Fault, Picture};
use super::super::wide::{Number, Wide};
use super::chunks::Chunks;
use super::meaning::{Fourth, Meaning, is_mapped, meaning};
use super::tag;
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// What stands before the pixels.
struct Page<'a> {
    ifd: Ifd<'a>,
    chunks: Chunks<'a>,
    meaning: Meaning,
    /// The type of samples that Pillow has no mode for.
    number: Option<Number>,
}

impl<'a> Page<'a> {
    fn of(bytes: &'a [u8], options: &ReadOptions) -> Result<Self, Fault> {
        let ifd = Ifd::first(bytes).ok_or_else(|| Fault::damaged("TIFF", "a directory outside the file"))?;
        let side = |tag| ifd.value(tag).ok_or_else(|| Fault::damaged("TIFF", "no width or height"));
        let size = (side(tag::WIDTH)?, side(tag::HEIGHT)?);
        options.budget.check_pixels("", size.0, size.1)?;
        let chunks = Chunks::of(&ifd, size, &options.budget)?;
        let (meaning, number) = meaning(&ifd, &chunks, options.preprocessing)?;
        Ok(Self { ifd, chunks, meaning, number })
    }
}

/// Width and height as it will be read.
pub(in crate::input::image) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    let Page { ifd, chunks, meaning, .. } = Page::of(bytes, options)?;
    Ok(match options.preprocessing == Preprocessing::Reference && is_mapped(meaning, &chunks) {
        // Jumbled, and of the size that was stored.
        true => chunks.size,
        false => Orientation::of_ifd(&ifd).upright(chunks.size),
    })
}

pub(in crate::input::image) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let Page { ifd, chunks, meaning, number } = Page::of(bytes, options)?;
    let (size, preprocessing) = (chunks.size, options.preprocessing);
    let pixels = options.budget.check_pixels("", size.0, size.1)?;
    if preprocessing == Preprocessing::Reference
        && chunks.bits == 16
        && ifd.is_big_endian()
        && meaning.is_grey()
    {
        return Err(Fault::unsupported("a big-endian 16-bit grey TIFF, whose bytes the reference mixes up"));
    }
    let raw = chunks.read(bytes, options)?;
    let picture = match number {
        Some(number) => scaled(raw, &chunks, meaning, number)?,
        None => interpret(raw, &chunks, (meaning, preprocessing), &ifd)?,
    };
    if picture.samples.len() != pixels * picture.mode.bytes_per_pixel() {
        return Err(Fault::damaged("TIFF", "samples that do not fill the picture"));
    }
    let mut picture = picture.turned(Orientation::of_ifd(&ifd));
    if preprocessing == Preprocessing::Reference && is_mapped(meaning, &chunks) {
        jumble(&mut picture, &chunks)?;
    }
    picture.stand_up()?;
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
fn jumble(picture: &mut Picture, chunks: &Chunks<'_>) -> Result<(), Fault> {
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

/// Samples that Pillow has no mode for, scaled to 8 bits.
fn scaled(raw: Vec<u8>, chunks: &Chunks<'_>, meaning: Meaning, number: Number) -> Result<Picture, Fault> {
    let (mode, colours, alpha) = channels(meaning);
    let wide = Wide { number, bits: chunks.bits, colours, alpha, samples: chunks.samples };
    let mut picture = wide.scaled(chunks.size, mode, raw)?;
    if meaning == Meaning::Inverted {
        picture.samples.iter_mut().for_each(|sample| *sample = !*sample);
        picture.remarks.push("This TIFF, in which the lowest value means white, was inverted.".into());
    }
    Ok(picture)
}

/// The mode of pixels of 8 bits a channel, how many colours they have and which channel is alpha.
fn channels(meaning: Meaning) -> (PixelMode, usize, Option<usize>) {
    match meaning {
        Meaning::Grey | Meaning::Inverted | Meaning::Palette => (PixelMode::Grey, 1, None),
        Meaning::GreyAlpha => (PixelMode::GreyAlpha, 1, Some(1)),
        Meaning::Cmyk => (PixelMode::Cmyk, 4, None),
        Meaning::Rgb(Fourth::Alpha | Fourth::Premultiplied) => (PixelMode::Rgba, 3, Some(3)),
        Meaning::Rgb(Fourth::None | Fourth::Meaningless) => (PixelMode::Rgb, 3, None),
    }
}

/// Samples in rows that begin on a byte, 16-bit ones little-endian, as a picture that lies as it is stored.
fn interpret(
    raw: Vec<u8>,
    chunks: &Chunks<'_>,
    (meaning, preprocessing): (Meaning, Preprocessing),
    ifd: &Ifd<'_>,
) -> Result<Picture, Fault> {
    let (bits, size) = (chunks.bits, chunks.size);
    if meaning.is_grey() {
        if bits == 16 {
            return Ok(Picture::new(size, PixelMode::Grey16, raw));
        }
        let (mode, mut samples) = layout::grey(layout::unpack(raw, size, bits)?, bits);
        if meaning == Meaning::Inverted {
            samples.iter_mut().for_each(|sample| *sample = !*sample);
        }
        return Ok(Picture::new(size, mode, samples));
    }
    if meaning == Meaning::Palette {
        let mode = layout::palette(colours(ifd, bits)?);
        return Ok(Picture::new(size, mode, layout::unpack(raw, size, bits)?));
    }
    let (mode, colours, alpha) = channels(meaning);
    let premultiplied = meaning == Meaning::Rgb(Fourth::Premultiplied);
    let mut picture = match bits {
        16 => {
            let mut raw = raw;
            if premultiplied && preprocessing == Preprocessing::Clinical {
                raw.chunks_exact_mut(2 * chunks.samples).for_each(divide16);
            }
            let wide = Wide::words(colours, alpha, chunks.samples);
            match preprocessing {
                Preprocessing::Reference => wide.cut(size, mode, raw),
                Preprocessing::Clinical => wide.scaled(size, mode, raw)?,
            }
        }
        _ => {
            let kept = colours + usize::from(alpha.is_some());
            let mut samples = raw;
            if chunks.samples != kept {
                let pixels = samples.chunks_exact(chunks.samples);
                let count = pixels.len() * kept;
                samples = collected("", count, pixels.flat_map(|pixel| &pixel[..kept]).copied())?;
            }
            Picture::new(size, mode, samples)
        }
    };
    if premultiplied && (bits != 16 || preprocessing == Preprocessing::Reference) {
        picture.samples.chunks_exact_mut(4).for_each(divide);
    }
    Ok(picture)
}

/// Colours out of their product with alpha, rounded down.
fn divide(pixel: &mut [u8]) {
    let alpha = u32::from(pixel[3]);
    for colour in &mut pixel[..3] {
        *colour = (u32::from(*colour) * 255).checked_div(alpha).unwrap_or(0).min(255) as u8;
    }
}

/// The same of little-endian 16-bit samples.
fn divide16(pixel: &mut [u8]) {
    let word = |pixel: &[u8], channel: usize| {
        u32::from(u16::from_le_bytes([pixel[2 * channel], pixel[2 * channel + 1]]))
    };
    let alpha = word(pixel, 3);
    for channel in 0..3 {
        let colour = (word(pixel, channel) * 65535).checked_div(alpha).unwrap_or(0).min(65535) as u16;
        pixel[2 * channel..][..2].copy_from_slice(&colour.to_le_bytes());
    }
}

/// All reds, then all greens, then all blues, in 16 bits of which Pillow keeps the high ones.
fn colours<'a>(ifd: &Ifd<'a>, bits: u32) -> Result<impl Iterator<Item = [u8; 3]> + use<'a>, Fault> {
    let table = ifd.values(tag::COLOURS);
    let (count, length) = (1 << bits, table.map_or(0, |table| table.len()));
    let Some(table) = table.filter(|_| length == 3 * count) else {
        return Err(Fault::damaged("TIFF", format!("a palette of {length} values")));
    };
    let part = move |index| (table.get(index).unwrap_or(0) >> 8) as u8;
    Ok((0..count).map(move |index| [0, 1, 2].map(|band| part(band * count + index))))
}
