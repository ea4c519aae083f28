//! The rows of a frame, one at a time, in the channels that are to be resized.

use super::convert::{premultiply, rgb};
use crate::frame::{Frame, PixelMode, values16};

/// Rows of interleaved samples.
pub(super) trait Rows<S> {
    /// Pixels of a row.
    fn width(&self) -> usize;

    /// How many rows there are.
    fn height(&self) -> usize;

    /// The samples of row `y`, in the buffer if they had to be made.
    fn row<'r>(&'r self, y: usize, buffer: &'r mut Vec<S>) -> &'r [S];

    /// Whether row `y` is the same as the row before it.
    fn repeats(&self, y: usize) -> bool;
}

/// What becomes of a row on its way out of the frame.
enum Change {
    None,
    /// To red, green, blue.
    Rgb,
    /// Colours multiplied by the alpha that is the last of so many channels.
    Premultiplied(usize),
}

/// Rows of 8-bit samples.
pub(super) struct Bytes<'a> {
    frame: &'a Frame,
    change: Change,
}

impl<'a> Bytes<'a> {
    /// The samples as they are.
    pub(super) fn stored(frame: &'a Frame) -> Self {
        Self { frame, change: Change::None }
    }

    /// Red, green, blue.
    pub(super) fn rgb(frame: &'a Frame) -> Self {
        let change = if *frame.mode() == PixelMode::Rgb { Change::None } else { Change::Rgb };
        Self { frame, change }
    }

    /// Colours multiplied by their alpha, the last of `channels`, so that transparent pixels weigh nothing.
    pub(super) fn premultiplied(frame: &'a Frame, channels: usize) -> Self {
        Self { frame, change: Change::Premultiplied(channels) }
    }

    fn samples(&self, y: usize) -> &[u8] {
        let length = self.width() * self.frame.mode().bytes_per_pixel();
        &self.frame.samples()[y * length..][..length]
    }
}

impl Rows<u8> for Bytes<'_> {
    fn width(&self) -> usize {
        self.frame.width() as usize
    }

    fn height(&self) -> usize {
        self.frame.height() as usize
    }

    fn row<'r>(&'r self, y: usize, buffer: &'r mut Vec<u8>) -> &'r [u8] {
        let stored = self.samples(y);
        match self.change {
            Change::None => return stored,
            Change::Rgb => rgb(stored, self.frame.mode(), buffer),
            Change::Premultiplied(channels) => premultiply(stored, channels, buffer),
        }
        buffer
    }

    fn repeats(&self, y: usize) -> bool {
        y > 0 && self.samples(y) == self.samples(y - 1)
    }
}

/// Rows of one 16-bit channel.
pub(super) struct Words<'a>(pub(super) &'a Frame);

impl Rows<u16> for Words<'_> {
    fn width(&self) -> usize {
        self.0.width() as usize
    }

    fn height(&self) -> usize {
        self.0.height() as usize
    }

    fn row<'r>(&'r self, y: usize, buffer: &'r mut Vec<u16>) -> &'r [u16] {
        let length = 2 * self.width();
        buffer.clear();
        buffer.extend(values16(&self.0.samples()[y * length..][..length]));
        buffer
    }

    fn repeats(&self, _: usize) -> bool {
        // Sums of rounded products depend on how they are added up.
        false
    }
}
