//! What stands before the pixels of a BMP.

use super::super::super::limits::Budget;
use super::super::picture::Fault;

/// How the pixels are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Rle8,
    Rle4,
}

pub(super) struct Header {
    pub(super) size: (u32, u32),
    pub(super) bits: u32,
    pub(super) packing: Packing,
    /// Masks of red, green, blue and alpha, where the file gives them.
    pub(super) masks: Option<[u32; 4]>,
    /// Colours of the palette and bytes of each.
    pub(super) colours: (usize, usize),
    pub(super) rows_from_top: bool,
    /// Where the palette begins.
    pub(super) palette: usize,
    /// Where the pixels begin.
    pub(super) pixels: usize,
}

pub(super) fn short() -> Fault {
    Fault::damaged("BMP", "a file that ends before the picture does")
}

fn u16_at(bytes: &[u8], start: usize) -> Result<u32, Fault> {
    match bytes.get(start..).and_then(|rest| rest.first_chunk()) {
        Some(&pair) => Ok(u32::from(u16::from_le_bytes(pair))),
        None => Err(short()),
    }
}

fn u32_at(bytes: &[u8], start: usize) -> Result<u32, Fault> {
    bytes
        .get(start..)
        .and_then(|rest| rest.first_chunk())
        .map(|&four| u32::from_le_bytes(four))
        .ok_or_else(short)
}

pub(super) fn header(bytes: &[u8], budget: &Budget) -> Result<Header, Fault> {
    const START: usize = 14;
    let length = u32_at(bytes, START)? as usize;
    let mut pixels = u32_at(bytes, 10)? as usize;
    let end = START + length;
    let mut header = if length == 12 {
        let bits = u16_at(bytes, START + 10)?;
        Header {
            size: (u16_at(bytes, START + 4)?, u16_at(bytes, START + 6)?),
            bits,
            packing: Packing::Plain,
            masks: None,
            colours: (colours_of(0, bits)?, 3),
            rows_from_top: false,
            palette: end,
            pixels,
        }
    } else {
        info_header(bytes, (START, length))?
    };
    if pixels == end && header.bits <= 8 {
        pixels += 4 * header.colours.0;
    }
    if pixels == 0 {
        let palette = if header.bits <= 8 { header.colours.0 * header.colours.1 } else { 0 };
        pixels = header.palette + palette;
    }
    header.pixels = pixels;
    budget.check_pixels("", header.size.0, header.size.1)?;
    Ok(header)
}

fn info_header(bytes: &[u8], (start, length): (usize, usize)) -> Result<Header, Fault> {
    let height = u32_at(bytes, start + 8)?;
    let rows_from_top = height >> 24 == 0xff;
    let bits = u16_at(bytes, start + 14)?;
    let end = start + length;
    let (packing, masks) = match u32_at(bytes, start + 16)? {
        0 => (Packing::Plain, None),
        1 => (Packing::Rle8, None),
        2 => (Packing::Rle4, None),
        3 => {
            // In every version of the header the masks stand 40 bytes after its start.
            let mut masks = [0; 4];
            for (index, mask) in masks.iter_mut().enumerate().take(if length >= 56 { 4 } else { 3 }) {
                *mask = u32_at(bytes, start + 40 + 4 * index)?;
            }
            (Packing::Plain, Some(masks))
        }
        other => return Err(Fault::unsupported(format!("a BMP of compression {other}"))),
    };
    Ok(Header {
        size: (u32_at(bytes, start + 4)?, if rows_from_top { height.wrapping_neg() } else { height }),
        bits,
        packing,
        masks,
        colours: (colours_of(u32_at(bytes, start + 32)?, bits)?, 4),
        rows_from_top,
        palette: if masks.is_some() && length == 40 { end + 12 } else { end },
        pixels: 0,
    })
}

/// The number of colours in the palette, by the header or by the depth.
fn colours_of(stated: u32, bits: u32) -> Result<usize, Fault> {
    match (bits, stated) {
        (1 | 4 | 8, 0) => Ok(1 << bits),
        (1 | 4 | 8, 1..=256) => Ok(stated as usize),
        (1 | 4 | 8, _) => Err(Fault::unsupported(format!("a BMP palette of {stated} colours"))),
        (16 | 24 | 32, _) => Ok(0),
        _ => Err(Fault::unsupported(format!("a BMP of {bits} bits a pixel"))),
    }
}
