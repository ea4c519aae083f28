//! Small streams of OpenJPEG and OpenJPH, whose pictures are made here too, and what damage does to them.

use proptest::prelude::*;

use super::super::samples::{SIGNED, TILED};
use super::super::tests::{bytes_of, decoded, geometry, survives};
use super::super::{Codec, Colour, header};

/// Grey of 16 bits, HTJ2K without loss, by imagecodecs 2026.3.6 and OpenJPH:
/// `imagecodecs.htj2k_encode((numpy.arange(63) ** 3 % 65521).astype("u2").reshape(7, 9), reversible=True)`
const HIGH_THROUGHPUT: &[u8] = &[
    255, 79, 255, 81, 0, 41, 64, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 7,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 15, 1, 1, 255, 80, 0, 8, 0, 2, 0, 0, 0, 10, 255, 82, 0, 12, 0, 2, 0, 1, 0,
    5, 4, 4, 64, 1, 255, 92, 0, 19, 32, 136, 144, 144, 144, 144, 144, 144, 144, 144, 144, 144, 144, 144, 136,
    136, 136, 255, 100, 0, 23, 0, 1, 79, 112, 101, 110, 74, 80, 72, 32, 86, 101, 114, 32, 48, 46, 50, 54, 46,
    51, 46, 255, 144, 0, 10, 0, 0, 0, 0, 0, 204, 0, 1, 255, 147, 192, 0, 38, 11, 137, 5, 7, 116, 0, 0, 192,
    0, 18, 128, 124, 2, 135, 116, 0, 192, 0, 19, 64, 0, 21, 16, 0, 4, 192, 98, 243, 4, 7, 116, 0, 144, 192,
    26, 162, 5, 129, 116, 0, 194, 229, 5, 7, 116, 0, 192, 0, 21, 144, 0, 5, 165, 0, 0, 86, 0, 45, 5, 66, 1,
    26, 51, 218, 249, 1, 67, 148, 0, 103, 137, 171, 173, 102, 53, 188, 193, 119, 133, 145, 253, 0, 132, 0,
    189, 150, 0, 253, 137, 215, 134, 125, 166, 181, 242, 1, 66, 148, 0, 192, 0, 45, 232, 0, 5, 211, 64, 0,
    42, 64, 197, 27, 217, 59, 128, 238, 83, 96, 18, 182, 33, 41, 206, 161, 42, 222, 193, 176, 224, 31, 104,
    11, 254, 0, 130, 209, 98, 102, 183, 0, 21, 49, 104, 134, 83, 13, 183, 21, 179, 173, 201, 227, 32, 133,
    139, 64, 126, 189, 182, 106, 78, 6, 47, 34, 249, 116, 146, 0, 144, 93, 108, 212, 55, 160, 192, 38, 187,
    0, 248, 63, 248, 133, 143, 228, 143, 118, 0, 255, 217,
];

/// Grey of 8 bits, with loss, by OpenJPEG 2.5.4:
/// `imagecodecs.jpeg2k_encode((numpy.arange(256) ** 2 % 251).astype("u1").reshape(16, 16), level=45, reversible=False,
/// codecformat="j2k", resolutions=3)`
const LOSSY: &[u8] = &[
    255, 79, 255, 81, 0, 41, 0, 0, 0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0,
    16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7, 1, 1, 255, 82, 0, 14, 1, 2, 0, 1, 0, 1, 4, 4, 0, 0, 136, 136, 255,
    92, 0, 11, 66, 72, 36, 87, 211, 87, 211, 87, 98, 255, 100, 0, 37, 0, 1, 67, 114, 101, 97, 116, 101, 100,
    32, 98, 121, 32, 79, 112, 101, 110, 74, 80, 69, 71, 32, 118, 101, 114, 115, 105, 111, 110, 32, 50, 46,
    53, 46, 52, 255, 144, 0, 10, 0, 0, 0, 0, 0, 238, 0, 1, 255, 147, 207, 165, 184, 16, 224, 252, 241, 43,
    174, 212, 215, 155, 236, 111, 241, 3, 179, 226, 81, 170, 160, 27, 47, 177, 107, 187, 198, 65, 38, 5, 137,
    97, 181, 249, 254, 236, 166, 56, 218, 172, 112, 115, 137, 50, 190, 123, 27, 14, 34, 40, 60, 190, 14, 19,
    170, 7, 114, 35, 199, 208, 194, 62, 151, 17, 244, 182, 31, 245, 84, 11, 61, 73, 231, 60, 189, 4, 177,
    135, 68, 58, 8, 139, 254, 101, 12, 221, 2, 63, 246, 186, 145, 73, 163, 203, 246, 38, 58, 130, 239, 243,
    77, 38, 191, 173, 26, 156, 199, 82, 136, 18, 153, 54, 73, 134, 5, 155, 27, 47, 41, 188, 243, 207, 84, 49,
    232, 173, 150, 77, 147, 165, 53, 190, 180, 207, 135, 138, 156, 54, 23, 156, 70, 76, 4, 181, 153, 23, 208,
    42, 204, 142, 220, 61, 254, 11, 228, 9, 42, 231, 113, 70, 93, 186, 29, 28, 59, 138, 235, 147, 158, 162,
    21, 248, 60, 140, 75, 216, 196, 228, 197, 148, 252, 93, 234, 36, 201, 240, 6, 223, 153, 69, 28, 56, 106,
    129, 96, 29, 208, 255, 108, 69, 250, 133, 218, 67, 155, 217, 188, 124, 198, 227, 121, 89, 119, 139, 18,
    190, 182, 148, 203, 60, 237, 41, 138, 245, 255, 217,
];

