//! GIF: the first picture, on its screen, and all of them one after another.

use std::io::Read;

use gif::{DecodeOptions, Decoder, DecodingError, DisposalMethod, MemoryLimit};

use super::super::limits::{Budget, collected};
use super::super::reading::ReadOptions;
use super::canvas::{Dispose, Piece, Rect, unless_clear};
use super::layout;
use super::paced::Paced;
use super::picture::{Fault, ON_WHITE, Picture, samples};
use super::reel::{Outline, Reel, shown};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Width and height of the screen.
pub(super) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    Ok(First::of(bytes, &options.budget)?.size)
}

/// The first picture, before its pixels.
struct First<R: Read> {
    decoder: Decoder<R>,
    rect: Rect,
    transparent: Option<u8>,
    palette: Option<Vec<u8>>,
    /// Width and height of the screen.
    size: (u32, u32),
}

impl<R: Read> First<R> {
    fn of(bytes: R, budget: &Budget) -> Result<Self, Fault> {
        let mut decoder = reader(bytes, Frames::Pixels)?;
        let frame = decoder.next_frame_info().map_err(damaged)?;
        let frame = frame.ok_or_else(|| Fault::damaged("GIF", "a file without a picture"))?;
        let rect = place(frame);
        let (transparent, palette) = (frame.transparent, frame.palette.clone());
        // A picture that sticks out makes the screen larger.
        let width = usize::from(decoder.width()).max(rect.left + rect.width);
        let height = usize::from(decoder.height()).max(rect.top + rect.height);
        let size = (width as u32, height as u32);
        budget.check_pixels("", size.0, size.1)?;
        if rect.width == 0 || rect.height == 0 {
            return Err(Fault::damaged("GIF", "a picture without pixels"));
        }
        Ok(Self { decoder, rect, transparent, palette, size })
    }
}

/// What a decoder makes of the frames.
enum Frames {
    Pixels,
    /// Only what stands before the pixels.
    Headers,
}

fn reader<R: Read>(bytes: R, frames: Frames) -> Result<Decoder<R>, Fault> {
    let mut options = DecodeOptions::new();
    // The sizes are checked here, before the decoder is asked for pixels.
    options.set_memory_limit(MemoryLimit::Unlimited);
    options.allow_unknown_blocks(true);
    options.skip_frame_decoding(matches!(frames, Frames::Headers));
    options.read_info(bytes).map_err(damaged)
}

fn place(frame: &gif::Frame<'_>) -> Rect {
    Rect {
        left: frame.left.into(),
        top: frame.top.into(),
        width: frame.width.into(),
        height: frame.height.into(),
    }
}

fn damaged(error: DecodingError) -> Fault {
    Fault::damaged("GIF", error)
}

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let first = First::of(Paced::new(bytes, &options.watch), &options.budget)?;
    let First { mut decoder, rect, transparent, palette: local, size } = first;
    let width = size.0 as usize;
    let mut indices = samples(rect.width * rect.height)?;
    decoder.read_into_buffer(&mut indices).map_err(damaged)?;
    let mut samples = samples(width * size.1 as usize)?;
    samples.fill(transparent.unwrap_or(0));
    for (row, line) in indices.chunks_exact(rect.width).enumerate() {
        let start = (rect.top + row) * width + rect.left;
        samples[start..start + rect.width].copy_from_slice(line);
    }
    let global = mode(decoder.global_palette().unwrap_or_default());
    let mode = local.as_deref().map_or_else(|| global.clone(), mode);
    if options.preprocessing == Preprocessing::Reference
        && mode == PixelMode::Grey
        && global != PixelMode::Grey
    {
        return Err(Fault::unsupported(
            "a GIF whose grey picture the reference shows in the screen's colours",
        ));
    }
    let mut picture = Picture::new(size, mode, samples);
    if let (Some(index), Preprocessing::Clinical) = (transparent, options.preprocessing) {
        lay_on_white(&mut picture, index);
    }
    if matches!(decoder.next_frame_info(), Ok(Some(_))) {
        picture.remarks.push("Only the first picture of this animation is looked at.".into());
    }
    Ok(picture)
}

/// Makes the transparent index white, if it is there.
fn lay_on_white(picture: &mut Picture, transparent: u8) {
    if !picture.samples.contains(&transparent) {
        return;
    }
    match &mut picture.mode {
        PixelMode::Palette(colours) => colours[usize::from(transparent)] = [255; 3],
        _ => {
            let clear = picture.samples.iter_mut().filter(|sample| **sample == transparent);
            clear.for_each(|sample| *sample = 255);
        }
    }
    picture.remarks.push(ON_WHITE.into());
}

/// A table that maps each index to the same grey is no palette to Pillow.
fn mode(colours: &[u8]) -> PixelMode {
    if layout::triples(colours).zip(0u8..=255).all(|(colour, index)| colour == [index; 3]) {
        PixelMode::Grey
    } else {
        layout::palette(layout::triples(colours))
    }
}

/// All pictures, before their pixels. The mark of the end may be missing.
pub(super) fn outline(bytes: &[u8], options: &ReadOptions) -> Result<Outline, Fault> {
    let size = size(bytes, options)?;
    let mut decoder = reader(Paced::new(bytes, &options.watch), Frames::Headers)?;
    let mut durations = Vec::new();
    loop {
        match decoder.next_frame_info() {
            Ok(Some(frame)) => durations.push(shown(f64::from(frame.delay) / 100.0)),
            Ok(None) => return Ok(Outline { size, durations }),
            Err(_) if bytes.ends_with(&[0]) && !durations.is_empty() => {
                return Ok(Outline { size, durations });
            }
            Err(error) => return Err(damaged(error)),
        }
        options.budget.check_frames("", durations.len() as u64)?;
    }
}

/// Shows pictures until the last that is kept.
pub(super) fn play(bytes: &[u8], options: &ReadOptions, reel: &mut Reel) -> Result<(), Fault> {
    let mut decoder = reader(Paced::new(bytes, &options.watch), Frames::Pixels)?;
    while !reel.is_done() {
        let Some(frame) = decoder.next_frame_info().map_err(damaged)? else { return Ok(()) };
        let (rect, transparent, local) = (place(frame), frame.transparent, frame.palette.clone());
        let dispose = match frame.dispose {
            DisposalMethod::Any | DisposalMethod::Keep => Dispose::Keep,
            DisposalMethod::Background => Dispose::Clear,
            DisposalMethod::Previous => Dispose::Restore,
        };
        reel.check(rect)?;
        let mut indices = samples(rect.width * rect.height)?;
        decoder.read_into_buffer(&mut indices).map_err(damaged)?;
        let colours = local.as_deref().or_else(|| decoder.global_palette()).unwrap_or_default();
        let colours = layout::table(layout::triples(colours));
        let colour = |&index: &u8| {
            let [red, green, blue] = colours[usize::from(index)];
            [red, green, blue, if transparent == Some(index) { 0 } else { 255 }]
        };
        let pixels = collected("", 4 * indices.len(), indices.iter().flat_map(colour))?;
        reel.show(Piece { rect, dispose, blend: unless_clear }, &pixels)?;
    }
    Ok(())
}
