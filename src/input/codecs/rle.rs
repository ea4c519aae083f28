//! RLE of DICOM (PS3.5 Annex G): for each byte of a sample, high byte first, one run of PackBits over all pixels.

use super::stream::{Colour, Decoded, Geometry, RLE, StreamHeader, damaged};
use crate::error::Result;
use crate::watch::Watch;

/// The number of segments and fifteen offsets, 32 bits each.
const HEADER: usize = 64;
/// Bytes behind the last pixel of a segment: one makes their number even, and another that of the whole stream.
const PADDING: usize = 2;
/// Packets between two looks at the watch.
const PACKETS: usize = 1 << 16;

/// # Errors
/// [`Error::Input`](crate::Error::Input) if segments are missing or end before their bytes do.
pub(super) fn decode(bytes: &[u8], geometry: &Geometry, watch: &Watch) -> Result<Decoded> {
    let sample_bytes = geometry.sample_bytes()?;
    let segments = geometry.samples_per_pixel * sample_bytes;
    let parts = split(bytes, segments)?;
    // Two bytes are at most a run of 128, and a sample has a byte in each of its segments.
    geometry.check_length(RLE, bytes.len(), 64 / sample_bytes)?;
    let mut samples = geometry.zeros()?;
    for (number, segment) in parts.into_iter().enumerate() {
        watch.check()?;
        let (sample, byte) = (number / sample_bytes, sample_bytes - 1 - number % sample_bytes);
        let places = samples.iter_mut().skip(sample * sample_bytes + byte).step_by(segments);
        unpack(segment, places, watch)?;
    }
    let header = StreamHeader {
        rows: geometry.rows,
        columns: geometry.columns,
        samples_per_pixel: geometry.samples_per_pixel,
        precision: geometry.bits_allocated,
        signed: false,
        colour: Colour::Unsaid,
    };
    Ok(Decoded { samples, header })
}

/// The bytes of each segment. A segment ends where the next one begins.
fn split(bytes: &[u8], wanted: usize) -> Result<Vec<&[u8]>> {
    let header = bytes.get(..HEADER).ok_or_else(|| damaged(RLE, "a header that is cut off"))?;
    let words: Vec<usize> =
        header.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word) as usize).collect();
    if words[0] != wanted {
        return Err(damaged(RLE, format!("{} segments where the frame has {wanted}", words[0])));
    }
    let offsets = &words[1..];
    let segment = |number: usize| {
        let start = *offsets.get(number)?;
        let end = if number + 1 < wanted { *offsets.get(number + 1)? } else { bytes.len() };
        if start < HEADER { None } else { bytes.get(start..end) }
    };
    (0..wanted)
        .map(|number| {
            segment(number).ok_or_else(|| damaged(RLE, format!("segment {number} outside the stream")))
        })
        .collect()
}

