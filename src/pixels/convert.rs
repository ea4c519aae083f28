//! Pixels of any mode to RGB, by Pillow's rules. Each function replaces what `out` holds.

use crate::frame::{PixelMode, values16};

/// RGB of samples in any mode. Alpha is dropped without a background: transparent areas show whatever colour they hold. No
/// colour profile is applied.
pub(super) fn rgb(samples: &[u8], mode: &PixelMode, out: &mut Vec<u8>) {
    out.clear();
    match mode {
        PixelMode::Rgb => out.extend_from_slice(samples),
        PixelMode::Bilevel | PixelMode::Grey => out.extend(samples.iter().flat_map(|&grey| [grey; 3])),
        PixelMode::GreyAlpha => out.extend(samples.chunks_exact(2).flat_map(|pixel| [pixel[0]; 3])),
        PixelMode::Rgba => {
            out.extend(samples.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]));
        }
        PixelMode::Cmyk => out.extend(samples.chunks_exact(4).flat_map(rgb_of_cmyk)),
        PixelMode::Palette(colours) => {
            let colour = |&index: &u8| colours.get(usize::from(index)).copied().unwrap_or_default();
            out.extend(samples.iter().flat_map(colour));
        }
        PixelMode::Grey16 => out.extend(values16(samples).flat_map(rgb_of_grey16)),
    }
}

/// 16-bit grey clipped at 255, as Pillow converts it.
pub(super) fn rgb_of_grey16(value: u16) -> [u8; 3] {
    [value.min(255) as u8; 3]
}

fn rgb_of_cmyk(pixel: &[u8]) -> [u8; 3] {
    let white = 255 - pixel[3];
    [pixel[0], pixel[1], pixel[2]].map(|ink| white - product(ink, white))
}

/// Colours multiplied by their alpha, which is the last of so many channels.
pub(super) fn premultiply(samples: &[u8], channels: usize, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(samples);
    for pixel in out.chunks_exact_mut(channels) {
        let alpha = pixel[channels - 1];
        pixel[..channels - 1].iter_mut().for_each(|colour| *colour = product(*colour, alpha));
    }
}

/// Colours divided by the alpha that [`premultiply`] multiplied them with.
pub(super) fn unpremultiply(samples: &mut [u8], channels: usize) {
    for pixel in samples.chunks_exact_mut(channels) {
        let alpha = u32::from(pixel[channels - 1]);
        if alpha != 0 && alpha != 255 {
            let divided = |colour: u8| (255 * u32::from(colour) / alpha).min(255) as u8;
            pixel[..channels - 1].iter_mut().for_each(|colour| *colour = divided(*colour));
        }
    }
}

/// `a × b ÷ 255`, rounded.
fn product(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}