#[test]
fn signed_samples_are_extended() {
    let said = header(Codec::Jpeg2000, SIGNED).unwrap();
    assert_eq!((said.columns, said.rows, said.precision, said.signed), (8, 8, 12, true));
    let wanted: Vec<u8> = (-32_i16..32).flat_map(|value| (value * 60).to_le_bytes()).collect();
    assert_eq!(decoded(Codec::Jpeg2000, SIGNED, &geometry(8, 8, 1, 16)).unwrap(), wanted);
    let wide: Vec<u8> = (-32_i32..32).flat_map(|value| (value * 60).to_le_bytes()).collect();
    assert_eq!(decoded(Codec::Jpeg2000, SIGNED, &geometry(8, 8, 1, 32)).unwrap(), wide);
}

#[test]
fn tiles_and_layers_are_read() {
    assert_eq!(header(Codec::Jpeg2000, TILED).unwrap().colour, Colour::Rgb);
    let wanted: Vec<u8> = (0..90_u32).map(|value| (value * 7) as u8).collect();
    assert_eq!(decoded(Codec::Jpeg2000, TILED, &geometry(6, 5, 3, 8)).unwrap(), wanted);
}

#[test]
fn high_throughput_streams_are_read() {
    let wanted: Vec<u16> = (0..63_u64).map(|value| (value.pow(3) % 65521) as u16).collect();
    let got = decoded(Codec::Jpeg2000, HIGH_THROUGHPUT, &geometry(9, 7, 1, 16)).unwrap();
    assert_eq!(got, bytes_of(&wanted, 16));
}

#[test]
fn loss_is_that_of_openjpeg() {
    let wanted: [u8; 256] = [
        0, 2, 3, 8, 18, 25, 35, 49, 62, 83, 100, 118, 145, 167, 195, 225, 4, 36, 74, 110, 150, 189, 234, 27,
        75, 124, 174, 226, 31, 86, 150, 208, 21, 85, 152, 222, 43, 114, 190, 14, 94, 175, 6, 92, 176, 17,
        106, 199, 44, 144, 241, 92, 194, 49, 157, 13, 125, 235, 101, 219, 87, 207, 79, 202, 80, 209, 89, 222,
        106, 247, 131, 18, 164, 59, 205, 105, 4, 155, 62, 219, 125, 35, 200, 110, 29, 199, 117, 37, 213, 143,
        68, 248, 181, 118, 52, 239, 182, 118, 67, 12, 213, 159, 112, 68, 23, 233, 191, 153, 117, 86, 51, 23,
        243, 221, 194, 174, 153, 136, 120, 103, 92, 83, 72, 71, 63, 62, 62, 64, 71, 75, 81, 94, 105, 120,
        137, 152, 174, 193, 220, 247, 19, 55, 84, 117, 152, 194, 231, 25, 66, 112, 162, 211, 13, 63, 124,
        180, 238, 49, 114, 181, 247, 70, 138, 214, 38, 114, 196, 28, 113, 197, 36, 126, 217, 58, 156, 1, 101,
        205, 58, 167, 23, 132, 243, 108, 221, 90, 207, 81, 203, 79, 206, 83, 220, 99, 238, 124, 15, 151, 48,
        195, 91, 245, 141, 47, 199, 111, 16, 182, 91, 4, 175, 91, 14, 188, 113, 42, 220, 151, 85, 22, 207,
        149, 88, 31, 228, 173, 123, 76, 29, 234, 189, 152, 112, 72, 39, 4, 223, 199, 169, 143, 122, 98, 79,
        63, 50, 38, 26, 16, 9, 3, 3, 0, 1, 6, 10, 14,
    ];
    let got = decoded(Codec::Jpeg2000, LOSSY, &geometry(16, 16, 1, 8)).unwrap();
    let most = got.iter().zip(wanted).map(|(one, other)| one.abs_diff(other)).max();
    assert!(most <= Some(1), "{most:?}");
}

