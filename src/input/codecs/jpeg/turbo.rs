//! 8-bit frames of blocks through libjpeg-turbo.

use turbojpeg::{Decompressor, Image, PixelFormat};

use super::super::markers::{APP0, APP15, EOI, SOI, SOS, Segment, Segments};
use super::super::stream::{Geometry, JPEG, StreamHeader, damaged};
use super::sequential::MOST_SCANS;
use crate::error::Result;

/// The segment by which libjpeg takes components for red, green and blue, and so leaves them as they are.
const ADOBE: [u8; 16] = *b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0";

/// What begins a progressive frame, with Huffman and with arithmetic codes.
const SOF2: u8 = 0xc2;
const SOF10: u8 = 0xca;

/// Whether libjpeg-turbo takes a stream.
pub(super) fn reads(header: &StreamHeader) -> bool {
    header.precision == 8 && matches!(header.samples_per_pixel, 1 | 3)
}

/// The samples of a frame of blocks of 8 bits, as they were coded.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if libjpeg-turbo does not read it or has doubts.
pub(super) fn decode(bytes: &[u8], geometry: &Geometry) -> Result<Vec<u8>> {
    let wrong = |error: turbojpeg::Error| damaged(JPEG, error);
    let stream = without_colours(bytes, geometry.samples_per_pixel)?;
    let geometry8 = Geometry { bits_allocated: 8, ..*geometry };
    let mut samples = geometry8.zeros()?;
    let mut decoder = Decompressor::new().map_err(wrong)?;
    decoder.set_scan_limit(MOST_SCANS as u32).map_err(wrong)?;
    let format = if geometry.samples_per_pixel == 1 { PixelFormat::GRAY } else { PixelFormat::RGB };
    let (width, height) = (geometry.columns as usize, geometry.rows as usize);
    let pitch = width * format.size();
    let output = Image { pixels: samples.as_mut_slice(), width, pitch, height, format };
    if let Err(error) = decoder.decompress(&stream, output) {
        let message = error.to_string();
        if !is_harmless(&message) {
            return Err(damaged(JPEG, message));
        }
    }
    widened(samples, geometry)
}

/// Whether libjpeg-turbo complains of stray bytes between segments alone: it has gone on over them and given the whole picture.
pub(in crate::input) fn is_harmless(message: &str) -> bool {
    message.contains("Corrupt JPEG data") && message.contains("extraneous bytes before marker")
}

/// 8-bit samples in as many bytes as the geometry has.
fn widened(samples: Vec<u8>, geometry: &Geometry) -> Result<Vec<u8>> {
    let bytes = geometry.sample_bytes()?;
    if bytes == 1 {
        return Ok(samples);
    }
    let mut wide = geometry.zeros()?;
    wide.chunks_exact_mut(bytes).zip(samples).for_each(|(wide, sample)| wide[0] = sample);
    Ok(wide)
}

/// The same stream without what names its colours.
///
/// libjpeg doubts a stream without its end mark, but finds one that is cut off inside a scan. So a stream of one scan gets an end
/// mark; one of several is whole only if it has its own.
fn without_colours(bytes: &[u8], components: usize) -> Result<Vec<u8>> {
    let mut segments = Segments::new(JPEG, bytes)?;
    let mut stream = vec![0xff, SOI];
    stream.extend_from_slice(&ADOBE);
    let mut progressive = false;
    loop {
        let start = segments.at;
        let Segment { marker, body } = segments.next()?;
        if matches!(marker, EOI | SOS) {
            stream.extend_from_slice(&bytes[start..]);
            // The number of the scan's components comes first.
            let all = body.first().is_some_and(|count| usize::from(*count) == components);
            if all && !progressive {
                stream.extend_from_slice(&[0xff, EOI]);
            }
            return Ok(stream);
        }
        progressive |= matches!(marker, SOF2 | SOF10);
        if !(APP0..=APP15).contains(&marker) {
            stream.extend_from_slice(&bytes[start..segments.at]);
        }
    }
}
