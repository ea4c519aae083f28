//! Pixels outside the picture (PS3.3 C.7.5.1.1.2).

use super::layout::{Layout, Sign};
use super::tag;
use super::value::Item;

/// The stored numbers that stand for no measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Padding {
    low: f64,
    high: f64,
}

impl Padding {
    /// That of a data set, if it has one.
    pub(super) fn of(set: &Item, layout: &Layout) -> Option<Self> {
        // Written as unsigned numbers where the value representation is not stated.
        let signed = |number: f64| match layout.sign == Sign::TwosComplement
            && number > 32_767.0
            && layout.allocated <= 16
        {
            true => number - 65_536.0,
            false => number,
        };
        let value = signed(set.number(tag::PIXEL_PADDING_VALUE)?);
        let limit = set.number(tag::PIXEL_PADDING_RANGE_LIMIT).map_or(value, signed);
        Some(Self { low: value.min(limit), high: value.max(limit) })
    }

    /// Whether a stored number is none of the picture.
    pub(super) fn contains(&self, stored: f64) -> bool {
        (self.low..=self.high).contains(&stored)
    }

    /// The one number it is, if it is one.
    pub(super) fn single(&self) -> Option<f64> {
        (self.low == self.high).then_some(self.low)
    }
}
