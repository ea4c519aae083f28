//! What the reference does wrong, told or put right.

use super::orientation::Orientation;
use super::picture::Picture;
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
    if picture.orientation != Orientation::UPRIGHT {
        let tag = picture.orientation.tag();
        picture.remarks.push(format!("The EXIF orientation ({tag}) is ignored, as in the reference."));
    }
}

/// Puts right what the reference does wrong, and says so.
pub(super) fn mend(picture: &mut Picture) {
    if picture.orientation != Orientation::UPRIGHT {
        let tag = picture.orientation.tag();
        picture.stand_up();
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
