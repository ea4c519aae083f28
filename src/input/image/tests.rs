use std::sync::Arc;

use proptest::prelude::*;

use super::ifd::Ifd;
use super::layout;
use super::orientation::Orientation;
use super::picture::Picture;
use super::sniff;
use crate::error::{Error, Result};
use crate::frame::{PixelMode, Study};
use crate::input::{self, ReadOptions};
use crate::study::{Preprocessing, Source, StudyInput};

pub(super) fn source(bytes: impl Into<Arc<[u8]>>) -> Source {
    Source::Bytes { name: "picture".into(), bytes: bytes.into() }
}

/// Reads a picture; what its header was measured to must be what comes out.
pub(super) fn read(source: &Source, preprocessing: Preprocessing) -> Result<Study> {
    let options = ReadOptions::default().preprocessing(preprocessing);
    let opened = input::open(&StudyInput::image(source.clone()), &options)?;
    let measured = opened.measured();
    let study = opened.read()?;
    let frame = &study.frames[0];
    assert_eq!(measured.sizes, [[frame.width(), frame.height()]]);
    Ok(study)
}

fn exif(orientation: u16, big_endian: bool) -> Vec<u8> {
    let short = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u16| {
        let value = u32::from(value);
        if big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    };
    let mut bytes = if big_endian { b"MM".to_vec() } else { b"II".to_vec() };
    bytes.extend(short(42));
    bytes.extend(long(8));
    // One entry: the orientation, a SHORT.
    bytes.extend([short(1), short(0x112), short(3)].concat());
    bytes.extend(long(1));
    bytes.extend([short(orientation), short(0)].concat());
    bytes.extend(long(0));
    bytes
}

