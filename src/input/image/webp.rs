//! WebP, and whatever else the `image` crate decodes without hiding the file's own mode. An animation is taken apart here:
//! each of its pictures is decoded as a file of its own.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder};

use super::super::limits::{Budget, collected, room_for};
use super::super::reading::ReadOptions;
use super::canvas::{Canvas, Dispose, Piece, Rect, over_webp, replace};
use super::orientation::Orientation;
use super::picture::{Fault, Picture, checked, samples};
use super::reel::{Outline, Reel, shown};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Width and height as it will be read.
pub(super) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    let size = match is_animated(bytes) {
        true => canvas_size(bytes)?,
        false => decoder(bytes)?.dimensions(),
    };
    options.budget.check_pixels("", size.0, size.1)?;
    Ok(match options.preprocessing {
        Preprocessing::Reference => size,
        Preprocessing::Clinical => orientation(bytes).upright(size),
    })
}

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let picture = match is_animated(bytes) {
        true => first(bytes, options)?,
        false => pixels("WebP", decoder(bytes)?, &options.budget)?,
    };
    Ok(picture.turned(orientation(bytes)))
}

fn decoder(bytes: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, Fault> {
    WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)
}

fn damaged(error: impl std::fmt::Display) -> Fault {
    Fault::damaged("WebP", error)
}

fn orientation(bytes: &[u8]) -> Orientation {
    Orientation::stated(chunk(bytes, b"EXIF"), chunk(bytes, b"XMP "))
}

/// The chunks of a file or of a picture in it: name and content of each. One that ends outside is left out.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let content = after.get(..length)?;
        // Chunks begin at even places.
        rest = after.get(length + length % 2..).unwrap_or_default();
        Some((name, content))
    })
}

/// The content of the first chunk of this name. The decoder would allocate whatever length the chunk claims.
fn chunk<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    chunks(bytes.get(12..)?).find(|(found, _)| *found == name).map(|(_, content)| content)
}

/// The pixels that a decoder of the `image` crate gives.
pub(super) fn pixels(format: &str, decoder: impl ImageDecoder, budget: &Budget) -> Result<Picture, Fault> {
    let size = decoder.dimensions();
    let count = budget.check_pixels("", size.0, size.1)?;
    let mode = match decoder.color_type() {
        ColorType::L8 => PixelMode::Grey,
        ColorType::Rgb8 => PixelMode::Rgb,
        ColorType::Rgba8 => PixelMode::Rgba,
        _ => {
            return Err(Fault::unsupported(format!(
                "a {format} of pixels that are no 8-bit grey, RGB or RGBA"
            )));
        }
    };
    let mut samples = samples(count * mode.bytes_per_pixel())?;
    // What decoders take beside the picture.
    room_for("", 4 * count)?;
    decoder.read_image(&mut samples).map_err(|error| Fault::damaged(format, error))?;
    Ok(Picture::new(size, mode, samples))
}

// ── animations
/// Bytes before the chunks of a picture: place, size, duration and flags.
const BEFORE: usize = 16;

/// Whether it has pictures in chunks of their own, whatever its flags say.
fn is_animated(bytes: &[u8]) -> bool {
    chunk(bytes, b"ANMF").is_some()
}

