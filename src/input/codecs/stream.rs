//! What a codec is asked for and what it gives.

use std::fmt::Display;

use super::super::limits::zeros;
use crate::error::{Error, Result};

// What streams are called in messages.
pub(super) const RLE: &str = "RLE";
pub(super) const JPEG: &str = "JPEG";
pub(super) const JPEG_LS: &str = "JPEG-LS";
pub(super) const JPEG_2000: &str = "JPEG 2000";

/// The frame as the file around the stream describes it. The stream must agree. Who makes one has checked its pixels against the
/// limits of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::input) struct Geometry {
    pub(in crate::input) rows: u32,
    pub(in crate::input) columns: u32,
    /// 1 to 4.
    pub(in crate::input) samples_per_pixel: usize,
    /// Bits of a sample in the decoded frame: 8, 16 or 32. The stream's own precision may be less, not more.
    pub(in crate::input) bits_allocated: u32,
}

/// What a stream says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::input) struct StreamHeader {
    pub(in crate::input) rows: u32,
    pub(in crate::input) columns: u32,
    pub(in crate::input) samples_per_pixel: usize,
    /// Bits of a sample.
    pub(in crate::input) precision: u32,
    /// Whether samples are two's complement numbers; only JPEG 2000 knows those.
    pub(in crate::input) signed: bool,
    pub(in crate::input) colour: Colour,
}

/// What the decoded samples are, as far as the stream itself says it. The file around it may know more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::input) enum Colour {
    /// Nothing: grey, or whatever the file says.
    Unsaid,
    /// Red, green, blue. A JPEG 2000 stream that was coded as RCT or ICT is RGB here: its decoder undoes both.
    Rgb,
    /// Y, Cb, Cr in full range, as JFIF has it. `codecs::rgb_of_ycbcr` makes RGB of it.
    Ycbcr,
}

/// A decoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::input) struct Decoded {
    /// Little-endian samples of `bits_allocated` bits, interleaved by pixel, rows from the top. Samples of a signed stream are
    /// extended to all bits.
    pub(in crate::input) samples: Vec<u8>,
    pub(in crate::input) header: StreamHeader,
}

impl Geometry {
    /// Bytes of a sample.
    ///
    /// # Errors
    /// [`Error::Input`] if no codec gives samples of that size.
    pub(super) fn sample_bytes(&self) -> Result<usize> {
        match self.bits_allocated {
            8 | 16 | 32 => Ok(self.bits_allocated as usize / 8),
            bits => Err(Error::input("compressed frame", "8, 16 or 32 bits allocated to a sample", bits)
                .hint("store the study uncompressed: gdcmconv --raw IN OUT")),
        }
    }

    /// Samples of the frame.
    ///
    /// # Errors
    /// [`Error::Input`] if there are none, or more than any memory holds.
    pub(super) fn samples(&self) -> Result<usize> {
        let pixels = u64::from(self.rows) * u64::from(self.columns);
        let samples = pixels.saturating_mul(self.samples_per_pixel as u64);
        let fits = usize::try_from(samples).is_ok_and(|samples| samples <= usize::MAX / 64);
        match pixels > 0 && (1..=4).contains(&self.samples_per_pixel) && fits {
            true => Ok(samples as usize),
            false => Err(Error::input(
                "compressed frame",
                "pixels of 1 to 4 samples",
                format!("{}×{} of {}", self.columns, self.rows, self.samples_per_pixel),
            )
            .hint("check that the header belongs to these pixels")),
        }
    }

    /// Zeros for the whole frame.
    ///
    /// # Errors
    /// [`Error::Input`] if it is too large.
    pub(super) fn zeros(&self) -> Result<Vec<u8>> {
        zeros("compressed frame", self.samples()? * self.sample_bytes()?)
    }

    /// Refuses a stream of `bytes` that cannot hold the frame, of which a byte gives at most so many samples.
    ///
    /// # Errors
    /// [`Error::Input`] naming both.
    pub(super) fn check_length(&self, format: &str, bytes: usize, samples_of_byte: usize) -> Result<()> {
        let samples = self.samples()?;
        match samples.div_ceil(samples_of_byte) > bytes {
            true => Err(damaged(format, format!("{bytes} bytes for {samples} samples"))),
            false => Ok(()),
        }
    }

    /// Refuses a stream that is not the frame that the file describes.
    ///
    /// # Errors
    /// [`Error::Input`] naming both sizes.
    pub(super) fn check(&self, format: &str, header: &StreamHeader) -> Result<()> {
        self.samples()?;
        self.sample_bytes()?;
        let size = |rows, columns, samples| format!("{columns}×{rows} pixels of {samples} samples");
        let wanted = size(self.rows, self.columns, self.samples_per_pixel);
        let got = size(header.rows, header.columns, header.samples_per_pixel);
        if wanted != got {
            return Err(Error::input(format!("{format} stream"), wanted, got)
                .hint("the file's header and its pixels do not belong together; export it again"));
        }
        if header.precision > self.bits_allocated {
            let wanted = format!("samples of at most {} bits, as the header says", self.bits_allocated);
            return Err(Error::input(
                format!("{format} stream"),
                wanted,
                format!("{} bits", header.precision),
            )
            .hint("the file's header and its pixels do not belong together; export it again"));
        }
        Ok(())
    }
}

/// A frame that is filled sample by sample.
pub(super) struct Canvas {
    bytes: Vec<u8>,
    sample_bytes: usize,
    samples_per_pixel: usize,
}

impl Canvas {
    /// Zeros of this geometry.
    ///
    /// # Errors
    /// [`Error::Input`] if it is too large.
    pub(super) fn new(geometry: &Geometry) -> Result<Self> {
        let (sample_bytes, samples_per_pixel) = (geometry.sample_bytes()?, geometry.samples_per_pixel);
        Ok(Self { bytes: geometry.zeros()?, sample_bytes, samples_per_pixel })
    }

    /// Writes `values` into component `component` of the pixels from number `first` on. Pixels beyond the frame are left out.
    pub(super) fn put(&mut self, component: usize, first: usize, values: impl Iterator<Item = u16>) {
        let pixel_bytes = self.sample_bytes * self.samples_per_pixel;
        let pixels = self.bytes.chunks_exact_mut(pixel_bytes).skip(first);
        let at = component * self.sample_bytes;
        for (pixel, value) in pixels.zip(values) {
            let sample = &mut pixel[at..at + self.sample_bytes];
            match sample {
                [low] => *low = value as u8,
                [low, high, ..] => [*low, *high] = value.to_le_bytes(),
                [] => {}
            }
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// A stream whose bytes cannot be what they were.
pub(super) fn damaged(format: &str, got: impl Display) -> Error {
    Error::input(format!("{format} stream"), "complete, undamaged data", got)
        .hint("copy or export the file again")
}

/// A stream of a kind that is not read.
pub(super) fn unsupported(format: &str, wanted: impl Display, got: impl Display) -> Error {
    Error::input(format!("{format} stream"), wanted, got).hint("export the file uncompressed")
}
