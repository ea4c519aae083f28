//! A small picture of a volume from the side of its slices: the mean through the body, as an overview of a scanner is. It shows
//! people where frames lie, and costs little: it is made of few slices, and of few rows and columns of them.

use super::super::reading::ReadOptions;
use super::axes::Axes;
use super::space::{Kind, Samples, Space, Values};
use crate::error::Result;
use crate::view::{Edge, Plane, Scout};

/// Stored slices that are read for it.
const MOST_SLICES: usize = 64;
/// Rows and columns of them that are looked at.
const MOST_LINES: usize = 256;
/// Hounsfield units from which and up to which values count: padding and metal would take all contrast.
const BODY: [f32; 2] = [-1000.0, 1000.0];

/// The overview of a volume that says how the patient lies; none of colours, and of one slice.
///
/// # Errors
/// If slices cannot be read; those of the watch.
pub(super) fn scout(
    (space, axes): (&Space, &Axes),
    values: &mut dyn Values,
    options: &ReadOptions,
) -> Result<Option<Scout>> {
    let shape = axes.shape(space);
    let Some(plane) = axes.plane.filter(|_| !space.colour && shape[0] > 1) else { return Ok(None) };
    // Axial slices are seen from the front, coronal ones from the left, sagittal ones from the front.
    let (across, first) = if plane == Plane::Axial { (2, Edge::Bottom) } else { (1, Edge::Left) };
    let most = [MOST_SLICES, MOST_LINES, MOST_LINES];
    let taken: [Vec<usize>; 3] = std::array::from_fn(|axis| evenly(space.shape[axis], most[axis]));
    let kept = [axes.stored[0], axes.stored[across]];
    let mut means = Means::new(kept.map(|axis| taken[axis].len()));
    let mut slice_at_hand = 0;
    values.each(&taken[0], &mut |_, samples| {
        options.watch.check()?;
        if let Samples::Values(stored) = samples {
            for (row_place, row) in taken[1].iter().enumerate() {
                let row = stored.get(row * space.shape[2]..).unwrap_or_default();
                for (column_place, column) in taken[2].iter().enumerate() {
                    let place = [slice_at_hand, row_place, column_place];
                    let value = row.get(*column).and_then(|value| counted(space, *value));
                    means.add(kept.map(|axis| place[axis]), value);
                }
            }
        }
        slice_at_hand += 1;
        Ok(())
    })?;
    let length = |axis: usize| {
        let spacing = axes.spacing_mm(space).map_or(1.0, |spacing| spacing[axis]);
        shape[axis] as f64 * spacing
    };
    let (grey, [along, sideways]) = (means.grey([0, across].map(|axis| axes.against[axis])), means.lengths);
    Ok(Some(match first {
        Edge::Bottom => {
            let rows = grey.chunks_exact(sideways).rev().collect::<Vec<_>>();
            Scout { columns: sideways, grey: rows.concat(), size: [length(0), length(across)], first }
        }
        Edge::Left => {
            let turned = (0..sideways).flat_map(|row| (0..along).map(move |column| column * sideways + row));
            let grey = turned.map(|place| grey[place]).collect();
            Scout { columns: along, grey, size: [length(across), length(0)], first }
        }
    }))
}

/// At most so many places, in the middle of equal parts.
fn evenly(length: usize, most: usize) -> Vec<usize> {
    let count = length.min(most);
    (0..count).map(|part| (2 * part + 1) * length / (2 * count)).collect()
}

/// A value as far as it tells the body from what is around it.
fn counted(space: &Space, value: f32) -> Option<f32> {
    let known = value.is_finite() && Some(value) != space.padding;
    known.then(|| if space.kind == Kind::Ct { value.clamp(BODY[0], BODY[1]) } else { value })
}

/// Means of values by their places along two axes.
struct Means {
    lengths: [usize; 2],
    sums: Vec<(f64, u32)>,
}

impl Means {
    fn new(lengths: [usize; 2]) -> Self {
        Self { lengths, sums: vec![(0.0, 0); lengths[0] * lengths[1]] }
    }

    fn add(&mut self, [along, sideways]: [usize; 2], value: Option<f32>) {
        if let (Some(value), Some((sum, count))) =
            (value, self.sums.get_mut(along * self.lengths[1] + sideways))
        {
            *sum += f64::from(value);
            *count += 1;
        }
    }

    /// From the lowest to the highest mean, each axis turned over where it runs against the plane's. Nothing is black.
    fn grey(&self, against: [bool; 2]) -> Vec<u8> {
        let means: Vec<f64> = self.sums.iter().map(|(sum, count)| sum / f64::from(*count)).collect();
        let known = means.iter().copied().filter(|mean| mean.is_finite());
        let low = known.clone().fold(f64::INFINITY, f64::min);
        let range = (known.fold(f64::NEG_INFINITY, f64::max) - low).max(f64::MIN_POSITIVE);
        let [along, sideways] = self.lengths;
        let turned =
            |place: usize, axis: usize, length: usize| if against[axis] { length - 1 - place } else { place };
        let places = (0..along).flat_map(|a| (0..sideways).map(move |b| (a, b)));
        places
            .map(|(a, b)| means[turned(a, 0, along) * sideways + turned(b, 1, sideways)])
            .map(|mean| ((mean - low) / range * 255.0) as u8)
            .collect()
    }
}
