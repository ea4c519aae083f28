//! Lossless streams through an encoder of our own, and frames of blocks against libjpeg-turbo.

use proptest::prelude::*;

use super::super::samples::TWELVE_BITS;
use super::super::tests::{bytes_of, decoded, geometry, survives, texture};
use super::super::{Codec, Colour, Geometry, header};

#[derive(Debug, Clone, Copy)]
struct Plan {
    precision: u32,
    predictor: u8,
    transform: u32,
    /// Whether all components stand in one scan.
    together: bool,
    /// Lines between restart markers.
    restart: usize,
}

const PLAIN: Plan = Plan { precision: 8, predictor: 1, transform: 0, together: true, restart: 0 };

/// Bits with a zero behind each byte 0xFF.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Writer {
    fn put(&mut self, value: u32, bits: u32) {
        for bit in (0..bits).rev() {
            self.held = self.held << 1 | (value >> bit & 1);
            self.count += 1;
            if self.count == 8 {
                self.bytes.push(self.held as u8);
                if self.held == 0xff {
                    self.bytes.push(0);
                }
                (self.held, self.count) = (0, 0);
            }
        }
    }

    fn finish(&mut self) -> Vec<u8> {
        while self.count > 0 {
            self.put(1, 1);
        }
        std::mem::take(&mut self.bytes)
    }

    /// A difference, modulo 2^16. Its size has a code of five bits.
    fn difference(&mut self, value: u16) {
        let value = i32::from(value as i16);
        let size = if value == -32768 { 16 } else { 32 - value.unsigned_abs().leading_zeros() };
        self.put(size, 5);
        if size < 16 {
            let bits = if value < 0 { value - 1 } else { value };
            self.put(bits as u32 & ((1 << size) - 1), size);
        }
    }
}

fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker], &length[..], body].concat()
}

/// What T.81 table H.1 predicts for a sample of `plane`.
fn predicted(plane: &[u16], (x, y): (usize, usize), columns: usize, plan: &Plan) -> u16 {
    let first = if plan.restart > 0 { y % plan.restart == 0 } else { y == 0 };
    let at = |left: usize, up: usize| i32::from(plane[(y - up) * columns + x - left]);
    let value = match (x, first) {
        (0, true) => 1 << (plan.precision - plan.transform - 1),
        (_, true) => at(1, 0),
        (0, false) => at(0, 1),
        _ => match plan.predictor {
            1 => at(1, 0),
            2 => at(0, 1),
            3 => at(1, 1),
            4 => at(1, 0) + at(0, 1) - at(1, 1),
            5 => at(1, 0) + ((at(0, 1) - at(1, 1)) >> 1),
            6 => at(0, 1) + ((at(1, 0) - at(1, 1)) >> 1),
            _ => (at(1, 0) + at(0, 1)) >> 1,
        },
    };
    value as u16
}

fn encode(picture: &[u16], geometry: &Geometry, plan: &Plan) -> Vec<u8> {
    let (rows, columns, count) =
        (geometry.rows as usize, geometry.columns as usize, geometry.samples_per_pixel);
    let plane = |component: usize| -> Vec<u16> {
        picture.iter().skip(component).step_by(count).map(|value| value >> plan.transform).collect()
    };
    let planes: Vec<_> = (0..count).map(plane).collect();
    let mut frame = vec![plan.precision as u8, 0, rows as u8, 0, columns as u8, count as u8];
    (1..=count as u8).for_each(|component| frame.extend([component, 0x11, 0]));
    let mut table = vec![0; 17];
    table[5] = 17;
    table.extend(0..17);
    let mut stream = [vec![0xff, 0xd8], segment(0xc4, &table), segment(0xc3, &frame)].concat();
    if plan.restart > 0 {
        stream.extend(segment(0xdd, &((plan.restart * columns) as u16).to_be_bytes()));
    }
    let all: Vec<usize> = (0..count).collect();
    for components in all.chunks(if plan.together { count } else { 1 }) {
        let mut body = vec![components.len() as u8];
        components.iter().for_each(|component| body.extend([*component as u8 + 1, 0]));
        body.extend([plan.predictor, 0, plan.transform as u8]);
        stream.extend(segment(0xda, &body));
        let mut out = Writer::default();
        for y in 0..rows {
            if plan.restart > 0 && y > 0 && y % plan.restart == 0 {
                stream.extend(out.finish());
                stream.extend([0xff, 0xd0 + (y / plan.restart - 1) as u8 % 8]);
            }
            for x in 0..columns {
                for plane in components.iter().map(|component| &planes[*component]) {
                    let predicted = predicted(plane, (x, y), columns, plan);
                    out.difference(plane[y * columns + x].wrapping_sub(predicted));
                }
            }
        }
        stream.extend(out.finish());
    }
    stream.extend([0xff, 0xd9]);
    stream
}

fn comes_back(geometry: &Geometry, plan: &Plan) -> Vec<u8> {
    let picture = texture(geometry, plan.precision);
    let stream = encode(&picture, geometry, plan);
    let kept: Vec<u16> = picture.iter().map(|value| value >> plan.transform << plan.transform).collect();
    let wanted = bytes_of(&kept, geometry.bits_allocated);
    assert!(decoded(Codec::Jpeg, &stream, geometry).unwrap() == wanted, "{geometry:?} {plan:?}");
    stream
}

