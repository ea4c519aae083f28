//! The pixels of a BMP, read as Pillow reads them: the `image` crate would turn palettes into RGB.

use super::super::super::limits::collected;
use super::super::super::reading::ReadOptions;
use super::super::layout;
use super::super::picture::{Fault, Picture};
use super::header::{Header, Packing, header, short};
use super::rle;
use crate::frame::PixelMode;
use crate::study::Preprocessing;

/// Width and height.
pub(in crate::input::image) fn size(bytes: &[u8], options: &ReadOptions) -> Result<(u32, u32), Fault> {
    Ok(header(bytes, &options.budget)?.size)
}

pub(in crate::input::image) fn decode(bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let header = header(bytes, &options.budget)?;
    let (mode, samples) = match header.bits {
        1 | 4 | 8 => indexed(bytes, &header, options.preprocessing)?,
        16 => colours16(bytes, &header)?,
        _ => colours(bytes, &header)?,
    };
    let mut picture = Picture::new(header.size, mode, samples);
    if !header.rows_from_top {
        flip(&mut picture);
    }
    if options.preprocessing == Preprocessing::Clinical {
        fill_empty_alpha(&mut picture);
    }
    Ok(picture)
}

/// Many programs write a BMP with room for alpha and leave it 0.
fn fill_empty_alpha(picture: &mut Picture) {
    let is_empty = |pixels: &[[u8; 4]]| pixels.iter().all(|pixel| pixel[3] == 0);
    if picture.mode == PixelMode::Rgba && is_empty(picture.samples.as_chunks().0) {
        picture.samples.iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = 255);
        picture.remarks.push("The alpha of this BMP is 0 throughout and was left out.".into());
    }
}

fn indexed(
    bytes: &[u8],
    header: &Header,
    preprocessing: Preprocessing,
) -> Result<(PixelMode, Vec<u8>), Fault> {
    if header.masks.is_some() {
        return Err(Fault::unsupported("a BMP of colour masks and a palette"));
    }
    let (count, width) = header.colours;
    let table = bytes.get(header.palette..).ok_or_else(short)?;
    let table: Vec<[u8; 3]> =
        table.chunks_exact(width).take(count).map(|bgr| [bgr[2], bgr[1], bgr[0]]).collect();
    let samples = match header.packing {
        Packing::Plain => layout::unpack(rows(bytes, header)?, header.size, header.bits)?,
        packing => rle::expand(bytes.get(header.pixels..).ok_or_else(short)?, header.size, packing)?,
    };
    let white = |index: usize| if count == 2 { index * 255 } else { index } as u8;
    let is_grey =
        table.len() == count && table.iter().enumerate().all(|(index, colour)| *colour == [white(index); 3]);
    if is_grey {
        match (header.bits, count, header.packing) {
            (1, 2, Packing::Plain) => return Ok(layout::grey(samples, 1)),
            (8, 3.., _) => return Ok((PixelMode::Grey, samples)),
            _ if preprocessing == Preprocessing::Reference => {
                return Err(Fault::unsupported("a BMP grey palette that the reference misreads"));
            }
            _ => {}
        }
    }
    Ok((layout::palette(table.into_iter()), samples))
}

/// The rows without their padding, in file order.
fn rows(bytes: &[u8], header: &Header) -> Result<Vec<u8>, Fault> {
    let (width, height) = (header.size.0 as usize, header.size.1 as usize);
    let bits = width * header.bits as usize;
    let (used, stride) = (bits.div_ceil(8), bits.div_ceil(32) * 4);
    let data = bytes.get(header.pixels..).ok_or_else(short)?;
    // The last row's padding may be missing.
    if data.len() < stride * (height - 1) + used {
        return Err(short());
    }
    let rows = data.chunks(stride).take(height).flat_map(|row| &row[..used]).copied();
    Ok(collected("", used * height, rows)?)
}

/// 5 or 6 bits a colour, spread over 0 to 255 rounding down.
fn colours16(bytes: &[u8], header: &Header) -> Result<(PixelMode, Vec<u8>), Fault> {
    let green_bits = match header.masks {
        None | Some([0x7c00, 0x3e0, 0x1f, _]) => 5,
        Some([0xf800, 0x7e0, 0x1f, _]) => 6,
        Some(_) => return Err(Fault::unsupported("a 16-bit BMP of unusual colour masks")),
    };
    let part = |value: u16, shift: u32, bits: u32| {
        let most = (1 << bits) - 1;
        ((value >> shift & most) * 255 / most) as u8
    };
    let rows = rows(bytes, header)?;
    let count = rows.len() / 2 * 3;
    let pixels = rows.chunks_exact(2).flat_map(|pair| {
        let value = u16::from_le_bytes([pair[0], pair[1]]);
        [part(value, 5 + green_bits, 5), part(value, 5, green_bits), part(value, 0, 5)]
    });
    Ok((PixelMode::Rgb, collected("", count, pixels)?))
}

/// 24 or 32 bits; without masks the fourth byte means nothing.
fn colours(bytes: &[u8], header: &Header) -> Result<(PixelMode, Vec<u8>), Fault> {
    if header.packing != Packing::Plain {
        return Err(Fault::unsupported("a BMP of run lengths and full colour"));
    }
    // Which byte of a pixel is red, green, blue and, if any, alpha.
    let order: &[usize] = match (header.bits, header.masks) {
        (_, None) | (24, Some([0xff_0000, 0xff00, 0xff, _])) | (32, Some([0xff_0000, 0xff00, 0xff, 0])) => {
            &[2, 1, 0]
        }
        (32, Some([0xff00_0000, 0xff_0000, 0xff00, 0])) => &[3, 2, 1],
        (32, Some([0xff00_0000, 0xff00, 0xff, 0])) => &[3, 1, 0],
        (32, Some([0xff00_0000, 0xff_0000, 0xff00, 0xff])) => &[3, 2, 1, 0],
        (32, Some([0xff, 0xff00, 0xff_0000, 0xff00_0000])) => &[0, 1, 2, 3],
        (32, Some([0xff_0000, 0xff00, 0xff, 0xff00_0000] | [0, 0, 0, 0])) => &[2, 1, 0, 3],
        (32, Some([0xff00_0000, 0xff00, 0xff, 0xff_0000])) => &[3, 1, 0, 2],
        _ => return Err(Fault::unsupported("a BMP of unusual colour masks")),
    };
    let mode = if order.len() == 4 { PixelMode::Rgba } else { PixelMode::Rgb };
    let rows = rows(bytes, header)?;
    let pixels = rows.chunks_exact(header.bits as usize / 8);
    let count = pixels.len() * order.len();
    let samples = pixels.flat_map(|pixel| order.iter().map(|&index| pixel[index]));
    Ok((mode, collected("", count, samples)?))
}

/// Bottom row first to top row first.
fn flip(picture: &mut Picture) {
    let (stride, height) = (picture.width as usize * picture.mode.bytes_per_pixel(), picture.height as usize);
    for row in 0..height / 2 {
        let (above, below) = picture.samples.split_at_mut((height - 1 - row) * stride);
        above[row * stride..][..stride].swap_with_slice(&mut below[..stride]);
    }
}
