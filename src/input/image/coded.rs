//! Pictures that the codecs decode: JPEG 2000, and JPEGs of more than 8 bits a sample. The reference's reader opens no such
//! JPEG, and rounds a lossy JPEG 2000 in its own way.

use super::super::codecs::{self, Codec, Colour, Geometry, StreamHeader, rgb_of_ycbcr};
use super::super::reading::ReadOptions;
use super::picture::{Fault, Picture, Size};
use super::wide::{Number, Wide};
use crate::error::Result as Read;
use crate::frame::PixelMode;
use crate::study::Preprocessing;
use crate::words::counted;

/// Width and height.
pub(super) fn size(codec: Codec, bytes: &[u8], options: &ReadOptions) -> Result<Size, Fault> {
    let header = checked(codec, codecs::header(codec, bytes), options)?;
    Ok((header.columns, header.rows))
}

/// The picture: samples of 8 bits as they are, wider ones scaled.
pub(super) fn decode(codec: Codec, bytes: &[u8], options: &ReadOptions) -> Result<Picture, Fault> {
    let header = checked(codec, codecs::header(codec, bytes), options)?;
    let size = (header.columns, header.rows);
    let is_plain = header.precision == 8 && !header.signed;
    let geometry = Geometry {
        rows: header.rows,
        columns: header.columns,
        samples_per_pixel: header.samples_per_pixel,
        bits_allocated: if is_plain { 8 } else { 16 },
    };
    let decoded = codecs::decode(codec, bytes, &geometry, &options.watch)?;
    let mode = if header.samples_per_pixel == 1 { PixelMode::Grey } else { PixelMode::Rgb };
    let mut samples = decoded.samples;
    if !is_plain {
        let number = if header.signed { Number::I16 } else { Number::U16 };
        let colours = header.samples_per_pixel;
        let wide = Wide { number, bits: header.precision, colours, alpha: None, samples: colours };
        return wide.scaled(size, mode, samples);
    }
    if decoded.header.colour == Colour::Ycbcr {
        rgb_of_ycbcr(&mut samples);
    }
    Ok(Picture::new(size, mode, samples))
}

/// The header, if it is of a picture that is read.
fn checked(codec: Codec, header: Read<StreamHeader>, options: &ReadOptions) -> Result<StreamHeader, Fault> {
    let header = header?;
    let StreamHeader { precision, samples_per_pixel, signed, .. } = header;
    let pixels = options.budget.check_pixels("", header.columns, header.rows)? as u64;
    options.budget.check_samples("", 2 * pixels * samples_per_pixel as u64)?;
    let name = if codec == Codec::Jpeg2000 { "JPEG 2000" } else { "JPEG" };
    let got = format!(
        "a {name} image of {} of {} a pixel",
        counted(samples_per_pixel, "sample"),
        counted(precision as usize, "bit")
    );
    if options.preprocessing == Preprocessing::Reference {
        let hint = "it can be read with clinical preprocessing; or convert it to PNG".into();
        return Err(Fault { hint, ..Fault::unsupported(got) });
    }
    let is_wide = precision > 8 || signed;
    let is_known = match samples_per_pixel {
        1 => true,
        3 => header.colour != Colour::Ycbcr || !is_wide,
        _ => false,
    };
    match is_known && (8..=16).contains(&precision) {
        true => Ok(header),
        false => Err(Fault::unsupported(got)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::codecs::samples::{SIGNED, TILED};
    use super::super::tests::{read, source};
    use super::*;
    use Preprocessing::{Clinical, Reference};

    /// A lossless JPEG of one component, each sample told by its difference to the one on its left.
    fn lossless(size: (u16, u16), precision: u8, values: &[i32]) -> Vec<u8> {
        let segment = |mark: u8, body: &[u8]| {
            [&[0xff, mark], &(body.len() as u16 + 2).to_be_bytes()[..], body].concat()
        };
        let sides = [size.1.to_be_bytes(), size.0.to_be_bytes()].concat();
        // A code of 5 bits for each number of bits that a difference may have.
        let lengths = [[0, 0, 0, 0, 17].as_slice(), &[0; 11]].concat();
        let table = [&[0], lengths.as_slice(), &(0..17).collect::<Vec<u8>>()].concat();
        let mut bits = String::new();
        let width = usize::from(size.0);
        for (place, value) in values.iter().enumerate() {
            let before = match (place % width, place / width) {
                (0, 0) => 1 << (precision - 1),
                (0, _) => values[place - width],
                _ => values[place - 1],
            };
            // Counted round from the highest number to the lowest.
            let difference = i32::from((value - before) as i16);
            let count = 32 - difference.unsigned_abs().leading_zeros() as usize;
            let rest = if difference < 0 { difference - 1 } else { difference };
            bits += &format!("{count:05b}");
            // There is one number of 16 bits.
            bits += &format!("{rest:032b}")[32 - count % 16..];
        }
        bits += &"1".repeat(bits.len().next_multiple_of(8) - bits.len());
        let scan = bits.as_bytes().chunks(8).flat_map(|byte| {
            let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
            if byte == 0xff { vec![0xff, 0] } else { vec![byte] }
        });
        [
            vec![0xff, 0xd8],
            segment(0xc3, &[&[precision], sides.as_slice(), &[1, 1, 0x11, 0]].concat()),
            segment(0xc4, &table),
            segment(0xda, &[1, 1, 0, 1, 0, 0]),
            scan.collect(),
            vec![0xff, 0xd9],
        ]
        .concat()
    }

    #[test]
    fn a_jpeg_of_more_than_8_bits_is_scaled_by_its_own_range() {
        for (precision, values, words) in [
            (12, [1000, 3550, 1000, 1255, 2275, 3550], "12-bit values 1000 to 3550"),
            (16, [0, 65535, 0, 6553, 32768, 65535], "16-bit values 0 to 65535"),
        ] {
            let bytes = lossless((3, 2), precision, &values);
            let study = read(&source(bytes.clone()), Clinical).unwrap();
            assert_eq!(study.frames[0].samples()[..3], [0, 255, 0]);
            assert_eq!(study.frames[0].samples()[3..], [25 + u8::from(precision == 12), 128, 255]);
            assert!(study.warnings[0].contains(words), "{:?}", study.warnings);
            let error = read(&source(bytes.clone()), Reference).unwrap_err();
            assert!(error.facts().hint.contains("clinical"), "{error}");
            for length in 0..bytes.len() {
                let _ = read(&source(&bytes[..length]), Clinical);
            }
        }
    }

    #[test]
    fn jpeg_2000_is_read_in_boxes_and_bare() {
        let colours = read(&source(TILED), Clinical).unwrap();
        let wanted: Vec<u8> = (0..90_u32).map(|value| (value * 7) as u8).collect();
        assert_eq!(colours.frames[0].samples(), wanted);
        let grey = read(&source(SIGNED), Clinical).unwrap();
        let wanted: Vec<u8> = (0..64_u32).map(|value| ((value * 510 + 63) / 126) as u8).collect();
        assert_eq!(grey.frames[0].samples(), wanted);
        assert!(grey.warnings[0].contains("-1920 to 1860"), "{:?}", grey.warnings);
    }

    #[test]
    fn a_jpeg_2000_without_pixels_is_refused() {
        for bytes in [&b"\0\0\0\x0cjP  \r\n\x87\n"[..], b"\xff\x4f\xff\x51\0\x29", b"\xff\x4f\xff\x51"] {
            let error = read(&source(bytes), Clinical).unwrap_err();
            assert_eq!(error.facts().thing, "picture");
        }
    }
}
