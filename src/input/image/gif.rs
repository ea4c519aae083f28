//! GIF: the first picture, on its screen.

use std::io::Read;

use gif::{DecodeOptions, Decoder, MemoryLimit};

use super::super::limits::Budget;
use super::super::reading::ReadOptions;
use super::layout;
use super::paced::Paced;
use super::picture::{Fault, ON_WHITE, Picture, samples};
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Width and height of the screen.
pub(super) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    Ok(First::of(bytes, &options.budget)?.size)
}

/// The first picture, before its pixels.
struct First<R: Read> {
    decoder: Decoder<R>,
    left: usize,
    top: usize,
    across: usize,
    down: usize,
    transparent: Option<u8>,
    palette: Option<Vec<u8>>,
    /// Width and height of the screen.
    size: (u32, u32),
}

impl<R: Read> First<R> {
    fn of(bytes: R, budget: &Budget) -> Result<Self, Fault> {
        let mut options = DecodeOptions::new();
        // The sizes are checked here, before the decoder is asked for pixels.
        options.set_memory_limit(MemoryLimit::Unlimited);
        options.allow_unknown_blocks(true);
        let mut decoder = options.read_info(bytes).map_err(damaged)?;
        let frame = decoder.next_frame_info().map_err(damaged)?;
        let frame = frame.ok_or_else(|| Fault::damaged("GIF", "a file without a picture"))?;
        let (left, top) = (usize::from(frame.left), usize::from(frame.top));
        let (across, down) = (usize::from(frame.width), usize::from(frame.height));
        let (transparent, palette) = (frame.transparent, frame.palette.clone());
        // A picture that sticks out makes the screen larger.
        let width = usize::from(decoder.width()).max(left + across);
        let height = usize::from(decoder.height()).max(top + down);
        let size = (width as u32, height as u32);
        budget.check_pixels("", size.0, size.1)?;
        if across == 0 || down == 0 {
            return Err(Fault::damaged("GIF", "a picture without pixels"));
        }
        Ok(Self { decoder, left, top, across, down, transparent, palette, size })
    }
}

fn damaged(error: gif::DecodingError) -> Fault {
    Fault::damaged("GIF", error)
}

pub(super) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let first = First::of(Paced::new(bytes, &options.watch), &options.budget)?;
    let First { mut decoder, left, top, across, down, transparent, palette: local, size } = first;
    let width = size.0 as usize;
    let mut indices = samples(across * down)?;
    decoder.read_into_buffer(&mut indices).map_err(damaged)?;
    let mut samples = samples(width * size.1 as usize)?;
    samples.fill(transparent.unwrap_or(0));
    for (row, line) in indices.chunks_exact(across).enumerate() {
        let start = (top + row) * width + left;
        samples[start..start + across].copy_from_slice(line);
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
