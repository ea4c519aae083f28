//! Grey pictures: modality values to 8 bits, as the file or the caller wants them shown.

use super::super::volume::levels;
use super::frames::Unpacked;
use super::layout::Sign;
use super::modality::Rescale;
use super::padding::Padding;
use super::scan::PixelKind;
use super::table::Table;
use crate::study::Window;
use crate::words::counted;

/// How values become grey.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    Table(Table),
    Window(Window),
    /// From the lowest to the highest of these values.
    Range([f64; 2]),
    /// Stored numbers of at most 8 bits, spread over all that their bits can hold.
    AsStored,
}

/// A frame's values.
pub(super) struct Values<'a> {
    pub(super) frame: &'a Unpacked,
    pub(super) rescale: &'a Rescale,
    pub(super) padding: Option<Padding>,
    /// Whether the lowest value is white.
    pub(super) inverse: bool,
}

/// What there is to say of values in frames that are NaN or infinite.
pub(super) fn not_measured<'a>(frames: impl IntoIterator<Item = &'a Values<'a>>) -> Vec<String> {
    let sum = |[nan, infinite]: [usize; 2], [more, larger]: [usize; 2]| [nan + more, infinite + larger];
    let [nan, infinite] = frames.into_iter().map(Values::not_finite).fold([0; 2], sum);
    let of = |what: &str, count: usize, shown: &str| {
        (count > 0)
            .then(|| format!("{what} in {}: {shown}, and no part of the range", counted(count, "place")))
    };
    [of("NaN", nan, "black"), of("infinity", infinite, "black or white by its sign")]
        .into_iter()
        .flatten()
        .collect()
}

impl Values<'_> {
    /// The lowest and the highest value; padding and what is no finite number are left out. `None` if nothing is left.
    pub(super) fn range(&self) -> Option<[f64; 2]> {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        self.frame.samples.each(|stored| {
            let value = self.rescale.value(stored);
            if value.is_finite() && !self.padding.is_some_and(|padding| padding.contains(stored)) {
                (low, high) = (low.min(value), high.max(value));
            }
        });
        (low <= high).then_some([low, high])
    }

    /// How many values are NaN, and how many infinite; padding is left out.
    fn not_finite(&self) -> [usize; 2] {
        let mut counts = [0; 2];
        // Integers, and what a finite slope makes of them, are finite.
        if self.frame.samples.layout.kind != PixelKind::Integer {
            self.frame.samples.each(|stored| {
                let value = self.rescale.value(stored);
                if !self.padding.is_some_and(|padding| padding.contains(stored)) {
                    counts[0] += usize::from(value.is_nan());
                    counts[1] += usize::from(value.is_infinite());
                }
            });
        }
        counts
    }

    /// Grey, and the values that became 0 and 255 where there are such. What is no number is 0.
    pub(super) fn grey(&self, shown: &Shown) -> (Vec<u8>, Option<[f64; 2]>) {
        let value = |stored| self.rescale.value(stored);
        match shown {
            Shown::Table(table) => {
                let most = f64::from((1_u32 << table.bits) - 1);
                (self.levels(|stored| f64::from(table.at(value(stored))) / most * 255.0), None)
            }
            Shown::Window(window) => {
                let (ends, level) = levels(*window);
                (self.levels(|stored| level(value(stored))), Some(ends))
            }
            Shown::Range([low, high]) => {
                let range = high - low;
                let level = |stored| if range > 0.0 { (value(stored) - low) / range * 255.0 } else { 0.0 };
                (self.levels(level), Some([*low, *high]))
            }
            Shown::AsStored => {
                let layout = &self.frame.samples.layout;
                let least = if layout.sign == Sign::TwosComplement {
                    -2_f64.powi(layout.stored as i32 - 1)
                } else {
                    0.0
                };
                let most = 2_f64.powi(layout.stored as i32) - 1.0;
                (self.levels(|stored| (stored - least) / most * 255.0), None)
            }
        }
    }

    /// Levels from 0 to 255, cut to whole numbers. An inversion comes before the cut.
    fn levels(&self, level: impl Fn(f64) -> f64) -> Vec<u8> {
        match self.inverse {
            true => self.frame.samples.map(|stored| (255.0 - level(stored).clamp(0.0, 255.0)) as u8),
            false => self.frame.samples.map(|stored| level(stored) as u8),
        }
    }
}
