//! A picture as its decoder leaves it, and why a decoder gives up.

use std::borrow::Cow;

use super::super::limits::{MOST_PIXELS, zeros};
use super::orientation::Orientation;
use crate::error::Error;
use crate::frame::PixelMode;
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

/// Why a decoder gave up, without the file's name.
pub(super) struct Fault {
    pub(super) wanted: Cow<'static, str>,
    pub(super) got: String,
    pub(super) hint: &'static str,
}

impl Fault {
    pub(super) fn damaged(format: &str, got: impl std::fmt::Display) -> Self {
        Self {
            wanted: format!("a complete, undamaged {format} image").into(),
            got: got.to_string(),
            hint: "save or copy the image again",
        }
    }

    pub(super) fn unsupported(got: impl Into<String>) -> Self {
        Self {
            wanted: "a pixel format that can be read exactly as the reference reads it".into(),
            got: got.into(),
            hint: "convert the image to 8-bit grey or RGB PNG",
        }
    }

    pub(super) fn named(self, thing: &str) -> Error {
        Error::input(thing, self.wanted, self.got).hint(self.hint)
    }
}

/// The number of pixels, if a picture of this size may be read at all. To be called before anything is
/// allocated.
pub(super) fn checked_pixels(width: u32, height: u32) -> std::result::Result<usize, Fault> {
    let pixels = u64::from(width) * u64::from(height);
    if (1..=MOST_PIXELS).contains(&pixels) {
        // At most 2^28: fits any usize of the targets that ONNX Runtime has.
        return Ok(pixels as usize);
    }
    Err(Fault {
        wanted: format!("1 to {MOST_PIXELS} pixels").into(),
        got: format!("{width}×{height} = {pixels} pixels"),
        hint: "scale the image down; the model sees 448×448 pixels of it",
    })
}

/// Zeros of which a file sets the number.
pub(super) fn samples(count: usize) -> std::result::Result<Vec<u8>, Fault> {
    zeros("", count).map_err(|error| {
        let facts = error.facts();
        Fault { wanted: facts.wanted.clone().into(), got: facts.got.clone(), hint: "scale the image down" }
    })
}

/// Whether decoding may go on. The fault is not told to anybody: the watch is asked once more at the end.
pub(super) fn checked(watch: &Watch) -> std::result::Result<(), Fault> {
    watch.check().map_err(|error| Fault::unsupported(error.to_string()))
}
