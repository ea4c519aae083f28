//! The part of a volume that is looked at, in memory, turned upright.

use super::super::limits::collected;
use super::super::reading::ReadOptions;
use super::axes::Axes;
use super::space::{Samples, Space, Values};
use crate::error::{Error, Result};

/// Slices of a plane, each row by row.
pub(super) struct Block<T> {
    /// Slices, rows and columns.
    pub(super) shape: [usize; 3],
    pub(super) values: Vec<T>,
    /// From which slice on they are counted.
    pub(super) first: usize,
}

/// For each stored slice, row or column, the places in the block that it goes to: pairs of a stored index and an offset.
struct Routes {
    /// Of slices, rows and columns of the block.
    all: [Vec<(usize, usize)>; 3],
    axes: Axes,
    columns: usize,
}

impl<T: Copy + Default> Block<T> {
    fn new(space: &Space, shape: [usize; 3], options: &ReadOptions) -> Result<Self> {
        let bytes = shape.iter().fold(size_of::<T>(), |bytes, side| bytes.saturating_mul(*side));
        options.budget.check_bytes(&space.name, bytes as u64)?;
        let count = bytes / size_of::<T>();
        let values = collected(&space.name, count, std::iter::repeat_n(T::default(), count))?;
        Ok(Self { shape, values, first: 0 })
    }

    pub(super) fn slice(&self, place: usize) -> &[T] {
        let pixels = self.shape[1] * self.shape[2];
        &self.values[(self.first + place) * pixels..][..pixels]
    }

    /// Puts a stored slice where it belongs.
    fn put(&mut self, routes: &Routes, slice: usize, stored: &[T]) {
        let across = routes.axes.stored.iter().position(|axis| *axis == 0).unwrap_or(0);
        let only = |axis: usize| -> Vec<(usize, usize)> {
            let all = &routes.all[axis];
            match axis == across {
                true => {
                    let found = all.binary_search_by_key(&slice, |(index, _)| *index).ok();
                    found.map(|found| (0, all[found].1)).into_iter().collect()
                }
                false => {
                    let step = if routes.axes.stored[axis] == 1 { routes.columns } else { 1 };
                    all.iter().map(|(index, to)| (index * step, *to)).collect()
                }
            }
        };
        let [slices, rows, columns] = [only(0), only(1), only(2)];
        let straight = routes.axes.stored[2] == 2 && !routes.axes.against[2];
        for (from_slice, to_slice) in slices {
            for (from_row, to_row) in &rows {
                let (from, to) = (from_slice + from_row, to_slice + to_row);
                if straight {
                    self.values[to..][..columns.len()].copy_from_slice(&stored[from..][..columns.len()]);
                    continue;
                }
                for (from_column, to_column) in &columns {
                    self.values[to + to_column] = stored[from + from_column];
                }
            }
        }
    }
}

/// The slices of a plane at these places, in this order; each place once. What is not needed for them is not read.
///
/// # Errors
/// [`Error::Input`] if they are more than memory holds, or what `values` reports; those of the watch.
fn read<T: Copy + Default>(
    (space, axes): (&Space, &Axes),
    places: &[usize],
    values: &mut dyn Values,
    options: &ReadOptions,
    of: fn(Samples<'_>) -> Option<&[T]>,
) -> Result<Block<T>> {
    let [_, rows, columns] = space.shape.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    options.budget.check_pixels(&space.name, columns, rows)?;
    let [_, height, width] = axes.shape(space);
    let mut block = Block::new(space, [places.len(), height, width], options)?;
    let along = |axis: usize, indices: &mut dyn Iterator<Item = usize>, step: usize| {
        let route = |(place, index)| (axes.stored_index(space, axis, index), place * step);
        indices.enumerate().map(route).collect::<Vec<_>>()
    };
    let mut all = [
        along(0, &mut places.iter().copied(), height * width),
        along(1, &mut (0..height), width),
        along(2, &mut (0..width), 1),
    ];
    let mut needed: Vec<usize> = match axes.stored[0] {
        0 => all[0].iter().map(|(stored, _)| *stored).collect(),
        _ => (0..space.shape[0]).collect(),
    };
    needed.sort_unstable();
    // A stored slice is looked up among them.
    all.iter_mut().for_each(|routes| routes.sort_unstable());
    let routes = Routes { all, axes: axes.clone(), columns: space.shape[2] };
    let pixels = space.shape[1] * space.shape[2];
    let mut done = 0;
    values.each(&needed, &mut |slice, samples| {
        options.watch.check()?;
        done += 1;
        options.watch.tell(done, needed.len());
        match of(samples).filter(|stored| stored.len() == pixels) {
            Some(stored) => block.put(&routes, slice, stored),
            None => {
                let thing = format!("{}: slice {slice}", space.name);
                return Err(Error::input(thing, format!("{pixels} pixels of one kind"), "others")
                    .hint("leave this slice out with --range, or convert the series to NIfTI"));
            }
        }
        Ok(())
    })?;
    Ok(block)
}

/// The values of these slices, and how many of them are no measurements: they are NaN. See [`read`].
///
/// # Errors
/// As [`read`].
pub(super) fn values(
    place: (&Space, &Axes),
    places: &[usize],
    values: &mut dyn Values,
    options: &ReadOptions,
) -> Result<(Block<f32>, usize)> {
    let mut block = read(place, places, values, options, |samples| match samples {
        Samples::Values(values) => Some(values),
        Samples::Rgb(_) => None,
    })?;
    let mut missing = 0;
    for value in block.values.iter_mut().filter(|value| !value.is_finite()) {
        *value = f32::NAN;
        missing += 1;
    }
    Ok((block, missing))
}

/// The colours of these slices. See [`read`].
///
/// # Errors
/// As [`read`].
pub(super) fn colours(
    place: (&Space, &Axes),
    places: &[usize],
    values: &mut dyn Values,
    options: &ReadOptions,
) -> Result<Block<[u8; 3]>> {
    read(place, places, values, options, |samples| match samples {
        Samples::Rgb(bytes) => Some(bytes.as_chunks().0),
        Samples::Values(_) => None,
    })
}
