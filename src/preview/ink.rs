//! Letters on pictures.

use font8x8::legacy::BASIC_LEGACY;
use image::{Rgb, RgbImage};

pub(super) const PAPER: Rgb<u8> = Rgb([24, 24, 24]);
pub(super) const INK: Rgb<u8> = Rgb([255, 255, 255]);
/// Sides of letters: the font's 8 pixels, and these doubled.
pub(super) const SMALL: u32 = 8;
pub(super) const LARGE: u32 = 16;

/// Prints a line with its upper left corner at this place; what does not fit the picture is left out.
pub(super) fn print(picture: &mut RgbImage, line: &str, (left, top): (u32, u32), side: u32) {
    for (place, letter) in (0..).zip(line.chars()) {
        let rows = BASIC_LEGACY.get(letter as usize).copied().unwrap_or_default();
        for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
            // A row's lowest bit is its leftmost pixel.
            let inked = rows[(y * SMALL / side) as usize] >> (x * SMALL / side) & 1 == 1;
            let pixel = picture.get_pixel_mut_checked(left + place * side + x, top + y);
            if let (true, Some(pixel)) = (inked, pixel) {
                *pixel = INK;
            }
        }
    }
}
