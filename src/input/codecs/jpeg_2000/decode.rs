//! Code streams to pixels, through two libraries of safe Rust. Neither can be interrupted, so a stream is decoded in a thread of
//! its own; when the watch ends the work, the thread is left to itself. What it still does is bounded by the picture's size.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::super::super::limits::room_for;
use super::super::stream::{Decoded, Geometry, JPEG_2000, StreamHeader, damaged, unsupported};
use super::boxes::Boxed;
use super::guard::{Coding, Guard};
use super::header::Main;
use crate::error::{Error, Result};
use crate::watch::Watch;

/// Samples up to which a picture may be as empty as it likes. A larger one takes too much memory to be all black.
const LARGE: usize = 1 << 24;
/// Samples for each byte of a large picture's stream, at most.
const SAMPLES_OF_BYTE: usize = 4096;
/// Bytes of the decoder's stack, whatever the host sets for threads.
const STACK: usize = 4 << 20;
/// Time between two looks at the watch.
const PATIENCE: Duration = Duration::from_millis(20);
/// The libraries count in 32-bit floating-point numbers, which are exact for this many bits and what transforms add to them.
const MOST_BITS: u32 = 16;
/// Bytes that decoding takes for a sample, at most: its coefficients, its wavelets, the sample itself.
const BYTES_OF_SAMPLE: usize = 16;

/// What the stream says of itself.
///
/// # Errors
/// [`Error::Input`] if it has no header that can be read.
pub(in super::super) fn header(bytes: &[u8]) -> Result<StreamHeader> {
    let boxed = Boxed::open(bytes)?;
    let (main, at) = Main::read(boxed.stream)?;
    let (guard, _) = Guard::main(boxed.stream, &main, at)?;
    Ok(main.header(boxed.colour, guard.transformed))
}

/// # Errors
/// [`Error::Input`] if the stream is damaged, of another geometry, or of a kind that is not read.
pub(in super::super) fn decode(bytes: &[u8], geometry: &Geometry, watch: &Watch) -> Result<Decoded> {
    let boxed = Boxed::open(bytes)?;
    let (main, at) = Main::read(boxed.stream)?;
    let (mut guard, at) = Guard::main(boxed.stream, &main, at)?;
    let header = main.header(boxed.colour, guard.transformed);
    geometry.check(JPEG_2000, &header)?;
    if header.precision > MOST_BITS {
        let wanted = format!("samples of at most {MOST_BITS} bits");
        return Err(unsupported(JPEG_2000, wanted, format!("{} bits", header.precision)));
    }
    guard.tile_parts(at, watch)?;
    let samples = geometry.samples()?;
    if samples > LARGE {
        geometry.check_length(JPEG_2000, boxed.stream.len(), SAMPLES_OF_BYTE)?;
    }
    room_for(&format!("{JPEG_2000} stream"), samples.saturating_mul(BYTES_OF_SAMPLE))?;
    let decoder: Decoder = match (guard.coding, guard.reversible) {
        (Coding::Plain, _) => plain,
        (Coding::HighThroughput, true) => high_throughput,
        // Its decoder is up to some quantisation steps off.
        (Coding::HighThroughput, false) => {
            return Err(unsupported(JPEG_2000, "HTJ2K without loss, or plain JPEG 2000", "HTJ2K with loss"));
        }
    };
    let values = beside(boxed.stream.to_vec(), decoder, watch)?;
    if values.len() != samples {
        return Err(damaged(JPEG_2000, format!("{} samples where its header says {samples}", values.len())));
    }
    Ok(Decoded { samples: stored(&values, &header, geometry)?, header })
}

/// A code stream to samples, interleaved by pixel. Numbers with a sign are higher by half of their range.
type Decoder = fn(&[u8]) -> std::result::Result<Vec<u16>, String>;

/// JPEG 2000 Part 1.
fn plain(stream: &[u8]) -> std::result::Result<Vec<u16>, String> {
    use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(stream, &settings).map_err(|error| error.to_string())?;
    let most = f32::from(u16::MAX >> (16 - u32::from(image.original_bit_depth()).clamp(1, MOST_BITS)));
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| error.to_string())?;
    let components = decoded.components();
    let pixels = components.first().map_or(0, |component| component.samples().len());
    if components.iter().any(|component| component.samples().len() != pixels) {
        return Err("components of different sizes".into());
    }
    let mut values = vec![0; pixels * components.len()];
    for (place, component) in components.iter().enumerate() {
        let places = values.iter_mut().skip(place).step_by(components.len());
        for (value, sample) in places.zip(component.samples()) {
            *value = sample.round().clamp(0.0, most) as u16;
        }
    }
    Ok(values)
}

/// HTJ2K.
fn high_throughput(stream: &[u8]) -> std::result::Result<Vec<u16>, String> {
    use dicom_toolkit_jpeg2000::{DecodeSettings, Image};

    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(stream, &settings).map_err(|error| error.to_string())?;
    let raw = image.decode_native().map_err(|error| error.to_string())?;
    Ok(match raw.bytes_per_sample {
        1 => raw.data.into_iter().map(u16::from).collect(),
        _ => raw.data.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect(),
    })
}

/// Decodes in a thread and looks at the watch meanwhile.
fn beside(stream: Vec<u8>, decoder: Decoder, watch: &Watch) -> Result<Vec<u16>> {
    let (sender, receiver) = channel();
    let work = move || {
        let decoded = catch_unwind(AssertUnwindSafe(|| decoder(&stream)));
        // Nobody may be waiting any more.
        let _ = sender.send(decoded.unwrap_or_else(|_| Err("a stream that its decoder gives up on".into())));
    };
    let thread = thread::Builder::new().name("fleming-jpeg2000".into()).stack_size(STACK).spawn(work);
    thread.map_err(|error| {
        Error::input(format!("{JPEG_2000} stream"), "a thread to decode it in", error)
            .hint("raise the limit of threads (`ulimit -u`), or run less beside it")
    })?;
    loop {
        match receiver.recv_timeout(PATIENCE) {
            Ok(decoded) => return decoded.map_err(|error| damaged(JPEG_2000, error)),
            Err(RecvTimeoutError::Timeout) => watch.check()?,
            Err(RecvTimeoutError::Disconnected) => return Err(damaged(JPEG_2000, "a decoder that ended")),
        }
    }
}

/// Samples as the geometry has them.
fn stored(values: &[u16], header: &StreamHeader, geometry: &Geometry) -> Result<Vec<u8>> {
    let size = geometry.sample_bytes()?;
    let middle = if header.signed { 1 << (header.precision - 1) } else { 0 };
    let mut samples = geometry.zeros()?;
    for (sample, value) in samples.chunks_exact_mut(size).zip(values) {
        let bytes = (i32::from(*value) - middle).to_le_bytes();
        sample.copy_from_slice(&bytes[..size]);
    }
    Ok(samples)
}
