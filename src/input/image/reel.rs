//! An animation as it is played: which pictures there are and when, and those that are kept.

use std::collections::BTreeMap;

use super::super::limits::collected;
use super::canvas::{Canvas, Piece, Rect};
use super::picture::{Fault, Size, on_white};
use crate::study::Preprocessing;

/// What stands before the pixels of an animation.
pub(super) struct Outline {
    pub(super) size: Size,
    /// Of each picture, how long it is shown, in seconds.
    pub(super) durations: Vec<f64>,
}

/// How long a picture is shown that says so many seconds. Next to nothing stands for no wish: browsers and FFmpeg show such
/// pictures for a tenth of a second.
pub(super) fn shown(seconds: f64) -> f64 {
    if seconds > 0.01 { seconds } else { 0.1 }
}

/// The pictures of an animation on their way past.
pub(super) struct Reel {
    canvas: Canvas,
    preprocessing: Preprocessing,
    /// The number of the next picture.
    next: usize,
    /// RGB of the pictures that are kept; none of those that have not come yet.
    kept: BTreeMap<usize, Option<Vec<u8>>>,
    /// Whether anything kept could be seen through.
    pub(super) is_seen_through: bool,
}

impl Reel {
    /// Keeps the pictures of these numbers.
    pub(super) fn new(canvas: Canvas, places: &[usize], preprocessing: Preprocessing) -> Self {
        let kept = places.iter().map(|&place| (place, None)).collect();
        Self { canvas, preprocessing, next: 0, kept, is_seen_through: false }
    }

    /// Whether no picture that is still to come is kept.
    pub(super) fn is_done(&self) -> bool {
        self.kept.last_key_value().is_none_or(|(&last, _)| last < self.next)
    }

    /// To be called before a picture is unpacked; see [`Canvas::check`].
    pub(super) fn check(&mut self, rect: Rect) -> Result<(), Fault> {
        self.canvas.check(rect)
    }

    /// Shows the next picture, in red, green, blue and alpha.
    pub(super) fn show(&mut self, piece: Piece, pixels: &[u8]) -> Result<(), Fault> {
        self.canvas.lay(piece, pixels)?;
        if let Some(kept) = self.kept.get_mut(&self.next) {
            let pixels = self.canvas.rgba.as_chunks::<4>().0;
            let white = match self.preprocessing {
                // The colours that transparent parts hide, as of a picture.
                Preprocessing::Reference => |colour: u8, _: u8| colour,
                Preprocessing::Clinical => on_white,
            };
            self.is_seen_through |= pixels.iter().any(|pixel| pixel[3] != 255);
            let rgb = pixels
                .iter()
                .flat_map(|&[red, green, blue, alpha]| [red, green, blue].map(|colour| white(colour, alpha)));
            *kept = Some(collected("", 3 * pixels.len(), rgb)?);
        }
        self.next += 1;
        Ok(())
    }

    /// Width and height of all pictures.
    pub(super) fn size(&self) -> Size {
        self.canvas.size()
    }

    /// RGB of a picture that was kept. It is gone then.
    pub(super) fn take(&mut self, place: usize) -> Result<Vec<u8>, Fault> {
        self.kept.get_mut(&place).and_then(Option::take).ok_or_else(|| {
            let got = format!("an end before picture {place}, counted from 0");
            Fault::damaged("animation", got)
        })
    }
}
