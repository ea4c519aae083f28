//! A picture as its decoder leaves it, and why a decoder gives up.

use std::borrow::Cow;

use super::super::limits::{collected, zeros};
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
    ///
    /// # Errors
    /// If there is too little memory.
    pub(super) fn stand_up(&mut self) -> Result<(), Fault> {
        let orientation = std::mem::replace(&mut self.orientation, Orientation::UPRIGHT);
        let stored = (self.width as usize, self.height as usize);
        if orientation == Orientation::UPRIGHT || stored.0 == 0 || stored.1 == 0 {
            return Ok(());
        }
        let mut samples = collected("", self.samples.len(), [])?;
        (self.width, self.height) = orientation.upright((self.width, self.height));
        let size = self.mode.bytes_per_pixel();
        for y in 0..self.height as usize {
            for x in 0..self.width as usize {
                let (from_x, from_y) = orientation.origin(stored, x, y);
                let start = (from_y * stored.0 + from_x) * size;
                samples.extend_from_slice(&self.samples[start..start + size]);
            }
        }
        self.samples = samples;
        Ok(())
    }
}

/// What is said of a picture that can be seen through.
pub(super) const ON_WHITE: &str = "Transparent parts of the image were laid on white.";

/// A colour laid on a white ground, rounded.
pub(super) fn on_white(colour: u8, alpha: u8) -> u8 {
    let (colour, alpha) = (u32::from(colour), u32::from(alpha));
    ((2 * (colour * alpha + 255 * (255 - alpha)) + 255) / (2 * 255)) as u8
}

/// Why a decoder gave up, without the file's name.
#[derive(Debug)]
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
pub(super) fn samples(count: usize) -> Result<Vec<u8>, Fault> {
    Ok(zeros("", count)?)
}

/// Whether decoding may go on. Nobody sees this fault: the watch is asked once more at the end.
pub(super) fn checked(watch: &Watch) -> Result<(), Fault> {
    watch.check().map_err(|error| Fault::unsupported(error.to_string()))
}
