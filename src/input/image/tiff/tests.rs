use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::super::tests::{read, source};
use crate::error::Result;
use crate::frame::{PixelMode, Study};
use crate::study::Preprocessing::{self, Clinical, Reference};

/// A TIFF to be written.
#[derive(Clone)]
struct Drawn {
    big: bool,
    big_endian: bool,
    size: (u64, u64),
    bits: u64,
    samples: u64,
    photometric: u64,
    format: u64,
    compression: u64,
    /// Other tags of SHORT values.
    others: Vec<(u16, Vec<u64>)>,
    tables: Vec<u8>,
    /// As they are packed.
    strips: Vec<Vec<u8>>,
    rows: u64,
}

fn drawn(size: (u64, u64), bits: u64, format: u64, strip: Vec<u8>) -> Drawn {
    Drawn {
        big: false,
        big_endian: false,
        size,
        bits,
        samples: 1,
        photometric: 1,
        format,
        compression: 1,
        others: Vec::new(),
        tables: Vec::new(),
        strips: vec![strip],
        rows: size.1,
    }
}

impl Drawn {
    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        match self.big_endian {
            true => value.to_be_bytes()[8 - size..].to_vec(),
            false => value.to_le_bytes()[..size].to_vec(),
        }
    }

    /// The file: header, strips, values that do not fit into their entries, directory.
    fn bytes(&self) -> Vec<u8> {
        let word = if self.big { 8 } else { 4 };
        let mut bytes = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        bytes.extend(self.number(if self.big { 43 } else { 42 }, 2));
        if self.big {
            bytes.extend([self.number(8, 2), self.number(0, 2)].concat());
        }
        let start = bytes.len();
        bytes.resize(start + word, 0);
        let mut offsets = Vec::new();
        for strip in &self.strips {
            offsets.push(bytes.len() as u64);
            bytes.extend(strip);
        }
        let lengths = self.strips.iter().map(|strip| strip.len() as u64).collect();
        let wide = if self.big { 16 } else { 4 };
        let mut tags = vec![
            (256, 4, vec![self.size.0]),
            (257, 4, vec![self.size.1]),
            (258, 3, vec![self.bits; self.samples as usize]),
            (259, 3, vec![self.compression]),
            (262, 3, vec![self.photometric]),
            (273, wide, offsets),
            (277, 3, vec![self.samples]),
            (278, 4, vec![self.rows]),
            (279, wide, lengths),
            (339, 3, vec![self.format; self.samples as usize]),
            (347, 7, self.tables.iter().map(|&byte| u64::from(byte)).collect()),
        ];
        tags.extend(self.others.iter().map(|(tag, values)| (*tag, 3, values.clone())));
        tags.retain(|(_, _, values)| !values.is_empty());
        let mut directory = self.number(tags.len() as u64, if self.big { 8 } else { 2 });
        for (tag, kind, values) in tags {
            let size = [(3, 2), (4, 4), (7, 1), (16, 8)].into_iter().find(|(of, _)| *of == kind).unwrap().1;
            let mut stored: Vec<u8> = values.iter().flat_map(|&value| self.number(value, size)).collect();
            if stored.len() > word {
                let at = self.number(bytes.len() as u64, word);
                bytes.extend(stored);
                stored = at;
            }
            stored.resize(word, 0);
            directory.extend(self.number(tag.into(), 2));
            directory.extend(self.number(kind, 2));
            directory.extend(self.number(values.len() as u64, word));
            directory.extend(stored);
        }
        let at = self.number(bytes.len() as u64, word);
        bytes[start..start + word].copy_from_slice(&at);
        bytes.extend(directory);
        bytes.extend(vec![0; word]);
        bytes
    }

    fn read(&self, preprocessing: Preprocessing) -> Result<Study> {
        read(&source(self.bytes()), preprocessing)
    }

    /// Mode and samples in clinical mode, and the first warning.
    fn seen(&self) -> (PixelMode, Vec<u8>, String) {
        let study = self.read(Clinical).unwrap();
        let warning = study.warnings.first().cloned().unwrap_or_default();
        (study.frames[0].mode().clone(), study.frames[0].samples().to_vec(), warning)
    }

    fn deflated(mut self) -> Self {
        self.compression = 8;
        for strip in &mut self.strips {
            let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
            packed.write_all(strip).unwrap();
            *strip = packed.finish().unwrap();
        }
        self
    }
}

