//! What is asked of all values of a volume whose range is known beforehand, slice by slice: none of them is held for it.

use super::axes::Axes;
use super::block::mark_missing;
use super::space::{Kind, Space};
use super::statistics::extent_of_shares;
use super::trained::{Range, Tally, foreground};

/// What is known of the slices that were shown.
pub(super) struct Survey<'a> {
    range: &'a Range,
    kind: Kind,
    /// Slices, rows and columns, as they are stored.
    shape: [usize; 3],
    pub(super) tally: Tally,
    /// Values that are no measurements.
    pub(super) missing: usize,
    slices: Vec<Outline>,
    /// The slice at hand.
    values: Vec<f32>,
}

/// What is known of a stored slice, its values from 0 to 1.
struct Outline {
    slice: usize,
    extent: [f32; 2],
    /// First place and end of the rows and columns that hold more than its lowest value.
    above: Option<[[usize; 2]; 2]>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(space: &Space, range: &'a Range) -> Self {
        let (tally, slices, values) = (Tally::default(), Vec::new(), Vec::new());
        Self { range, kind: space.kind, shape: space.shape, tally, missing: 0, slices, values }
    }

    /// Looks at a stored slice.
    pub(super) fn add(&mut self, slice: usize, values: &[f32]) {
        self.values.clear();
        self.values.extend_from_slice(values);
        let missing = mark_missing(&mut self.values);
        self.missing += missing;
        self.tally.add((self.kind, self.range), &self.values);
        if missing > 0 {
            self.range.fill(&mut self.values);
        }
        self.range.apply(&mut self.values);
        let extent = extent_of_shares(&self.values).unwrap_or_default();
        let [_, rows, columns] = self.shape;
        let above = foreground(&self.values, [1, rows, columns], extent[0]);
        let above = above.map(|[_, rows, columns]| [rows, columns]);
        self.slices.push(Outline { slice, extent, above });
    }

    /// The lowest and the highest of all values, from 0 to 1.
    pub(super) fn extent(&self) -> [f32; 2] {
        let extents = self.slices.iter().map(|outline| outline.extent);
        extents.reduce(|[low, high], [lower, higher]| [low.min(lower), high.max(higher)]).unwrap_or_default()
    }

    /// As [`foreground`], of the slices in the order of this list of slices of the plane: it rises or falls by one.
    pub(super) fn foreground(
        &self,
        (space, axes): (&Space, &Axes),
        list: &[usize],
    ) -> Option<[[usize; 2]; 3]> {
        let [lowest, _] = self.extent();
        let mut stored: Option<[[usize; 2]; 3]> = None;
        for outline in &self.slices {
            // All of a slice is above a value that it does not have.
            let [rows, columns] = match outline.extent[0] > lowest {
                true => [[0, self.shape[1]], [0, self.shape[2]]],
                false => match outline.above {
                    Some(above) => above,
                    None => continue,
                },
            };
            let slices = [outline.slice, outline.slice + 1];
            let new = [slices, rows, columns];
            stored =
                Some(stored.map_or(new, |known| std::array::from_fn(|axis| joined(known[axis], new[axis]))));
        }
        let stored = stored?;
        let [slices, rows, columns] = std::array::from_fn(|axis| {
            let ([first, end], length) = (stored[axes.stored[axis]], space.shape[axes.stored[axis]]);
            if axes.against[axis] { [length - end, length - first] } else { [first, end] }
        });
        let within = |place: &usize| (slices[0]..slices[1]).contains(place);
        let first = list.iter().position(within)?;
        let last = list.iter().rposition(within)?;
        Some([[first, last + 1], rows, columns])
    }
}

fn joined([first, end]: [usize; 2], [other, other_end]: [usize; 2]) -> [usize; 2] {
    [first.min(other), end.max(other_end)]
}
