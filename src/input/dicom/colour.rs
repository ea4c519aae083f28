//! Colour pictures, 8 bits each of red, green and blue.

use super::super::codecs::rgb_of_ycbcr;
use super::frames::Unpacked;
use super::layout::{Layout, Photometric};
use super::palette::Palette;
use super::place::Place;
use super::value::Item;
use crate::error::Result;

/// What makes colours of stored numbers.
pub(super) struct Colours(Option<Palette>);

impl Colours {
    /// Those of a data set.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if its palette is not whole.
    pub(super) fn of(place: &Place, set: &Item, layout: &Layout) -> Result<Self> {
        let palette = match layout.photometric {
            Photometric::Palette => Some(Palette::read(&place.name, set, layout.sign)?),
            _ => None,
        };
        Ok(Self(palette))
    }

    /// Red, green and blue of each pixel. Wider samples are spread over 0 to 255 by all that their bits can hold.
    pub(super) fn rgb(&self, frame: &Unpacked) -> Vec<u8> {
        if let Some(palette) = &self.0 {
            return frame.samples.map(|stored| palette.colour(stored)).concat();
        }
        let most = 2_f64.powi(frame.samples.layout.stored as i32) - 1.0;
        let mut rgb = match frame.samples.layout.stored {
            8 => frame.samples.map(|stored| stored as u8),
            _ => frame.samples.map(|stored| (stored / most * 255.0) as u8),
        };
        if matches!(frame.colour, Photometric::YbrFull | Photometric::YbrFull422) {
            rgb_of_ycbcr(&mut rgb);
        }
        rgb
    }
}