/// A number of three bytes.
fn u24(bytes: &[u8]) -> u32 {
    bytes.iter().take(3).rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// Width and height of the canvas, which are stored less 1.
fn canvas_size(bytes: &[u8]) -> Result<(u32, u32), Fault> {
    match chunk(bytes, b"VP8X") {
        Some(header) if header.len() >= 10 => Ok((u24(&header[4..]) + 1, u24(&header[7..]) + 1)),
        _ => Err(damaged("an animation without a size")),
    }
}

/// What stands before a picture, and its chunks.
fn pictures(bytes: &[u8]) -> impl Iterator<Item = (&[u8; BEFORE], &[u8])> {
    let chunks = chunks(bytes.get(12..).unwrap_or_default());
    chunks.filter(|(name, _)| *name == b"ANMF").filter_map(|(_, content)| content.split_first_chunk())
}

fn piece(before: &[u8; BEFORE]) -> Piece {
    // Even places alone; sizes are stored less 1.
    let (left, top) = (2 * u24(before) as usize, 2 * u24(&before[3..]) as usize);
    let (width, height) = (u24(&before[6..]) as usize + 1, u24(&before[9..]) as usize + 1);
    let flags = before[15];
    Piece {
        rect: Rect { left, top, width, height },
        dispose: if flags & 1 == 1 { Dispose::Clear } else { Dispose::Keep },
        blend: if flags & 2 == 2 { replace } else { over_webp },
    }
}

/// Red, green, blue and alpha of the picture in these chunks.
fn rgba(parts: &[u8], rect: Rect, budget: &Budget) -> Result<Vec<u8>, Fault> {
    let file = alone(parts, rect)?;
    let decoder = decoder(&file)?;
    let (width, height) = decoder.dimensions();
    if (width as usize, height as usize) != (rect.width, rect.height) {
        let got = format!("a picture of {width}×{height} in a place of {}×{}", rect.width, rect.height);
        return Err(damaged(got));
    }
    let picture = pixels("WebP", decoder, budget)?;
    match picture.mode {
        PixelMode::Rgba => Ok(picture.samples),
        _ => {
            let pixels = picture.samples.as_chunks::<3>().0;
            let opaque = pixels.iter().flat_map(|&[red, green, blue]| [red, green, blue, 255]);
            Ok(collected("", 4 * pixels.len(), opaque)?)
        }
    }
}

/// A file of one picture.
fn alone(parts: &[u8], rect: Rect) -> Result<Vec<u8>, Fault> {
    let find = |wanted: &[u8; 4]| chunks(parts).find(|(name, _)| *name == wanted).map(|(_, content)| content);
    let mut body = Vec::new();
    let mut add = |name: &[u8; 4], content: &[u8]| {
        body.try_reserve(content.len() + 9).map_err(|_| damaged("too little memory for a picture"))?;
        body.extend_from_slice(name);
        body.extend_from_slice(&(content.len() as u32).to_le_bytes());
        body.extend_from_slice(content);
        body.resize(body.len().next_multiple_of(2), 0);
        Ok::<(), Fault>(())
    };
    match (find(b"VP8L"), find(b"VP8 "), find(b"ALPH")) {
        (Some(lossless), _, _) => add(b"VP8L", lossless)?,
        (None, Some(lossy), None) => add(b"VP8 ", lossy)?,
        (None, Some(lossy), Some(alpha)) => {
            const HAS_ALPHA: u8 = 1 << 4;
            let [width, height] = [rect.width, rect.height].map(|side| (side as u32 - 1).to_le_bytes());
            let header = [[HAS_ALPHA, 0, 0, 0].as_slice(), &width[..3], &height[..3]].concat();
            add(b"VP8X", &header)?;
            add(b"ALPH", alpha)?;
            add(b"VP8 ", lossy)?;
        }
        (None, None, _) => return Err(damaged("a picture without pixels")),
    }
    let length = (body.len() as u32 + 4).to_le_bytes();
    Ok([b"RIFF".as_slice(), &length, b"WEBP", &body].concat())
}

/// The first picture on the whole canvas.
fn first(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let mut canvas = Canvas::new(canvas_size(bytes)?, &options.budget)?;
    let mut pictures = pictures(bytes);
    let (before, parts) = pictures.next().ok_or_else(|| damaged("an animation without pictures"))?;
    let piece = piece(before);
    canvas.check(piece.rect)?;
    canvas.lay(piece, &rgba(parts, piece.rect, &options.budget)?)?;
    let mut picture = Picture::new(canvas.size(), PixelMode::Rgba, canvas.rgba);
    if pictures.next().is_some() {
        picture.remarks.push("Only the first picture of this animation is looked at.".into());
    }
    Ok(picture)
}

/// All pictures, before their pixels.
pub(super) fn outline(bytes: &[u8], options: &ReadOptions) -> Result<Outline, Fault> {
    if !is_animated(bytes) {
        return Ok(Outline { size: size(bytes, options)?, durations: vec![0.0] });
    }
    let size = canvas_size(bytes)?;
    let mut durations = Vec::new();
    for (before, _) in pictures(bytes) {
        durations.push(shown(f64::from(u24(&before[12..])) / 1000.0));
        options.budget.check_frames("", durations.len() as u64)?;
    }
    Ok(Outline { size, durations })
}

/// Shows pictures until the last that is kept.
pub(super) fn play(bytes: &[u8], options: &ReadOptions, reel: &mut Reel) -> Result<(), Fault> {
    for (before, parts) in pictures(bytes) {
        if reel.is_done() {
            break;
        }
        checked(&options.watch)?;
        let piece = piece(before);
        reel.check(piece.rect)?;
        reel.show(piece, &rgba(parts, piece.rect, &options.budget)?)?;
    }
    Ok(())
}
