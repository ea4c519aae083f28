//! What the reference does wrong, told or put right.

use super::orientation::Orientation;
use super::picture::{ON_WHITE, Picture, scaled_remark};
use crate::frame::{PixelMode, looked_up, values16};

/// Says where the reference's way does the picture harm.
pub(super) fn remark_defects(picture: &mut Picture) {
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
pub(super) fn mend(picture: &mut Picture) {
    if picture.orientation != Orientation::UPRIGHT {
        let tag = picture.orientation.tag();
        picture.stand_up();
        picture
            .remarks
            .push(format!("The image was turned upright by the orientation that the file states ({tag})."));
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
            picture.remarks.push(scaled_remark(low, high));
        }
        PixelMode::Rgba => {
            picture.mode = PixelMode::Rgb;
            lay_on_white::<4>(picture);
        }
        PixelMode::GreyAlpha => lay_on_white::<2>(picture),
        mode => picture.mode = mode,
    }
}

/// Lays `N` channels, of which alpha is the last, on a white ground and leaves alpha out. What drawing programs write in
/// black on a transparent ground would otherwise be black on black.
fn lay_on_white<const N: usize>(picture: &mut Picture) {
    let pixels = picture.samples.as_chunks::<N>().0;
    let is_seen_through = pixels.iter().any(|pixel| pixel[N - 1] != 255);
    let on_white = |colour: u8, alpha: u8| {
        let (colour, alpha) = (u32::from(colour), u32::from(alpha));
        ((2 * (colour * alpha + 255 * (255 - alpha)) + 255) / (2 * 255)) as u8
    };
    let laid = |pixel: &[u8; N]| {
        let (pixel, alpha) = (*pixel, pixel[N - 1]);
        (0..N - 1).map(move |channel| on_white(pixel[channel], alpha))
    };
    picture.samples = pixels.iter().flat_map(laid).collect();
    if is_seen_through {
        picture.remarks.push(ON_WHITE.into());
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