#[test]
fn every_lossless_depth_and_predictor_comes_back() {
    for precision in 2..=16 {
        let geometry = geometry(37, 23, 1, if precision <= 8 { 8 } else { 16 });
        for predictor in 1..=7 {
            comes_back(&geometry, &Plan { precision, predictor, ..PLAIN });
        }
        comes_back(&geometry, &Plan { precision, transform: 1, ..PLAIN });
    }
    for (columns, rows) in [(1, 1), (1, 9), (9, 1)] {
        comes_back(&geometry(columns, rows, 1, 16), &Plan { precision: 12, predictor: 7, ..PLAIN });
    }
    for together in [true, false] {
        for restart in [0, 4] {
            let plan = Plan { precision: 12, predictor: 6, transform: 0, together, restart };
            comes_back(&geometry(37, 23, 3, 16), &plan);
        }
    }
}

#[test]
fn damage_is_survived() {
    for plan in [PLAIN, Plan { precision: 16, predictor: 5, restart: 3, together: false, ..PLAIN }] {
        let geometry = geometry(37, 23, 2, 16);
        survives(Codec::Jpeg, &comes_back(&geometry, &plan), &geometry, 2);
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let geometry = geometry(9, 7, 1, 8);
    let stream = comes_back(&geometry, &PLAIN);
    let frame = stream.windows(2).position(|pair| pair == [0xff, 0xc3]).unwrap();
    for (at, value, word) in [
        (frame + 1, 0xc5, "hierarchical"),
        (frame + 4, 17, "17 bits"),
        (frame + 6, 0, "×0"),
        (frame + 9, 5, "of 5"),
    ] {
        let mut other = stream.clone();
        other[at] = value;
        let error = decoded(Codec::Jpeg, &other, &geometry).unwrap_err();
        assert!(error.facts().got.contains(word), "{word}: {error}");
    }
    let narrow = comes_back(&super::super::tests::geometry(9, 7, 1, 16), &Plan { precision: 12, ..PLAIN });
    let error = decoded(Codec::Jpeg, &narrow, &geometry).unwrap_err();
    assert!(error.facts().got.contains("12 bits"), "{error}");
}

#[test]
fn twelve_bits_are_those_of_libjpeg() {
    let wanted: [u16; 63] = [
        1, 2, 6, 12, 17, 24, 38, 51, 65, 81, 96, 119, 144, 169, 195, 228, 255, 287, 329, 362, 403, 444, 486,
        529, 580, 625, 676, 724, 778, 840, 898, 959, 1019, 1091, 1156, 1225, 1299, 1371, 1451, 1525, 1602,
        1677, 1767, 1851, 1936, 2021, 2111, 2209, 2301, 2401, 2495, 2603, 2704, 2809, 2918, 3022, 3138, 3248,
        3370, 3482, 3607, 3723, 3844,
    ];
    let geometry = geometry(9, 7, 1, 16);
    assert_eq!(decoded(Codec::Jpeg, TWELVE_BITS, &geometry).unwrap(), bytes_of(&wanted, 16));
    survives(Codec::Jpeg, TWELVE_BITS, &geometry, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_lossless_picture_comes_back(
        picture in proptest::collection::vec(prop_oneof![Just(0_u16), Just(65535), any::<u16>()], 6 * 5),
        predictor in 1_u8..8,
    ) {
        let geometry = geometry(6, 5, 1, 16);
        let stream = encode(&picture, &geometry, &Plan { precision: 16, predictor, ..PLAIN });
        prop_assert_eq!(decoded(Codec::Jpeg, &stream, &geometry).unwrap(), bytes_of(&picture, 16));
    }

    #[test]
    fn any_scan_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let geometry = geometry(16, 16, 1, 8);
        let mut stream = encode(&[0; 256], &geometry, &PLAIN);
        let at = stream.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        stream.truncate(at + 2 + usize::from(stream[at + 3]));
        stream.extend(bytes);
        let _ = decoded(Codec::Jpeg, &stream, &geometry);
    }
}

#[cfg(feature = "jpeg-turbo")]
mod blocks {
    use turbojpeg::{Colorspace, Compressor, Image, PixelFormat, Subsamp};

    use super::super::{sequential, turbo};
    use super::*;
    use crate::watch::Watch;

    const SUBSAMPLINGS: [Subsamp; 6] =
        [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2, Subsamp::Sub1x2, Subsamp::Sub4x1, Subsamp::Gray];

    fn compressed(geometry: &Geometry, quality: i32, subsampling: Subsamp, progressive: bool) -> Vec<u8> {
        let picture: Vec<u8> = texture(geometry, 8).into_iter().map(|value| value as u8).collect();
        let format = if geometry.samples_per_pixel == 1 { PixelFormat::GRAY } else { PixelFormat::RGB };
        let (width, height) = (geometry.columns as usize, geometry.rows as usize);
        let pitch = width * geometry.samples_per_pixel;
        let mut compressor = Compressor::new().unwrap();
        compressor.set_quality(quality).unwrap();
        compressor.set_subsamp(subsampling).unwrap();
        compressor.set_progressive(progressive).unwrap();
        compressor.compress_to_vec(Image { pixels: &picture, width, pitch, height, format }).unwrap()
    }

    /// Every kind of stream, with its geometry.
    fn streams() -> Vec<(Geometry, Vec<u8>)> {
        let mut streams = Vec::new();
        for (columns, rows) in [(67, 45), (16, 16), (3, 5), (1, 1)] {
            for subsampling in SUBSAMPLINGS {
                let samples = if subsampling == Subsamp::Gray { 1 } else { 3 };
                let geometry = geometry(columns, rows, samples, 8);
                for (quality, progressive) in [(30, false), (95, false), (85, true)] {
                    streams.push((geometry, compressed(&geometry, quality, subsampling, progressive)));
                }
            }
        }
        streams
    }

    #[test]
    fn our_blocks_are_those_of_libjpeg() {
        for (geometry, stream) in streams() {
            let ours = sequential::decode(&stream, &geometry, &Watch::default()).unwrap();
            let theirs = turbo::decode(&stream, &geometry).unwrap();
            assert!(ours == theirs, "{geometry:?}, {} bytes", stream.len());
        }
    }

    #[test]
    fn samples_and_colours_make_the_picture_of_libjpeg() {
        for (geometry, stream) in
            streams().into_iter().filter(|(geometry, _)| geometry.samples_per_pixel == 3)
        {
            let mut samples = decoded(Codec::Jpeg, &stream, &geometry).unwrap();
            assert_eq!(header(Codec::Jpeg, &stream).unwrap().colour, Colour::Ycbcr);
            super::super::super::rgb_of_ycbcr(&mut samples);
            let image = turbojpeg::decompress(&stream, PixelFormat::RGB).unwrap();
            assert!(samples == image.pixels, "{geometry:?}");
        }
    }

    #[test]
    fn red_green_and_blue_stay_what_they_are() {
        let geometry = geometry(32, 32, 3, 8);
        let picture = [200_u8, 100, 50].repeat(1024);
        let mut compressor = Compressor::new().unwrap();
        compressor.set_quality(100).unwrap();
        compressor.set_subsamp(Subsamp::None).unwrap();
        compressor.set_colorspace(Colorspace::RGB).unwrap();
        let image =
            Image { pixels: &picture[..], width: 32, pitch: 96, height: 32, format: PixelFormat::RGB };
        let stream = compressor.compress_to_vec(image).unwrap();
        assert_eq!(header(Codec::Jpeg, &stream).unwrap().colour, Colour::Rgb);
        assert_eq!(decoded(Codec::Jpeg, &stream, &geometry).unwrap(), picture);
        // The same without its Adobe segment says nothing, and its samples are the same.
        let at = stream.windows(2).position(|pair| pair == [0xff, 0xee]).unwrap();
        let mut mute = stream[..at].to_vec();
        mute.extend(&stream[at + 16..]);
        let frame = mute.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        let scan = mute.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        for component in 0..3 {
            mute[frame + 10 + 3 * component] = component as u8 + 1;
            mute[scan + 5 + 2 * component] = component as u8 + 1;
        }
        assert_eq!(header(Codec::Jpeg, &mute).unwrap().colour, Colour::Unsaid);
        assert_eq!(decoded(Codec::Jpeg, &mute, &geometry).unwrap(), picture);
    }

    #[test]
    fn eight_bits_fill_wider_samples() {
        let narrow = geometry(20, 10, 1, 8);
        let stream = compressed(&narrow, 90, Subsamp::Gray, false);
        let samples = decoded(Codec::Jpeg, &stream, &narrow).unwrap();
        let wide = decoded(Codec::Jpeg, &stream, &geometry(20, 10, 1, 16)).unwrap();
        assert_eq!(wide, samples.into_iter().flat_map(|sample| [sample, 0]).collect::<Vec<_>>());
    }

    #[test]
    fn damage_is_survived() {
        let geometry = geometry(67, 45, 3, 8);
        for progressive in [false, true] {
            let stream = compressed(&geometry, 80, Subsamp::Sub2x2, progressive);
            survives(Codec::Jpeg, &stream, &geometry, 2);
            for part in 0..16 {
                let cut = &stream[..(stream.len() - 2) * part / 16];
                assert!(sequential::decode(cut, &geometry, &Watch::default()).is_err(), "{part}");
            }
        }
    }

    #[test]
    fn an_end_mark_is_not_missed_where_all_is_there() {
        let geometry = geometry(67, 45, 3, 8);
        let whole = compressed(&geometry, 80, Subsamp::Sub2x2, false);
        let samples = decoded(Codec::Jpeg, &whole, &geometry).unwrap();
        assert_eq!(decoded(Codec::Jpeg, &whole[..whole.len() - 2], &geometry).unwrap(), samples);
        let padded = [&whole[..], &[0, 0, 0]].concat();
        assert_eq!(decoded(Codec::Jpeg, &padded, &geometry).unwrap(), samples);
    }
}
