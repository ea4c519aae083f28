//! The form in which published training data were prepared, and every number that decides it.
//!
//! Its parts are public scripts: the shape, the crop and the resize are those of M3D-Cap's preparation
//! (BAAI-DCAI/M3D, `Data/process/m3d_cap_data_prepare.py` of 2024-06-12, with MONAI's `CropForeground` and `Resize`), the
//! percentiles those of M3D-RefSeg's, the range of a CT without a window is CT-RATE's clip. The model's own script then
//! takes arrays of 32×256×256 as it takes any array.

use super::space::{Kind, Space};
use super::statistics::{count, extent, percentiles};
use super::window::{ends, sigmoid};
use crate::study::{Window, WindowFunction, Windowing};

/// Planes, rows and columns.
pub(super) const SHAPE: [usize; 3] = [32, 256, 256];
/// Hounsfield units of a CT whose file has no window.
const WIDE: [f64; 2] = [-1000.0, 1000.0];
/// Percent of the values below the lower and the upper end, where values have no unit that is known.
const PERCENTILES: [f64; 2] = [0.5, 99.5];
/// A volume of unknown kind with at least this part of its values below this value is a CT in Hounsfield units.
const AIR: f64 = -500.0;
const AIR_SHARE: f64 = 0.01;
/// Lungs in Hounsfield units. If a window makes more than this part of all values black that are lung, it is said.
const LUNGS: [f64; 2] = [-950.0, -200.0];
const LUNGS_SHARE: f64 = 0.05;

/// By what rule values are brought to 0..1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// By this window, as it was asked for.
    Window(Window),
    /// From the lowest to the highest value.
    OwnRange,
    /// By the window of the file, from `center - width / 2` to `center + width / 2` whatever function the file names.
    File(Window),
    /// By what a NIfTI header says is to be displayed.
    Display([f64; 2]),
    /// By [`WIDE`].
    Wide,
    /// By [`WIDE`] if it looks like a CT, else by [`PERCENTILES`].
    AsItLooks,
    /// By [`PERCENTILES`].
    Percentiles,
}

/// The values that are brought to 0 and 1, and how.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Range {
    pub(super) ends: [f64; 2],
    /// A window whose curve is no straight line.
    pub(super) curve: Option<Window>,
    /// Where it comes from, in words.
    pub(super) from: String,
}

impl Rule {
    /// The rule for a volume.
    pub(super) fn new(space: &Space, wanted: Option<Windowing>) -> Self {
        match wanted {
            Some(Windowing::Window(window)) => return Rule::Window(window),
            Some(Windowing::OwnRange) => return Rule::OwnRange,
            Some(Windowing::File(number)) => {
                if let Some(window) = space.file_window(number - 1) {
                    return Rule::File(window);
                }
            }
            None => {}
        }
        match (space.kind, space.file_window(0), space.display) {
            (Kind::Ct, Some(window), _) => Rule::File(window),
            (Kind::Ct, None, _) => Rule::Wide,
            (Kind::Unknown, _, Some(display)) => Rule::Display(display),
            (Kind::Unknown, ..) => Rule::AsItLooks,
            _ => Rule::Percentiles,
        }
    }

    /// Whether it depends on all values.
    pub(super) fn needs_values(&self) -> bool {
        matches!(self, Rule::OwnRange | Rule::AsItLooks | Rule::Percentiles)
    }

    /// The rule in words, before values are known.
    pub(super) fn words(&self) -> String {
        match self {
            Rule::AsItLooks => format!(
                "{} to {} if it looks like a CT, else the percentiles {} and {}",
                WIDE[0], WIDE[1], PERCENTILES[0], PERCENTILES[1]
            ),
            known => known.range(&[], None).from,
        }
    }

    /// The range of these values.
    pub(super) fn range(&self, values: &[f32], padding: Option<f32>) -> Range {
        let straight = |ends, from: String| Range { ends, curve: None, from };
        match *self {
            Rule::Window(window) => {
                let curve = (window.function == WindowFunction::Sigmoid).then_some(window);
                Range { ends: ends(window), curve, from: "the window that was asked for".into() }
            }
            Rule::OwnRange => {
                let ends = extent(values, padding).unwrap_or_default().map(f64::from);
                straight(ends, "the lowest and the highest value".into())
            }
            Rule::File(Window { center, width, .. }) => {
                straight(ends(Window::linear_exact(center, width)), "the window of the file".into())
            }
            Rule::Display(ends) => straight(ends, "cal_min and cal_max of the header".into()),
            Rule::Wide => straight(WIDE, "the usual range of a CT without a window".into()),
            Rule::AsItLooks if looks_like_ct(values) => {
                straight(WIDE, "the usual range of a CT, which the values look like".into())
            }
            Rule::AsItLooks | Rule::Percentiles => {
                let ends = percentiles(values, padding, PERCENTILES).unwrap_or_default();
                straight(
                    ends,
                    format!("the percentiles {} and {} of the values", PERCENTILES[0], PERCENTILES[1]),
                )
            }
        }
    }
}

