//! Pixels of any mode to RGB, by Pillow's rules.

use crate::frame::{PixelMode, looked_up, values16};

/// RGB of samples in a mode of at most 8 bits a channel. Alpha is dropped without a background: transparent areas show
/// whatever colour they hold.
pub(super) fn rgb(samples: &[u8], mode: &PixelMode) -> Vec<u8> {
    match mode {
        PixelMode::Rgb => samples.to_vec(),
        PixelMode::Bilevel | PixelMode::Grey => samples.iter().flat_map(|&grey| [grey; 3]).collect(),
        PixelMode::GreyAlpha => samples.chunks_exact(2).flat_map(|pixel| [pixel[0]; 3]).collect(),
        PixelMode::Rgba => samples.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect(),
        PixelMode::Cmyk => samples.chunks_exact(4).flat_map(rgb_of_cmyk).collect(),
        PixelMode::Palette(colours) => looked_up(samples, colours),
        PixelMode::Grey16 => rgb_of_grey16(&values16(samples).collect::<Vec<_>>()),
    }
}

/// 16-bit grey clipped at 255, as Pillow converts it.
pub(super) fn rgb_of_grey16(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|&value| [value.min(255) as u8; 3]).collect()
}

/// No colour profile is applied.
fn rgb_of_cmyk(pixel: &[u8]) -> [u8; 3] {
    let white = 255 - pixel[3];
    [pixel[0], pixel[1], pixel[2]].map(|ink| white - product(ink, white))
}

/// `a × b ÷ 255`, rounded.
pub(super) fn product(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    ((product + (product >> 8)) >> 8) as u8
}
