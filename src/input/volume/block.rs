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

/// What a pixel of a slice may be.
pub(super) trait Pixel: Copy + Default {
    /// Those of a slice, if it has such.
    fn of<'a>(samples: &Samples<'a>) -> Option<&'a [Self]>;
}

impl Pixel for f32 {
    fn of<'a>(samples: &Samples<'a>) -> Option<&'a [Self]> {
        match samples {
            Samples::Values(values) => Some(values),
            Samples::Rgb(_) => None,
        }
    }
}

impl Pixel for [u8; 3] {
    fn of<'a>(samples: &Samples<'a>) -> Option<&'a [Self]> {
        match samples {
            Samples::Rgb(bytes) => Some(bytes.as_chunks().0),
            Samples::Values(_) => None,
        }
    }
}

/// A block of these slices of a plane that holds nothing yet, its routes, and the stored slices that it needs.
fn prepared<T: Pixel>(
    (space, axes): (&Space, &Axes),
    places: &[usize],
    options: &ReadOptions,
) -> Result<(Block<T>, Routes, Vec<usize>)> {
    let [_, height, width] = axes.shape(space);
    let block = Block::new(space, [places.len(), height, width], options)?;
    let along = |axis: usize, indices: &mut dyn Iterator<Item = usize>, step: usize| {
        let route = |(place, index)| (axes.stored_index(space, axis, index), place * step);
        indices.enumerate().map(route).collect::<Vec<_>>()
    };
    let mut all = [
        along(0, &mut places.iter().copied(), height * width),
        along(1, &mut (0..height), width),
        along(2, &mut (0..width), 1),
    ];
    // A stored slice is looked up among them.
    all.iter_mut().for_each(|routes| routes.sort_unstable());
    let routes = Routes { all, axes: axes.clone(), columns: space.shape[2] };
    Ok((block, routes, stored_slices((space, axes), places)))
}

/// The stored slices that these slices of a plane are made of, rising.
fn stored_slices((space, axes): (&Space, &Axes), places: &[usize]) -> Vec<usize> {
    if axes.stored[0] != 0 {
        return (0..space.shape[0]).collect();
    }
    let mut slices: Vec<_> = places.iter().map(|place| axes.stored_index(space, 0, *place)).collect();
    slices.sort_unstable();
    slices
}

/// Hands over stored slices, whole.
fn pass<T: Pixel>(
    space: &Space,
    slices: &[usize],
    values: &mut dyn Values,
    options: &ReadOptions,
    take: &mut dyn FnMut(usize, &[T]),
) -> Result<()> {
    let [_, rows, columns] = space.shape.map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    options.budget.check_pixels(&space.name, columns, rows)?;
    let pixels = space.shape[1] * space.shape[2];
    let mut done = 0;
    values.each(slices, &mut |slice, samples| {
        options.watch.check()?;
        done += 1;
        options.watch.tell(done, slices.len());
        match T::of(&samples).filter(|stored| stored.len() == pixels) {
            Some(stored) => take(slice, stored),
            None => {
                let thing = format!("{}: slice {slice}", space.name);
                return Err(Error::input(thing, format!("{pixels} pixels of one kind"), "others")
                    .hint("leave this slice out with --range, or convert the series to NIfTI"));
            }
        }
        Ok(())
    })
}

/// The slices of a plane at these places, in this order; each place once. What is not needed for them is not read.
///
/// # Errors
/// [`Error::Input`] if they are more than memory holds, or what `values` reports; those of the watch.
pub(super) fn held<T: Pixel>(
    from: (&Space, &Axes),
    places: &[usize],
    values: &mut dyn Values,
    options: &ReadOptions,
) -> Result<Block<T>> {
    let (mut block, routes, slices) = prepared(from, places, options)?;
    pass(from.0, &slices, values, options, &mut |slice, stored| block.put(&routes, slice, stored))?;
    Ok(block)
}

/// As [`held`], of values of which the slices of all places of `list` are shown to `look`, by their stored number, as they
/// come. Those of `places` are among them.
///
/// # Errors
/// As [`held`].
pub(super) fn passed(
    from: (&Space, &Axes),
    (places, list): (&[usize], &[usize]),
    values: &mut dyn Values,
    options: &ReadOptions,
    look: &mut dyn FnMut(usize, &[f32]),
) -> Result<Block<f32>> {
    let (mut block, routes, _) = prepared(from, places, options)?;
    pass(from.0, &stored_slices(from, list), values, options, &mut |slice, stored| {
        look(slice, stored);
        block.put(&routes, slice, stored);
    })?;
    Ok(block)
}

/// Refuses a volume of more bytes than the budget has.
///
/// # Errors
/// [`Error::Input`] naming the limit.
pub(super) fn check_size(space: &Space, shape: [usize; 3], options: &ReadOptions) -> Result<()> {
    let bytes = shape.iter().fold(size_of::<f32>(), |bytes, side| bytes.saturating_mul(*side));
    options.budget.check_bytes(&space.name, bytes as u64)
}

/// Makes NaN of what is no measurement, and says how many there are.
pub(super) fn mark_missing(values: &mut [f32]) -> usize {
    let is_known = |chunk: &[f32]| chunk.iter().fold(true, |all, value| all & value.is_finite());
    let mut missing = 0;
    for chunk in values.chunks_mut(1 << 12).filter(|chunk| !is_known(chunk)) {
        for value in chunk.iter_mut().filter(|value| !value.is_finite()) {
            *value = f32::NAN;
            missing += 1;
        }
    }
    missing
}