/// A 3×2 PNG of this kind, turned by its `eXIf`.
fn drawn(color: ::png::ColorType, depth: ::png::BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut info = ::png::Info::with_size(3, 2);
    (info.color_type, info.bit_depth) = (color, depth);
    if color == ::png::ColorType::Indexed {
        info.palette = Some(vec![10, 20, 30, 40, 50, 60].into());
    }
    info.exif_metadata = Some(exif(6, true).into());
    let mut writer = ::png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
    writer.write_image_data(pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

/// An uncompressed little-endian TIFF of one strip of grey.
fn drawn_tiff(size: (u16, u16), bits: u16, photometric: u16, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = b"II\x2a\0".to_vec();
    bytes.extend((8 + pixels.len() as u32).to_le_bytes());
    bytes.extend(pixels);
    let tags = [
        (256, size.0),
        (257, size.1),
        (258, bits),
        (259, 1),
        (262, photometric),
        (273, 8),
        (277, 1),
        (278, size.1),
        (279, pixels.len() as u16),
    ];
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        bytes.extend([tag, 3, 1, 0, value, 0].map(u16::to_le_bytes).concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// A little-endian TIFF of 1 × 8 pixels of grey in tiles of this width and one row, all of them the same bytes.
fn drawn_tiles(width: u32, tile: &[u8]) -> Vec<u8> {
    let mut bytes = b"II\x2a\0".to_vec();
    let at = 8 + tile.len() as u32;
    bytes.extend((at + 32).to_le_bytes());
    bytes.extend(tile);
    bytes.extend([8u32; 8].map(u32::to_le_bytes).concat());
    let tags: [(u16, u32, u32); 8] = [
        (256, 1, 1),
        (257, 1, 8),
        (258, 1, 8),
        (259, 1, 1),
        (262, 1, 1),
        (322, 1, width),
        (323, 1, 1),
        (324, 8, at),
    ];
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, count, value) in tags {
        bytes.extend([tag, 4].map(u16::to_le_bytes).concat());
        bytes.extend([count, value].map(u32::to_le_bytes).concat());
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn tiles_far_larger_than_their_picture_are_refused() {
    let grey = frame(&drawn_tiles(16, &[7; 16]), Preprocessing::Clinical).2;
    assert_eq!(grey, [7; 8]);
    let error = read(&source(drawn_tiles(10_000_000, &[7; 16])), Preprocessing::Clinical).unwrap_err();
    assert!(error.to_string().contains("tiles of 10000000"), "{error}");
}

fn frame(bytes: &[u8], preprocessing: Preprocessing) -> (PixelMode, (u32, u32), Vec<u8>, usize) {
    let study = read(&source(bytes), preprocessing).unwrap();
    let frame = &study.frames[0];
    (frame.mode().clone(), (frame.width(), frame.height()), frame.samples().to_vec(), study.warnings.len())
}

#[test]
fn formats_are_told_by_their_content() {
    let rows: [(&[u8], Option<&str>); 12] = [
        (b"\x89PNG\r\n\x1a\n....", Some("PNG")),
        (b"\xff\xd8\xff\xe0", Some("JPEG")),
        (b"BM............\x28\0\0\0", Some("BMP")),
        (b"BM is a fine beginning of a text", None),
        (b"GIF87a", Some("GIF")),
        (b"GIF89a", Some("GIF")),
        (b"II\x2a\0", Some("TIFF")),
        (b"MM\0\x2b", Some("TIFF")),
        (b"RIFF....WEBPVP8 ", Some("WebP")),
        (b"RIFF....AVI LIST", None),
        (b"\x93NUMPY", None),
        (b"", None),
    ];
    for (head, name) in rows {
        assert_eq!(sniff(head), name, "{head:?}");
    }
}

#[test]
fn orientation_is_found_in_either_byte_order() {
    for (value, tag) in [(0, 1), (1, 1), (3, 3), (6, 6), (8, 8), (9, 1)] {
        for big_endian in [false, true] {
            let plain = exif(value, big_endian);
            assert_eq!(Orientation::stated(Some(&plain), None).tag(), tag);
            assert_eq!(Orientation::stated(Some(&[b"Exif\0\0", plain.as_slice()].concat()), None).tag(), tag);
            // Cut anywhere inside the entry, it says nothing.
            (0..22).for_each(|length| assert_eq!(Orientation::stated(Some(&plain[..length]), None).tag(), 1));
        }
    }
}

#[test]
fn every_orientation_turns_as_pillow_does() {
    // 0 1 2
    // 3 4 5
    let rows: [(u16, (u32, u32), [u8; 6]); 8] = [
        (1, (3, 2), [0, 1, 2, 3, 4, 5]),
        (2, (3, 2), [2, 1, 0, 5, 4, 3]),
        (3, (3, 2), [5, 4, 3, 2, 1, 0]),
        (4, (3, 2), [3, 4, 5, 0, 1, 2]),
        (5, (2, 3), [0, 3, 1, 4, 2, 5]),
        (6, (2, 3), [3, 0, 4, 1, 5, 2]),
        (7, (2, 3), [5, 2, 4, 1, 3, 0]),
        (8, (2, 3), [2, 5, 1, 4, 0, 3]),
    ];
    for (tag, size, samples) in rows {
        let turned = Orientation::stated(Some(&exif(tag, false)), None);
        let mut picture = Picture::new((3, 2), PixelMode::Grey, (0..6).collect()).turned(turned);
        picture.stand_up().unwrap();
        assert_eq!(
            ((picture.width, picture.height), picture.samples.as_slice()),
            (size, &samples[..]),
            "{tag}"
        );
    }
}

#[test]
fn modes_are_pillows_and_mends_are_told() {
    use ::png::{BitDepth, ColorType};
    let table = layout::palette([[10, 20, 30], [40, 50, 60]].into_iter());
    let wide: Vec<u8> = [0u16, 100, 255, 256, 1000, 40000].iter().flat_map(|v| v.to_be_bytes()).collect();
    let narrow: Vec<u8> = [0u16, 100, 255, 256, 1000, 40000].iter().flat_map(|v| v.to_le_bytes()).collect();
    let bits = [0b1010_0000, 0b0110_0000];
    let rows = [
        (ColorType::Grayscale, BitDepth::One, &bits[..], PixelMode::Bilevel, vec![255, 0, 255, 0, 255, 255]),
        (
            ColorType::Grayscale,
            BitDepth::Two,
            &[0b0001_1000, 0b1100_0100],
            PixelMode::Grey,
            vec![0, 85, 170, 255, 0, 85],
        ),
        (ColorType::Indexed, BitDepth::One, &bits[..], table, vec![1, 0, 1, 0, 1, 1]),
        (ColorType::Grayscale, BitDepth::Sixteen, &wide[..], PixelMode::Grey16, narrow),
    ];
    for (color, depth, pixels, mode, samples) in rows {
        let bytes = drawn(color, depth, pixels);
        let (got, size, raw, warnings) = frame(&bytes, Preprocessing::Reference);
        assert_eq!((got, size, raw), (mode.clone(), (3, 2), samples));
        assert_eq!(
            warnings,
            1 + usize::from(mode == PixelMode::Grey16),
            "orientation and, at 16 bits, clipping"
        );
        let (got, size, _, warnings) = frame(&bytes, Preprocessing::Clinical);
        let is_palette = matches!(mode, PixelMode::Palette(_));
        assert_eq!((got, size), (if is_palette { PixelMode::Rgb } else { PixelMode::Grey }, (2, 3)));
        assert_eq!(warnings, 1 + usize::from(mode != PixelMode::Grey), "orientation and the mode");
    }
}

#[test]
fn sixteen_bits_are_scaled_over_their_own_range() {
    for (values, scaled) in [([0u16, 1, 2, 510], [0, 1, 1, 255]), ([7, 7, 7, 7], [0, 0, 0, 0])] {
        let pixels: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (mode, _, samples, warnings) =
            frame(&drawn_tiff((4, 1), 16, 1, &pixels), Preprocessing::Clinical);
        assert_eq!((mode, samples, warnings), (PixelMode::Grey, scaled.to_vec(), 1));
    }
    // 0 is white: overlooked by the reference, told by both.
    let inverted = drawn_tiff((2, 1), 16, 0, &[0, 0, 255, 255]);
    assert_eq!(frame(&inverted, Preprocessing::Clinical).2, [255, 0]);
    assert_eq!(frame(&inverted, Preprocessing::Reference).2, [0, 0, 255, 255]);
}

#[test]
fn what_is_no_picture_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let huge = drawn_tiff((60000, 60000), 8, 1, &[]);
    let cut = drawn(::png::ColorType::Grayscale, ::png::BitDepth::Eight, &[1, 2, 3, 4, 5, 6]);
    let rows = [
        (Source::Path(folder.path().into()), "a folder"),
        (Source::Path(folder.path().join("none.png")), "No such file"),
        (source(b"".to_vec()), "an empty file"),
        (source(b"hello".to_vec()), "something else"),
        (source(b"\x89PNG\r\n\x1a\n".to_vec()), "unexpected end of file"),
        (source(&cut[..cut.len() - 20]), "unexpected end of file"),
        (source(b"\xff\xd8\xff".to_vec()), "a file that ends before the picture does"),
        (source(huge), "3600000000 pixels"),
        (source(drawn_tiff((2, 2), 24, 1, &[0; 12])), "[24] bits a sample"),
    ];
    for (source, words) in rows {
        let error = read(&source, Preprocessing::Clinical).unwrap_err();
        assert!(matches!(error, Error::Input(_)) && error.facts().thing == source.name());
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_can_be_seen_through_is_laid_on_white() {
    use ::png::{BitDepth, ColorType};
    // Alpha 0, half and full, over black; the picture is turned by a quarter.
    let rgba: Vec<u8> = [0, 128, 255, 0, 128, 255].iter().flat_map(|&alpha| [0, 0, 0, alpha]).collect();
    let file = drawn(ColorType::Rgba, BitDepth::Eight, &rgba);
    let (mode, _, samples, warnings) = frame(&file, Preprocessing::Clinical);
    let grey: Vec<u8> = samples.chunks_exact(3).map(|pixel| pixel[0]).collect();
    assert_eq!((mode, grey, warnings), (PixelMode::Rgb, vec![255, 255, 127, 127, 0, 0], 2));
    assert_eq!(frame(&file, Preprocessing::Reference).2, rgba);

    let opaque: Vec<u8> =
        rgba.chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
    let (mode, _, samples, warnings) =
        frame(&drawn(ColorType::Rgba, BitDepth::Eight, &opaque), Preprocessing::Clinical);
    assert_eq!((mode, samples, warnings), (PixelMode::Rgb, vec![0; 18], 1));

    let grey_alpha = [9, 0, 9, 255, 9, 255, 9, 255, 9, 255, 9, 255];
    let (mode, _, samples, warnings) =
        frame(&drawn(ColorType::GrayscaleAlpha, BitDepth::Eight, &grey_alpha), Preprocessing::Clinical);
    assert_eq!((mode, samples, warnings), (PixelMode::Grey, vec![9, 255, 9, 9, 9, 9], 2));
}

#[test]
fn a_colour_that_is_transparent_is_laid_on_white() {
    use ::png::{BitDepth, ColorType};
    let file = |color, depth, transparent: &[u8], pixels: &[u8]| {
        let mut bytes = Vec::new();
        let mut info = ::png::Info::with_size(3, 2);
        (info.color_type, info.bit_depth) = (color, depth);
        info.trns = Some(transparent.to_vec().into());
        if color == ColorType::Indexed {
            info.palette = Some(vec![10, 10, 10, 40, 40, 40].into());
        }
        let mut writer = ::png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        bytes
    };
    let bits = [0b1010_0000, 0b0110_0000];
    let palette = file(ColorType::Indexed, BitDepth::One, &[0, 255], &bits);
    let (mode, _, samples, warnings) = frame(&palette, Preprocessing::Clinical);
    let grey: Vec<u8> = samples.chunks_exact(3).map(|pixel| pixel[0]).collect();
    assert_eq!((mode, grey, warnings), (PixelMode::Rgb, vec![40, 255, 40, 255, 40, 40], 2));
    assert_eq!(frame(&palette, Preprocessing::Reference).2, [1, 0, 1, 0, 1, 1]);
    let grey = file(ColorType::Grayscale, BitDepth::Eight, &[0, 7], &[7, 1, 2, 3, 4, 7]);
    assert_eq!(frame(&grey, Preprocessing::Clinical).2, [255, 1, 2, 3, 4, 255]);
    assert_eq!(frame(&grey, Preprocessing::Reference).2, [7, 1, 2, 3, 4, 7]);
}

#[test]
fn sixteen_bits_of_colour_are_scaled_by_one_range() {
    use ::png::{BitDepth, ColorType};
    let words = |values: &[u16]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<u8>>();
    let rgb: Vec<u16> = vec![0, 4080, 408, 816, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let file = drawn(ColorType::Rgb, BitDepth::Sixteen, &words(&rgb));
    let (mode, _, samples, warnings) = frame(&file, Preprocessing::Clinical);
    assert_eq!((mode, warnings), (PixelMode::Rgb, 2));
    assert_eq!((&samples[3..6], &samples[9..12]), (&[0, 255, 26][..], &[51, 0, 0][..]));
    assert_eq!(frame(&file, Preprocessing::Reference).2[..3], [0, 15, 1]);
    // What cannot be seen is outside the range.
    let mut rgba = [100u16, 100, 100, 65535].repeat(6);
    (rgba[0], rgba[4], rgba[7]) = (300, 9, 0);
    let file = drawn(ColorType::Rgba, BitDepth::Sixteen, &words(&rgba));
    let (mode, _, samples, warnings) = frame(&file, Preprocessing::Clinical);
    assert_eq!((mode, warnings), (PixelMode::Rgb, 3));
    assert_eq!((&samples[3..6], &samples[9..12]), (&[255, 0, 0][..], &[255, 255, 255][..]));
}

#[test]
fn orientation_is_found_wherever_it_stands() {
    let xmp = |tag: u8| format!("<x:xmpmeta tiff:Orientation=\"{tag}\"/>").into_bytes();
    let element = b"<tiff:Orientation>8</tiff:Orientation>";
    assert_eq!(Orientation::stated(None, Some(&xmp(6))).tag(), 6);
    assert_eq!(Orientation::stated(None, Some(element)).tag(), 8);
    assert_eq!(Orientation::stated(Some(&exif(3, true)), Some(&xmp(6))).tag(), 3, "EXIF goes first");
    assert_eq!(Orientation::stated(None, Some(&xmp(9))).tag(), 1);
    assert_eq!(Orientation::stated(None, Some(b"tiff:Orientation=\"")).tag(), 1);
    // Pixels of one row, and a text beside them.
    let png = |write: &dyn Fn(&mut ::png::Info<'_>)| {
        let mut bytes = Vec::new();
        let mut info = ::png::Info::with_size(3, 2);
        info.color_type = ::png::ColorType::Grayscale;
        write(&mut info);
        let mut writer = ::png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
        writer.write_image_data(&[0, 1, 2, 3, 4, 5]).unwrap();
        writer.finish().unwrap();
        bytes
    };
    let text = String::from_utf8(xmp(6)).unwrap();
    let international = png(&|info| {
        info.utf8_text.push(::png::text_metadata::ITXtChunk::new("XML:com.adobe.xmp", text.clone()));
    });
    let digits: String = exif(6, false).iter().map(|byte| format!("{byte:02x}")).collect();
    let profile = format!("\nexif\n      {}\n{}\n{}", digits.len() / 2, &digits[..20], &digits[20..]);
    let packed = png(&|info| {
        let chunk = ::png::text_metadata::ZTXtChunk::new("Raw profile type exif", profile.clone());
        info.compressed_latin1_text.push(chunk);
    });
    for file in [international, packed] {
        assert_eq!(frame(&file, Preprocessing::Clinical).2, [3, 0, 4, 1, 5, 2]);
        assert_eq!(frame(&file, Preprocessing::Reference).2, [0, 1, 2, 3, 4, 5]);
    }
    // A segment of XMP after the start of a JPEG.
    let plain = &sound()[2];
    let body = [b"http://ns.adobe.com/xap/1.0/\0", xmp(6).as_slice()].concat();
    let length = (body.len() as u16 + 2).to_be_bytes();
    let turned = [&plain[..2], &[0xff, 0xe1], &length, &body, &plain[2..]].concat();
    assert_eq!(frame(&turned, Preprocessing::Clinical).1, (7, 9));
    assert_eq!(frame(plain, Preprocessing::Clinical).1, (9, 7));
}

#[test]
fn the_first_of_several_pictures_is_told() {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 3, 2);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[1; 6]).unwrap();
    writer.write_image_data(&[2; 6]).unwrap();
    writer.finish().unwrap();
    for mode in [Preprocessing::Reference, Preprocessing::Clinical] {
        let study = read(&source(bytes.clone()), mode).unwrap();
        assert_eq!(study.frames[0].samples(), [1; 6]);
        assert!(
            study.warnings.iter().any(|warning| warning.contains("first picture")),
            "{:?}",
            study.warnings
        );
    }
}

fn drawn_gif() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::gif::Encoder::new(&mut bytes, 3, 2, &[1, 2, 3, 255, 254, 253]).unwrap();
    let picture =
        ::gif::Frame { width: 3, height: 2, buffer: vec![0, 1, 0, 1, 1, 0].into(), ..Default::default() };
    encoder.write_frame(&picture).unwrap();
    drop(encoder);
    bytes
}

/// A file of each format to damage.
fn sound() -> Vec<Vec<u8>> {
    let pixels: Vec<u8> = (0..6).collect();
    let encoded = |format| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let image = image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([(x * 20) as u8, (y * 30) as u8, 77]));
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    vec![
        drawn(::png::ColorType::Grayscale, ::png::BitDepth::Eight, &pixels),
        drawn_tiff((3, 2), 8, 1, &pixels),
        encoded(image::ImageFormat::Jpeg),
        encoded(image::ImageFormat::WebP),
        [&b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x03\0\0\0\x02\0\0\0\x01\0\x18\0"[..], &[0; 24], &[7; 24]]
            .concat(),
        drawn_gif(),
    ]
}

#[test]
fn sound_files_are_sound() {
    for bytes in sound() {
        let error = read(&source(bytes.clone()), Preprocessing::Reference).err();
        assert!(error.is_none(), "{}", error.map(|error| error.to_string()).unwrap_or_default());
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(format in 0..8usize, tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let heads: [&[u8]; 8] = [
            b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"II\x2a\0", b"MM\0\x2a", b"RIFF\0\0\0\0WEBP",
            b"BM\0\0\0\0\0\0\0\0\0\0\0\0\x28\0\0\0",
        ];
        let bytes = [heads[format], &tail].concat();
        let _ = Ifd::first(&bytes).and_then(|ifd| ifd.values(256));
        let _ = read(&source(bytes), Preprocessing::Reference);
    }

    #[test]
    fn damaged_files_never_panic(
        which in 0..6usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 0..8),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sound().swap_remove(which);
        for (at, flip) in &flips {
            *at.get_mut(&mut bytes) ^= flip;
        }
        let _ = read(&source(bytes.clone()), Preprocessing::Clinical);
        bytes.truncate(length.index(bytes.len()));
        let _ = read(&source(bytes), Preprocessing::Reference);
    }
}
