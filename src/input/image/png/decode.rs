//! The pixels of a PNG. Gamma and profiles are left alone, as Pillow leaves them; so is transparency by colour (tRNS) in
//! reference mode.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Info, Limits, Transformations};

use super::super::super::limits::collected;
use super::super::super::reading::ReadOptions;
use super::super::layout;
use super::super::paced::Paced;
use super::super::picture::{Fault, Picture, samples};
use super::super::wide::Wide;
use super::chunks::{has_transparency, orientation};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Bytes that the decoder may take for itself: a row at most and what it unpacks besides the picture.
pub(super) const LIMITS: Limits = Limits { bytes: 256 << 20 };

/// Bytes of a palette of 256 colours.
const MOST_PALETTE: usize = 768;

/// Width and height as they are stored.
pub(super) fn stored_size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), LIMITS);
    let header = decoder.read_header_info().map_err(damaged)?;
    options.budget.check_pixels("", header.width, header.height)?;
    Ok((header.width, header.height))
}

/// Width and height as it will be read.
pub(in crate::input::image) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    let size = stored_size(bytes, options)?;
    Ok(match options.preprocessing {
        Preprocessing::Reference => size,
        Preprocessing::Clinical => orientation(bytes).upright(size),
    })
}

pub(in crate::input::image) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let mut decoder = Decoder::new_with_limits(Paced::new(bytes, &options.watch), LIMITS);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.ignore_checksums(false);
    let clinical = options.preprocessing == Preprocessing::Clinical;
    let expand = clinical && has_transparency(bytes);
    if expand {
        decoder.set_transformations(Transformations::EXPAND);
    }
    let header = decoder.read_header_info().map_err(damaged)?;
    let size = (header.width, header.height);
    options.budget.check_pixels("", size.0, size.1)?;
    let mut reader = decoder.read_info().map_err(damaged)?;
    if expand {
        check_palette(reader.info())?;
    }
    let length = reader.output_buffer_size().ok_or_else(|| Fault::damaged("PNG", "an impossible size"))?;
    let mut packed = samples(length)?;
    let frame = reader.next_frame(&mut packed).map_err(damaged)?;
    if (frame.width, frame.height) != size {
        return Err(Fault::unsupported("an animated PNG whose first frame is a part of the picture"));
    }
    let info = reader.info();
    let colours = info.palette.as_deref().unwrap_or_default();
    let several = info.animation_control().is_some_and(|control| control.num_frames > 1);
    let was_palette = info.color_type == ColorType::Indexed && frame.color_type != ColorType::Indexed;
    let mut picture =
        interpret(packed, (size, options.preprocessing), (frame.color_type, frame.bit_depth), colours)?;
    picture.orientation = orientation(bytes);
    if was_palette {
        picture.remarks.push("The palette image was converted to RGB before resizing.".into());
    }
    if several {
        picture.remarks.push("Only the first picture of this animation is looked at.".into());
    }
    Ok(picture)
}

/// Refuses a palette that the decoder would index beyond its end: one without whole colours, or of more than 256.
pub(super) fn check_palette(info: &Info<'_>) -> Result<(), Fault> {
    let length = info.palette.as_ref().map_or(0, |palette| palette.len());
    if info.color_type != ColorType::Indexed || (length.is_multiple_of(3) && length <= MOST_PALETTE) {
        return Ok(());
    }
    Err(Fault::damaged("PNG", format!("a palette of {length} bytes, not of 1 to 256 colours of 3")))
}

pub(super) fn damaged(error: DecodingError) -> Fault {
    match error {
        DecodingError::LimitsExceeded => Fault {
            wanted: format!("a PNG whose rows have at most {} bytes", LIMITS.bytes).into(),
            got: "longer ones, or as long a palette or profile".into(),
            hint: "scale it down, or cut it".into(),
        },
        error => Fault::damaged("PNG", error),
    }
}

fn interpret(
    mut packed: Vec<u8>,
    (size, preprocessing): ((u32, u32), Preprocessing),
    kind: (ColorType, BitDepth),
    colours: &[u8],
) -> Result<Picture, Fault> {
    if kind.1 == BitDepth::Sixteen {
        layout::swap(&mut packed, 2);
        let (mode, wide) = match kind.0 {
            ColorType::Grayscale => return Ok(Picture::new(size, PixelMode::Grey16, packed)),
            ColorType::GrayscaleAlpha => (PixelMode::GreyAlpha, Wide::words(1, Some(1), 2)),
            ColorType::Rgba => (PixelMode::Rgba, Wide::words(3, Some(3), 4)),
            _ => (PixelMode::Rgb, Wide::words(3, None, 3)),
        };
        return match (preprocessing, kind.0) {
            (Preprocessing::Clinical, _) => wide.scaled(size, mode, packed),
            // Pillow has no mode of 16-bit grey and alpha.
            (Preprocessing::Reference, ColorType::GrayscaleAlpha) => {
                let rgba = packed.chunks_exact(4).flat_map(|pixel| [pixel[1], pixel[1], pixel[1], pixel[3]]);
                Ok(Picture::new(size, PixelMode::Rgba, collected("", packed.len(), rgba)?))
            }
            (Preprocessing::Reference, _) => Ok(wide.cut(size, mode, packed)),
        };
    }
    let bits = kind.1 as u32;
    let (mode, samples) = match kind.0 {
        ColorType::Grayscale => layout::grey(layout::unpack(packed, size, bits)?, bits),
        ColorType::Indexed => {
            (layout::palette(layout::triples(colours)), layout::unpack(packed, size, bits)?)
        }
        ColorType::GrayscaleAlpha => (PixelMode::GreyAlpha, packed),
        ColorType::Rgb => (PixelMode::Rgb, packed),
        ColorType::Rgba => (PixelMode::Rgba, packed),
    };
    Ok(Picture::new(size, mode, samples))
}