#[test]
fn damage_is_survived() {
    for (stream, geometry) in [
        (SIGNED, geometry(8, 8, 1, 16)),
        (TILED, geometry(6, 5, 3, 8)),
        (HIGH_THROUGHPUT, geometry(9, 7, 1, 16)),
        (LOSSY, geometry(16, 16, 1, 8)),
    ] {
        survives(Codec::Jpeg2000, stream, &geometry, 2);
    }
}

/// The place of a marker's body in the main header.
fn body(stream: &[u8], marker: u8) -> usize {
    stream.windows(2).position(|pair| pair == [0xff, marker]).unwrap() + 4
}

#[test]
fn a_stream_that_names_more_than_it_has_is_refused_before_it_is_decoded() {
    let (size, stream) = (geometry(16, 16, 1, 8), LOSSY);
    let (siz, cod, part) = (body(stream, 0x51), body(stream, 0x52), body(stream, 0x90));
    // Tiles of one pixel; the highest number of layers; a tile-part longer than the stream.
    let changes: [(usize, &[u8], &str); 3] = [
        (siz + 18, &[0, 0, 0, 1, 0, 0, 0, 1], "256 tiles"),
        (cod + 2, &[0xff, 0xff], "packets"),
        (part + 2, &[0, 0xff, 0, 0], "cut off"),
    ];
    for (at, bytes, word) in changes {
        let mut other = stream.to_vec();
        other[at..at + bytes.len()].copy_from_slice(bytes);
        let error = decoded(Codec::Jpeg2000, &other, &size).unwrap_err();
        assert!(error.facts().got.contains(word), "{word}: {error}");
    }
}

#[test]
fn a_large_picture_of_next_to_nothing_is_refused() {
    let siz = body(SIGNED, 0x51);
    let mut large = SIGNED.to_vec();
    for place in [siz + 2, siz + 6, siz + 18, siz + 22] {
        large[place..place + 4].copy_from_slice(&8000_u32.to_be_bytes());
    }
    let error = decoded(Codec::Jpeg2000, &large, &geometry(8000, 8000, 1, 16)).unwrap_err();
    assert!(error.facts().got.contains("64000000 samples"), "{error}");
}

/// A place was made for each: 250 bytes took five seconds.
#[test]
fn small_code_blocks_of_next_to_nothing_are_refused() {
    let (siz, cod) = (body(SIGNED, 0x51), body(SIGNED, 0x52));
    let mut many = SIGNED.to_vec();
    for place in [siz + 2, siz + 6, siz + 18, siz + 22] {
        many[place..place + 4].copy_from_slice(&3000_u32.to_be_bytes());
    }
    many[cod + 6..cod + 8].copy_from_slice(&[0, 0]);
    let error = decoded(Codec::Jpeg2000, &many, &geometry(3000, 3000, 1, 16)).unwrap_err();
    assert!(error.facts().got.contains("562500 code blocks"), "{error}");
}

#[test]
fn what_is_not_read_exactly_is_refused_by_name() {
    let siz = body(HIGH_THROUGHPUT, 0x51);
    let (lossy, sampled, deep) = (body(HIGH_THROUGHPUT, 0x52) + 9, siz + 37, siz + 36);
    for (at, value, word) in [(lossy, 0, "with loss"), (sampled, 2, "sampling 2"), (deep, 19, "20 bits")] {
        let mut other = HIGH_THROUGHPUT.to_vec();
        other[at] = value;
        let error = decoded(Codec::Jpeg2000, &other, &geometry(9, 7, 1, 32)).unwrap_err();
        assert!(error.facts().got.contains(word), "{word}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn headers_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        for head in [&b"\xff\x4f\xff\x51"[..], b"\0\0\0\x0cjP  \r\n\x87\n"] {
            let stream = [head, &bytes].concat();
            let _ = header(Codec::Jpeg2000, &stream);
            let _ = decoded(Codec::Jpeg2000, &stream, &geometry(4, 4, 1, 8));
        }
    }
}