/// PackBits. One or two bytes behind the last pixel are padding, more are damage.
fn unpack<'a>(segment: &[u8], mut places: impl Iterator<Item = &'a mut u8>, watch: &Watch) -> Result<()> {
    let short = || damaged(RLE, "a segment that ends before its pixels do");
    let mut rest = segment;
    let mut next = places.next();
    for packet in 0_usize.. {
        if packet % PACKETS == PACKETS - 1 {
            watch.check()?;
        }
        if next.is_none() {
            return match rest.len() > PADDING {
                true => Err(damaged(RLE, format!("{} bytes behind the last pixel of a segment", rest.len()))),
                false => Ok(()),
            };
        }
        let (&control, after) = rest.split_first().ok_or_else(short)?;
        rest = after;
        let run = |first: &[u8]| first.first().copied().ok_or_else(short);
        match control {
            0..128 => {
                let (literal, after) = rest.split_at_checked(usize::from(control) + 1).ok_or_else(short)?;
                for byte in literal {
                    let Some(place) = next else { break };
                    *place = *byte;
                    next = places.next();
                }
                rest = after;
            }
            // No operation.
            128 => {}
            129..=255 => {
                let value = run(rest)?;
                for _ in 0..257 - usize::from(control) {
                    let Some(place) = next else { break };
                    *place = value;
                    next = places.next();
                }
                rest = &rest[1..];
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Codec;
    use super::super::tests::{bytes_of, decoded, geometry, survives, texture};
    use super::*;

    /// Runs of three and more as runs, all else as literals.
    fn pack(bytes: &[u8]) -> Vec<u8> {
        let (mut packed, mut literal) = (Vec::new(), Vec::new());
        let flush = |packed: &mut Vec<u8>, literal: &mut Vec<u8>| {
            for part in literal.chunks(128) {
                packed.push(part.len() as u8 - 1);
                packed.extend_from_slice(part);
            }
            literal.clear();
        };
        let mut rest = bytes;
        while let Some(first) = rest.first() {
            let run = rest.iter().take(128).take_while(|byte| *byte == first).count();
            if run < 3 {
                literal.push(*first);
                rest = &rest[1..];
                continue;
            }
            flush(&mut packed, &mut literal);
            packed.extend([(257 - run) as u8, *first]);
            rest = &rest[run..];
        }
        flush(&mut packed, &mut literal);
        packed
    }

    fn encode(samples: &[u8], geometry: &Geometry) -> Vec<u8> {
        let bytes = geometry.sample_bytes().unwrap();
        let pixel = bytes * geometry.samples_per_pixel;
        let plane = |place: usize| samples.iter().skip(place).step_by(pixel).copied().collect::<Vec<_>>();
        let places = (0..geometry.samples_per_pixel)
            .flat_map(|sample| (0..bytes).rev().map(move |byte| sample * bytes + byte));
        let segments: Vec<_> = places.map(|place| pack(&plane(place))).collect();
        let mut words = vec![segments.len() as u32];
        let mut at = HEADER as u32;
        for segment in &segments {
            words.push(at);
            at += segment.len() as u32;
        }
        words.resize(16, 0);
        let mut stream: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        stream.extend(segments.concat());
        stream
    }

    #[test]
    fn every_depth_comes_back() {
        for (samples, bits) in [(1, 8), (1, 16), (1, 32), (3, 8), (3, 16), (3, 32)] {
            let geometry = geometry(37, 23, samples, bits);
            let picture = bytes_of(&texture(&geometry, bits.min(16)), bits);
            let stream = encode(&picture, &geometry);
            assert_eq!(decoded(Codec::Rle, &stream, &geometry).unwrap(), picture, "{samples} of {bits}");
            survives(Codec::Rle, &stream, &geometry, 0);
        }
    }

    #[test]
    fn the_standards_example_is_read() {
        // PS3.5 G.3.1: control 128 does nothing, a literal of two, a run of three; then padding.
        let mut stream: Vec<u8> = [1_u32, 64].iter().flat_map(|word| word.to_le_bytes()).collect();
        stream.resize(HEADER, 0);
        stream.extend([128, 1, 7, 8, 254, 9, 0, 0]);
        assert_eq!(decoded(Codec::Rle, &stream, &geometry(5, 1, 1, 8)).unwrap(), [7, 8, 9, 9, 9]);
    }

    #[test]
    fn segments_outside_the_stream_are_refused() {
        let good = encode(&[1; 16], &geometry(4, 4, 1, 8));
        for (place, value) in [(0, 2_u32), (1, 0), (1, 63), (1, u32::MAX)] {
            let mut stream = good.clone();
            stream[4 * place..][..4].copy_from_slice(&value.to_le_bytes());
            assert!(decoded(Codec::Rle, &stream, &geometry(4, 4, 1, 8)).is_err(), "word {place} = {value}");
        }
    }

    proptest! {
        #[test]
        fn bytes_from_outside_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0_u8..14) {
            let mut stream = vec![0; HEADER];
            stream[0] = count;
            (0..usize::from(count).min(15)).for_each(|segment| stream[4 + 4 * segment] = 64 + segment as u8);
            stream.extend(bytes);
            let _ = decoded(Codec::Rle, &stream, &geometry(5, 4, 3, 32));
        }

        #[test]
        fn what_is_packed_comes_back(picture in proptest::collection::vec(0_u8..4, 1..400)) {
            let geometry = geometry(picture.len() as u32, 1, 1, 8);
            prop_assert_eq!(decoded(Codec::Rle, &encode(&picture, &geometry), &geometry).unwrap(), picture);
        }
    }
}
