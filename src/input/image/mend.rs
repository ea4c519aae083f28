//! What the reference does wrong: said, or put right.

use super::super::limits::collected;
use super::orientation::Orientation;
use super::picture::{Fault, ON_WHITE, Picture, Size, on_white};
use super::wide::Wide;
use crate::error::Error;
use crate::frame::{PixelMode, colours_of, values16};
use crate::study::Preprocessing;

/// Red, green, blue and alpha of a picture in memory, as they go on from here, and what there is to say.
///
/// # Errors
/// [`Error::Input`] naming the picture if there is too little memory.
pub(in crate::input) fn of_rgba(
    name: &str,
    (size, rgba): (Size, Vec<u8>),
    mode: Preprocessing,
) -> Result<(PixelMode, Vec<u8>, Vec<String>), Error> {
    let picture = finished(Picture::new(size, PixelMode::Rgba, rgba), mode);
    let Picture { mode, samples, remarks, .. } = picture.map_err(|fault| fault.named(name))?;
    Ok((mode, samples, remarks))
}

/// The picture as it goes on from here.
///
/// # Errors
/// If there is too little memory.
pub(super) fn finished(mut picture: Picture, mode: Preprocessing) -> Result<Picture, Fault> {
    match mode {
        Preprocessing::Clinical => mend(picture),
        Preprocessing::Reference => {
            remark_defects(&mut picture);
            Ok(picture)
        }
    }
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
    let channels = picture.mode.bytes_per_pixel();
    let has_alpha = matches!(picture.mode, PixelMode::Rgba | PixelMode::GreyAlpha);
    if has_alpha && picture.samples.chunks_exact(channels).any(|pixel| pixel[channels - 1] != 255) {
        picture
            .remarks
            .push("Transparent parts show the colours that they hide, as in the reference.".into());
    }
    if picture.orientation != Orientation::UPRIGHT {
        let tag = picture.orientation.tag();
        picture
            .remarks
            .push(format!("The orientation that the file states ({tag}) is ignored, as in the reference."));
    }
}

/// Puts right what the reference does wrong, and says so.
///
/// # Errors
/// If there is too little memory.
fn mend(mut picture: Picture) -> Result<Picture, Fault> {
    if picture.orientation != Orientation::UPRIGHT {
        let tag = picture.orientation.tag();
        picture.stand_up()?;
        picture
            .remarks
            .push(format!("The image was turned upright by the orientation that the file states ({tag})."));
    }
    match std::mem::replace(&mut picture.mode, PixelMode::Grey) {
        PixelMode::Palette(colours) => {
            let count = 3 * picture.samples.len();
            picture.samples = collected("", count, colours_of(&picture.samples, &colours))?;
            picture.mode = PixelMode::Rgb;
            picture.remarks.push("The palette image was converted to RGB before resizing.".into());
        }
        PixelMode::Bilevel => {
            picture.remarks.push("The 1-bit image was converted to grey before resizing.".into());
        }
        PixelMode::Grey16 => {
            let size = (picture.width, picture.height);
            let scaled = Wide::words(1, None, 1).scaled(size, PixelMode::Grey, picture.samples)?;
            picture.samples = scaled.samples;
            picture.remarks.extend(scaled.remarks);
        }
        PixelMode::Rgba => {
            picture.mode = PixelMode::Rgb;
            lay_on_white::<4>(&mut picture);
        }
        PixelMode::GreyAlpha => lay_on_white::<2>(&mut picture),
        mode => picture.mode = mode,
    }
    Ok(picture)
}

/// Lays `N` channels, of which alpha is the last, on a white ground and leaves alpha out, in place. What drawing programs write in
/// black on a transparent ground would otherwise be black on black.
fn lay_on_white<const N: usize>(picture: &mut Picture) {
    let samples = &mut picture.samples;
    let (count, mut is_seen_through) = (samples.len() / N, false);
    for pixel in 0..count {
        let alpha = samples[pixel * N + N - 1];
        is_seen_through |= alpha != 255;
        for channel in 0..N - 1 {
            samples[pixel * (N - 1) + channel] = on_white(samples[pixel * N + channel], alpha);
        }
    }
    samples.truncate(count * (N - 1));
    samples.shrink_to_fit();
    if is_seen_through {
        picture.remarks.push(ON_WHITE.into());
    }
}