fn bytes_of<const N: usize>(values: &[[u8; N]], big_endian: bool) -> Vec<u8> {
    let turn = |mut bytes: [u8; N]| {
        if big_endian {
            bytes.reverse();
        }
        bytes
    };
    values.iter().flat_map(|&bytes| turn(bytes)).collect()
}

/// Bits, sample format, four values in the given order of bytes, and the words of the warning.
type Row = (u64, u64, fn(bool) -> Vec<u8>, &'static str);

/// The lowest, the highest, and one and two thirds in between.
const ROWS: [Row; 6] = [
    (
        16,
        2,
        |big| bytes_of(&[-300i16, 300, -100, 100].map(i16::to_le_bytes), big),
        "signed 16-bit values -300 to 300",
    ),
    (
        32,
        1,
        |big| bytes_of(&[0u32, u32::MAX, 1_431_655_765, 2_863_311_530].map(u32::to_le_bytes), big),
        "32-bit values 0",
    ),
    (
        32,
        2,
        |big| bytes_of(&[-3_000_000i32, 3_000_000, -1_000_000, 1_000_000].map(i32::to_le_bytes), big),
        "signed 32-bit",
    ),
    (
        16,
        3,
        |big| bytes_of(&[0.0f32, 6.0, 2.0, 4.0].map(|v| half::f16::from_f32(v).to_le_bytes()), big),
        "16-bit floating-point values 0 to 6",
    ),
    (
        32,
        3,
        |big| bytes_of(&[-1.5f32, 1.5, -0.5, 0.5].map(f32::to_le_bytes), big),
        "32-bit floating-point values -1.5 to 1.5",
    ),
    (
        64,
        3,
        |big| bytes_of(&[f64::MIN, f64::MAX, f64::MIN / 3.0, f64::MAX / 3.0].map(f64::to_le_bytes), big),
        "64-bit",
    ),
];

#[test]
fn wide_samples_are_scaled_by_their_own_range() {
    for (bits, format, values, words) in ROWS {
        for (big, big_endian) in [(false, false), (false, true), (true, false), (true, true)] {
            let tiff = Drawn { big, big_endian, ..drawn((4, 1), bits, format, values(big_endian)) };
            let (mode, samples, warning) = tiff.seen();
            assert_eq!((mode, samples.as_slice()), (PixelMode::Grey, &[0, 255, 85, 170][..]), "{warning}");
            assert!(warning.contains(words), "{warning}");
            let inverted = Drawn { photometric: 0, ..tiff.clone() };
            assert_eq!(inverted.seen().1, [255, 0, 170, 85]);
            let error = tiff.read(Reference).unwrap_err();
            assert!(error.facts().hint.contains("clinical preprocessing"), "{error}");
        }
    }
    let constant = drawn((4, 1), 32, 3, bytes_of(&[7.5f32.to_le_bytes(); 4], false));
    assert_eq!(constant.seen().1, [0; 4]);
    let holes = [1.0, f32::NAN, f32::INFINITY, 2.0].map(f32::to_le_bytes);
    let error = drawn((4, 1), 32, 3, bytes_of(&holes, false)).read(Clinical).unwrap_err();
    assert!(error.to_string().contains("NaN or infinity in 2 places"), "{error}");
}

#[test]
fn one_range_holds_for_all_colours() {
    let words = |values: &[u16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let colour = |samples, photometric, values: &[u16]| Drawn {
        samples,
        photometric,
        ..drawn((2, 1), 16, 1, words(values))
    };
    let rgb = colour(3, 2, &[100, 1120, 100, 610, 100, 100]);
    assert_eq!(rgb.seen().1, [0, 255, 0, 128, 0, 0]);
    let planes = Drawn { others: vec![(284, vec![2])], ..colour(3, 2, &[100, 610, 1120, 100, 100, 100]) };
    let planes = Drawn { strips: planes.strips[0].chunks(4).map(<[u8]>::to_vec).collect(), ..planes };
    assert_eq!(planes.seen().1, rgb.seen().1);
    assert!(planes.read(Reference).is_err());
    let cmyk = colour(4, 5, &[0, 51, 255, 102, 0, 0, 0, 0]);
    assert_eq!((cmyk.seen().0, cmyk.seen().1), (PixelMode::Cmyk, vec![0, 51, 255, 102, 0, 0, 0, 0]));
    // The second pixel cannot be seen and is outside the range.
    let alpha = Drawn { others: vec![(338, vec![2])], ..colour(2, 1, &[500, 65535, 9999, 0]) };
    assert_eq!((alpha.seen().0, alpha.seen().1), (PixelMode::Grey, vec![0, 255]));
    let signed = Drawn { samples: 3, photometric: 2, ..drawn((1, 1), 16, 2, words(&[65535, 0, 1])) };
    assert_eq!(signed.seen().1, [0, 128, 255]);
    let unknown = Drawn { others: vec![(338, vec![2])], samples: 2, ..drawn((1, 1), 32, 3, vec![0; 8]) };
    assert!(unknown.read(Clinical).is_err(), "an alpha whose highest value is unknown");
}

/// A row of samples as differences of each to the one before.
fn differences(row: &[u32]) -> Vec<u8> {
    let before = std::iter::once(&0).chain(row);
    row.iter().zip(before).flat_map(|(value, before)| value.wrapping_sub(*before).to_le_bytes()).collect()
}

/// A row of floating-point samples as its planes of bytes, and of each byte the difference to the one before.
fn planes(row: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> =
        (0..4).flat_map(|byte| row.iter().map(move |value| value.to_be_bytes()[byte])).collect();
    let before = std::iter::once(&0).chain(&bytes);
    bytes.iter().zip(before).map(|(byte, before)| byte.wrapping_sub(*before)).collect()
}

#[test]
fn predictors_of_wide_samples_are_undone() {
    let packed = |tiff: Drawn, predictor| Drawn { others: vec![(317, vec![predictor])], ..tiff }.deflated();
    let whole = [[7u32, 100_007, 50_007], [7, 7, 100_007]];
    let rows = whole.iter().flat_map(|row| differences(row)).collect();
    assert_eq!(packed(drawn((3, 2), 32, 1, rows), 2).seen().1, [0, 255, 128, 0, 0, 255]);
    let real = [[0.25f32, 1.25, 0.75], [0.25, 0.25, 1.25]];
    let rows: Vec<u8> = real.iter().flat_map(|row| planes(row)).collect();
    for big_endian in [false, true] {
        let tiff = Drawn { big_endian, ..drawn((3, 2), 32, 3, rows.clone()) };
        assert_eq!(packed(tiff, 3).seen().1, [0, 255, 128, 0, 0, 255]);
    }
    assert!(packed(drawn((3, 2), 32, 1, rows), 3).read(Clinical).is_err(), "of floating-point numbers alone");
}

#[test]
fn a_big_tiff_is_the_same_picture() {
    let tiff = drawn((3, 2), 8, 1, vec![1, 2, 3, 4, 5, 6]);
    for (big_endian, preprocessing) in
        [(false, Clinical), (true, Clinical), (false, Reference), (true, Reference)]
    {
        let read = |big| Drawn { big, big_endian, ..tiff.clone() }.read(preprocessing).unwrap();
        assert_eq!(read(true).frames, read(false).frames);
    }
    let rows = Drawn { strips: vec![vec![1, 2, 3], vec![4, 5, 6]], rows: 1, big: true, ..tiff.clone() };
    assert_eq!(rows.seen().1, [1, 2, 3, 4, 5, 6]);
    let mut many = Drawn { big: true, ..tiff }.bytes();
    let at = u64::from_le_bytes(many[8..16].try_into().unwrap()) as usize;
    many[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(read(&source(many), Clinical).is_err());
}

/// A JPEG, its segments that hold tables, and all but them.
fn jpeg(colour: bool) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut whole = Cursor::new(Vec::new());
    let rgb = image::RgbImage::from_fn(24, 16, |x, y| image::Rgb([(x * 10) as u8, (y * 15) as u8, 77]));
    let picture = image::DynamicImage::ImageRgb8(rgb);
    let picture = if colour { picture } else { picture.to_luma8().into() };
    picture.write_to(&mut whole, image::ImageFormat::Jpeg).unwrap();
    let whole = whole.into_inner();
    let (mut tables, mut rest, mut at) = (vec![0xff, 0xd8], vec![0xff, 0xd8], 2);
    while whole[at + 1] != 0xda {
        let end = at + 2 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
        let to = if matches!(whole[at + 1], 0xdb | 0xc4) { &mut tables } else { &mut rest };
        to.extend(&whole[at..end]);
        at = end;
    }
    rest.extend(&whole[at..]);
    tables.extend([0xff, 0xd9]);
    (whole, tables, rest)
}

#[test]
fn strips_may_be_jpegs_that_share_their_tables() {
    for (colour, samples, photometric) in [(true, 3, 6), (false, 1, 1)] {
        let (whole, tables, rest) = jpeg(colour);
        let alone = read(&source(whole.clone()), Reference).unwrap();
        let tiff = |strip: &[u8], tables: &[u8]| Drawn {
            compression: 7,
            samples,
            photometric,
            tables: tables.to_vec(),
            ..drawn((24, 16), 8, 1, strip.to_vec())
        };
        for drawn in [tiff(&whole, &[]), tiff(&rest, &tables)] {
            for preprocessing in [Clinical, Reference] {
                let study = drawn.read(preprocessing).unwrap();
                assert_eq!(study.frames[0].samples(), alone.frames[0].samples(), "{colour}");
            }
        }
        // Two of them below one another, of which the second is longer than its part of the picture.
        let two = Drawn { strips: vec![rest.clone(), rest.clone()], rows: 16, ..tiff(&rest, &tables) };
        let two = Drawn { size: (24, 20), ..two };
        let (above, samples) = (alone.frames[0].samples(), two.seen().1);
        assert_eq!((&samples[..above.len()], &samples[above.len()..]), (above, &above[..above.len() / 4]));
        // What the header of a strip says must be true.
        let other = Drawn { size: (23, 16), ..tiff(&rest, &tables) };
        assert!(other.read(Clinical).unwrap_err().to_string().contains("24×16"));
        assert!(tiff(&rest, &[]).read(Clinical).is_err(), "without tables");
        assert!(tiff(&rest[..rest.len() / 2], &tables).read(Clinical).is_err());
        assert!(tiff(b"no picture", &tables).read(Clinical).is_err());
    }
    // Samples that are no colour differences are left as they are.
    let (_, tables, rest) = jpeg(true);
    let plain = Drawn { compression: 7, samples: 3, photometric: 2, tables, ..drawn((24, 16), 8, 1, rest) };
    let luma = plain.seen().1;
    assert_ne!(luma, Drawn { photometric: 6, ..plain }.seen().1);
}

#[test]
fn strips_that_share_their_bytes_are_no_endless_work() {
    // A megabyte that unpacks to nothing, and then one byte: as many times as there are rows.
    let mut strip = vec![0x80; 1 << 20];
    strip.extend([0, 7]);
    let mut tiff = Drawn { compression: 32773, rows: 1, ..drawn((1, 4000), 8, 1, strip.clone()) };
    let whole = tiff.bytes();
    let (at, length) = (8, strip.len() as u64);
    assert_eq!(&whole[8..8 + strip.len()], strip);
    // The directory names the one strip for every row.
    tiff.strips = Vec::new();
    let mut bytes = whole;
    let end = bytes.len() as u32;
    let offsets: Vec<u8> = (0..4000).flat_map(|_| (at as u32).to_le_bytes()).collect();
    let lengths: Vec<u8> = (0..4000).flat_map(|_| (length as u32).to_le_bytes()).collect();
    let start = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    for entry in bytes[start + 2..].chunks_exact_mut(12).take(10) {
        let place = match u16::from_le_bytes([entry[0], entry[1]]) {
            273 => end,
            279 => end + 16_000,
            _ => continue,
        };
        entry[4..8].copy_from_slice(&4000u32.to_le_bytes());
        entry[8..12].copy_from_slice(&place.to_le_bytes());
    }
    bytes.extend(offsets);
    bytes.extend(lengths);
    let error = read(&source(bytes), Clinical).unwrap_err();
    assert!(error.to_string().contains("share their bytes"), "{error}");
}
