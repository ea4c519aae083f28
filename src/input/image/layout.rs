//! How samples lie in bytes: packed bits, wide samples, short palettes.

use super::super::limits::collected;
use super::picture::Fault;
use crate::frame::PixelMode;

/// Samples of 1, 2, 4 or 8 bits to one byte each, unscaled. Rows begin on a byte, as in every format read
/// here.
///
/// # Errors
/// If there is too little memory.
pub(super) fn unpack(mut packed: Vec<u8>, size: (u32, u32), bits: u32) -> Result<Vec<u8>, Fault> {
    let (width, height) = (size.0 as usize, size.1 as usize);
    let row_bytes = (width * bits as usize).div_ceil(8).max(1);
    if bits == 8 {
        packed.truncate(width * height);
        return Ok(packed);
    }
    let mask = (1u16 << bits) - 1;
    let per_byte = (8 / bits) as usize;
    let mut samples = collected("", width * height, [])?;
    for row in packed.chunks_exact(row_bytes).take(height) {
        samples.extend((0..width).map(|x| {
            let shift = 8 - bits * ((x % per_byte) as u32 + 1);
            ((u16::from(row[x / per_byte]) >> shift) & mask) as u8
        }));
    }
    Ok(samples)
}

/// Spreads grey of fewer than 8 bits over 0 to 255 and names its mode.
pub(super) fn grey(mut samples: Vec<u8>, bits: u32) -> (PixelMode, Vec<u8>) {
    let step = (255 / ((1u16 << bits) - 1)) as u8;
    samples.iter_mut().for_each(|sample| *sample = sample.wrapping_mul(step));
    (if bits == 1 { PixelMode::Bilevel } else { PixelMode::Grey }, samples)
}

/// Reverses the bytes of samples of `size` bytes.
pub(super) fn swap(samples: &mut [u8], size: usize) {
    samples.chunks_exact_mut(size).for_each(<[u8]>::reverse);
}

/// A table for all 256 indices: those that a file leaves out are black, as in Pillow.
pub(super) fn palette(colours: impl Iterator<Item = [u8; 3]>) -> PixelMode {
    PixelMode::Palette(Box::new(table(colours)))
}

/// The same table as colours.
pub(super) fn table(colours: impl Iterator<Item = [u8; 3]>) -> [[u8; 3]; 256] {
    let mut table = [[0; 3]; 256];
    table.iter_mut().zip(colours).for_each(|(entry, colour)| *entry = colour);
    table
}

/// Triples of red, green, blue.
pub(super) fn triples(bytes: &[u8]) -> impl Iterator<Item = [u8; 3]> + '_ {
    bytes.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]])
}
