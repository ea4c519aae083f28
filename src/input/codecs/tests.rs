//! What the codecs' tests share: pictures, damage, and the table of all codecs.

use std::time::Instant;

use super::{Codec, Geometry, decode};
use crate::error::{Error, Result};
use crate::watch::Watch;

/// A frame of `bits` bits allocated.
pub(super) fn geometry(columns: u32, rows: u32, samples_per_pixel: usize, bits_allocated: u32) -> Geometry {
    Geometry { rows, columns, samples_per_pixel, bits_allocated }
}

/// A picture of `precision` bits with gradients, edges, flat parts and noise, interleaved by pixel.
pub(super) fn texture(geometry: &Geometry, precision: u32) -> Vec<u16> {
    let most = (1_u32 << precision) - 1;
    let mut noise = 12345_u32;
    let mut values = Vec::new();
    for y in 0..geometry.rows {
        for x in 0..geometry.columns {
            for sample in 0..geometry.samples_per_pixel as u32 {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let value = match (x / 7 + y / 5) % 4 {
                    0 => most / 3,
                    1 => (x * 37 + y * 11 + sample * 91) * most / 2048,
                    2 => (noise >> 8) & most,
                    _ => most - (x + sample) * most / (geometry.columns + 4),
                };
                values.push(value.min(most) as u16);
            }
        }
    }
    values
}

/// Samples as bytes of the geometry.
pub(super) fn bytes_of(values: &[u16], bits_allocated: u32) -> Vec<u8> {
    let wide = values.iter().map(|value| u32::from(*value).to_le_bytes());
    wide.flat_map(|bytes| bytes.into_iter().take(bits_allocated as usize / 8)).collect()
}

pub(super) fn decoded(codec: Codec, stream: &[u8], geometry: &Geometry) -> Result<Vec<u8>> {
    decode(codec, stream, geometry, &Watch::default()).map(|decoded| decoded.samples)
}

/// Cuts a good stream short, changes its bytes and its geometry. Nothing of it may panic, and what is cut must be refused.
/// `tail` is the number of bytes at its end that it can do without.
pub(super) fn survives(codec: Codec, stream: &[u8], geometry: &Geometry, tail: usize) {
    assert!(decoded(codec, stream, geometry).is_ok());
    for part in 0..16 {
        let cut = &stream[..(stream.len() - tail) * part / 16];
        assert!(decoded(codec, cut, geometry).is_err(), "{codec:?} cut at {}", cut.len());
    }
    let mut noise = 1_u32;
    for _ in 0..400 {
        let mut damaged = stream.to_vec();
        for _ in 0..3 {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (noise >> 8) as usize % damaged.len();
            damaged[at] = damaged[at].wrapping_add((noise >> 24) as u8 | 1);
        }
        // Most are refused, and some decode to another picture.
        let _ = decoded(codec, &damaged, geometry);
    }
    let other = Geometry { columns: geometry.columns + 1, ..*geometry };
    assert!(decoded(codec, stream, &other).is_err());
    let late = Watch::default().deadline(Instant::now());
    assert!(matches!(decode(codec, stream, geometry, &late), Err(Error::TimedOut(_))));
}

#[test]
fn what_is_no_stream_is_refused() {
    for codec in [Codec::Rle, Codec::Jpeg, Codec::JpegLs, Codec::Jpeg2000] {
        for stream in
            [&b""[..], &[0; 80], &[0xff; 80], b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\xff\x4f\xff\x51\xff"]
        {
            let error = decoded(codec, stream, &geometry(4, 4, 1, 8)).unwrap_err();
            assert!(error.facts().thing.ends_with("stream"), "{codec:?} {stream:?}: {error}");
        }
    }
}

#[test]
fn impossible_frames_are_refused() {
    let most = u32::MAX;
    for geometry in
        [geometry(0, 4, 1, 8), geometry(most, most, 4, 32), geometry(4, 4, 5, 8), geometry(4, 4, 1, 12)]
    {
        for codec in [Codec::Rle, Codec::Jpeg, Codec::JpegLs, Codec::Jpeg2000] {
            assert!(decoded(codec, &[0; 64], &geometry).is_err(), "{codec:?} {geometry:?}");
        }
    }
}

#[test]
fn colours_are_those_of_libjpeg() {
    // Black, white, the three primaries as JFIF codes them, and what lies beyond them.
    let mut samples = [0, 128, 128, 255, 128, 128, 76, 85, 255, 150, 44, 21, 29, 255, 107, 255, 255, 255];
    super::rgb_of_ycbcr(&mut samples);
    assert_eq!(samples, [0, 0, 0, 255, 255, 255, 254, 0, 0, 0, 255, 1, 0, 0, 254, 255, 121, 255]);
}