impl Range {
    /// Makes black what is no measurement.
    pub(super) fn fill(&self, values: &mut [f32]) {
        values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = self.ends[0] as f32);
    }

    /// Brings values to 0..1.
    pub(super) fn apply(&self, values: &mut [f32]) {
        if let Some(window) = self.curve {
            return values.iter_mut().for_each(|value| *value = sigmoid(window, f64::from(*value)) as f32);
        }
        let [low, high] = self.ends.map(|end| end as f32);
        match high > low {
            true => {
                values.iter_mut().for_each(|value| *value = ((*value - low) / (high - low)).clamp(0.0, 1.0))
            }
            // A threshold.
            false => values.iter_mut().for_each(|value| *value = f32::from(u8::from(*value > low))),
        }
    }

    /// The modality value that became this share.
    pub(super) fn value(&self, share: f64) -> f64 {
        let [low, high] = self.ends;
        low + share * (high - low)
    }

    /// What there is to say of a window that makes lungs black.
    pub(super) fn hides(&self, kind: Kind, tally: &Tally) -> Option<String> {
        let is_ct = kind == Kind::Ct || (kind == Kind::Unknown && tally.looks_like_ct());
        let hidden = tally.share(tally.hidden);
        (is_ct && hidden > LUNGS_SHARE).then(|| {
            format!(
                "the window begins at {} and makes lungs black ({:.0} % of the volume): for them, name another, such as \
                 -600/1500",
                self.ends[0],
                100.0 * hidden
            )
        })
    }
}

/// Whether values of a kind that is not known are Hounsfield units.
fn looks_like_ct(values: &[f32]) -> bool {
    let mut tally = Tally::default();
    tally.add_air(values);
    tally.looks_like_ct()
}

/// What is counted of values to tell what they are, as far as their kind needs it. What is no measurement is NaN.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tally {
    values: usize,
    lowest: Option<f32>,
    /// Below [`AIR`].
    air: usize,
    /// Of lungs, below the range.
    hidden: usize,
}

impl Tally {
    /// Counts some of the values of a volume.
    pub(super) fn add(&mut self, (kind, range): (Kind, &Range), values: &[f32]) {
        match kind {
            Kind::Ct => self.values += values.len(),
            Kind::Unknown => self.add_air(values),
            Kind::Mr | Kind::Pet | Kind::Other => return,
        }
        self.hidden += count(values, LUNGS[0], LUNGS[1].min(range.ends[0]));
    }

    fn add_air(&mut self, values: &[f32]) {
        self.values += values.len();
        let lowest = extent(values, None).map(|[low, _]| low);
        self.lowest = [self.lowest, lowest].into_iter().flatten().reduce(f32::min);
        self.air += count(values, f64::NEG_INFINITY, AIR);
    }

    /// That of all values.
    pub(super) fn of(kind: (Kind, &Range), values: &[f32]) -> Self {
        let mut tally = Self::default();
        tally.add(kind, values);
        tally
    }

    fn share(&self, count: usize) -> f64 {
        count as f64 / self.values.max(1) as f64
    }

    fn looks_like_ct(&self) -> bool {
        self.lowest.is_some_and(|low| f64::from(low) <= AIR) && self.share(self.air) >= AIR_SHARE
    }
}

/// First place and end, along slices, rows and columns of a volume of this shape, of the box of the values above the `lowest`;
/// `None` if all are the same.
pub(super) fn foreground(
    values: &[f32],
    [depth, height, width]: [usize; 3],
    lowest: f32,
) -> Option<[[usize; 2]; 3]> {
    let (mut slices, mut rows, mut columns) = ([depth, 0], [height, 0], [width, 0]);
    for (place, row) in values.chunks_exact(width).enumerate() {
        let (slice, line) = (place / height, place % height);
        let [left, right] = columns;
        // Only what lies beyond the columns that are known can widen them.
        let first = first_above(&row[..left], lowest);
        let last = last_above(&row[right..], lowest).map(|at| right + at);
        columns = [first.unwrap_or(left), last.map_or(right, |last| last + 1)];
        let is_known = (rows[0]..rows[1]).contains(&line) && (slices[0]..slices[1]).contains(&slice);
        let between = || left < right && first_above(&row[left..right], lowest).is_some();
        if !is_known && (first.is_some() || last.is_some() || between()) {
            rows = [rows[0].min(line), rows[1].max(line + 1)];
            slices = [slices[0].min(slice), slices[1].max(slice + 1)];
        }
    }
    (slices[1] > 0).then_some([slices, rows, columns])
}

/// Values that are looked at together.
const LANES: usize = 32;

fn has_above(values: &[f32], lowest: f32) -> bool {
    values.iter().fold(false, |any, value| any | (*value > lowest))
}

fn first_above(row: &[f32], lowest: f32) -> Option<usize> {
    let (number, chunk) = row.chunks(LANES).enumerate().find(|(_, chunk)| has_above(chunk, lowest))?;
    Some(number * LANES + chunk.iter().position(|value| *value > lowest)?)
}

fn last_above(row: &[f32], lowest: f32) -> Option<usize> {
    let (number, chunk) = row.rchunks(LANES).enumerate().find(|(_, chunk)| has_above(chunk, lowest))?;
    Some(row.len() - number * LANES - chunk.len() + chunk.iter().rposition(|value| *value > lowest)?)
}

/// Of what number `to` of `count` is made, of `length` that are there: places, and parts that sum to 1. Linear, each axis alone,
/// without smoothing: `torch.nn.functional.interpolate` with `align_corners=False`.
pub(super) fn linear(to: usize, count: usize, length: usize) -> Vec<(usize, f32)> {
    let place = ((to as f64 + 0.5) * length as f64 / count as f64 - 0.5).max(0.0);
    let (low, share) = ((place.floor() as usize).min(length - 1), place.fract());
    match share > 0.0 && low + 1 < length {
        true => vec![(low, (1.0 - share) as f32), (low + 1, share as f32)],
        false => vec![(low, 1.0)],
    }
}

/// As [`linear`], of all that lie in its part: `torch.nn.functional.interpolate` with `mode="area"`, which is what the first
/// release of M3D's script did.
pub(super) fn area(to: usize, count: usize, length: usize) -> Vec<(usize, f32)> {
    let (first, end) = (to * length / count, ((to + 1) * length).div_ceil(count));
    (first..end).map(|place| (place, 1.0 / (end - first) as f32)).collect()
}
