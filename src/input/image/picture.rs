//! A picture as its decoder leaves it, and why a decoder gives up.

use std::borrow::Cow;

use super::super::limits::zeros;
use super::orientation::Orientation;
use crate::error::Error;
use crate::frame::{PixelMode, values16};
use crate::study::Preprocessing;
use crate::watch::Watch;

/// Width and height in pixels.
pub(super) type Size = (u32, u32);

/// A picture as its decoder leaves it.
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) mode: PixelMode,
    pub(super) samples: Vec<u8>,
    /// How the file says it is to be turned; upright where Pillow itself turns it.
    pub(super) orientation: Orientation,
    /// What the owner should know, one sentence each.
    pub(super) remarks: Vec<String>,
}

impl Picture {
    pub(super) fn new(size: (u32, u32), mode: PixelMode, samples: Vec<u8>) -> Self {
        let (width, height) = size;
        Self { width, height, mode, samples, orientation: Orientation::UPRIGHT, remarks: Vec::new() }
    }

    pub(super) fn turned(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self
    }

    /// Makes it upright.
    pub(super) fn stand_up(&mut self) {
        let orientation = std::mem::replace(&mut self.orientation, Orientation::UPRIGHT);
        let stored = (self.width as usize, self.height as usize);
        if orientation == Orientation::UPRIGHT || stored.0 == 0 || stored.1 == 0 {
            return;
        }
        (self.width, self.height) = orientation.upright((self.width, self.height));
        let size = self.mode.bytes_per_pixel();
        let mut samples = Vec::with_capacity(self.samples.len());
        for y in 0..self.height as usize {
            for x in 0..self.width as usize {
                let (from_x, from_y) = orientation.origin(stored, x, y);
                let start = (from_y * stored.0 + from_x) * size;
                samples.extend_from_slice(&self.samples[start..start + size]);
            }
        }
        self.samples = samples;
    }
}

/// Pixels of 16-bit channels.
pub(super) struct Wide {
    /// Channels of colour, which come first.
    pub(super) colours: usize,
    /// Which channel is alpha.
    pub(super) alpha: Option<usize>,
    /// Channels in all; those that are neither colour nor alpha are left out.
    pub(super) samples: usize,
}

impl Wide {
    /// A picture of 8 bits a channel, from little-endian samples: by their high bytes as Pillow does it, or scaled over the
    /// range of all colours that can be seen.
    pub(super) fn picture(
        &self,
        size: Size,
        mode: PixelMode,
        words: &[u8],
        preprocessing: Preprocessing,
    ) -> Picture {
        let kept = self.colours + usize::from(self.alpha.is_some());
        let pixels = words.chunks_exact(2 * self.samples);
        let (low, high) = match preprocessing {
            Preprocessing::Reference => {
                let samples =
                    pixels.flat_map(|pixel| (0..kept).map(|channel| pixel[2 * channel + 1])).collect();
                return Picture::new(size, mode, samples);
            }
            Preprocessing::Clinical => self.range(words),
        };
        let range = u32::from(high.saturating_sub(low)).max(1);
        let scaled = |value: u16| {
            let above = u32::from(value.clamp(low, high.max(low)) - low);
            ((above * 255 * 2 + range) / (2 * range)) as u8
        };
        let narrow = |value: u16| ((u32::from(value) * 255 * 2 + 65535) / (2 * 65535)) as u8;
        let samples = pixels.flat_map(|pixel| {
            let channels = values16(pixel).take(kept).enumerate();
            channels
                .map(|(channel, value)| if channel < self.colours { scaled(value) } else { narrow(value) })
        });
        let mut picture = Picture::new(size, mode, samples.collect());
        picture.remarks.push(scaled_remark(low, high));
        picture
    }

    /// The lowest and the highest colour of pixels that are not wholly transparent.
    fn range(&self, words: &[u8]) -> (u16, u16) {
        let mut range = (u16::MAX, u16::MIN);
        for pixel in words.chunks_exact(2 * self.samples) {
            if self.alpha.is_some_and(|alpha| pixel[2 * alpha..][..2] == [0, 0]) {
                continue;
            }
            for value in values16(&pixel[..2 * self.colours]) {
                range = (range.0.min(value), range.1.max(value));
            }
        }
        if range.0 <= range.1 { range } else { (0, 0) }
    }
}

/// What is said of a picture that can be seen through.
pub(super) const ON_WHITE: &str = "Transparent parts of the image were laid on white.";

/// What is said of 16-bit values that were scaled.
pub(super) fn scaled_remark(low: u16, high: u16) -> String {
    format!("The 16-bit values {low} to {high} were scaled to 0 to 255.")
}

/// Why a decoder gave up, without the file's name.
pub(super) struct Fault {
    pub(super) wanted: Cow<'static, str>,
    pub(super) got: String,
    pub(super) hint: Cow<'static, str>,
}

/// What a limit refused, before it is known of which file.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let facts = error.facts();
        Self { wanted: facts.wanted.clone().into(), got: facts.got.clone(), hint: facts.hint.clone().into() }
    }
}

impl Fault {
    pub(super) fn damaged(format: &str, got: impl std::fmt::Display) -> Self {
        Self {
            wanted: format!("a complete, undamaged {format} image").into(),
            got: got.to_string(),
            hint: "save or copy the image again".into(),
        }
    }

    pub(super) fn unsupported(got: impl Into<String>) -> Self {
        Self {
            wanted: "a pixel format that can be read exactly as the reference reads it".into(),
            got: got.into(),
            hint: "convert the image to 8-bit grey or RGB PNG".into(),
        }
    }

    pub(super) fn named(self, thing: &str) -> Error {
        Error::input(thing, self.wanted, self.got).hint(self.hint)
    }
}

/// Zeros of which a file sets the number.
pub(super) fn samples(count: usize) -> std::result::Result<Vec<u8>, Fault> {
    Ok(zeros("", count)?)
}

/// Whether decoding may go on. The fault is not told to anybody: the watch is asked once more at the end.
pub(super) fn checked(watch: &Watch) -> std::result::Result<(), Fault> {
    watch.check().map_err(|error| Fault::unsupported(error.to_string()))
}
