//! Which slices of a volume are looked at, and what comes of them.

use std::collections::BTreeMap;

use super::super::reading::{Measured, ReadOptions};
use super::number::Number;
use super::window::{Scaled, Scaling};
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, PixelMode, Provenance, Study};
use crate::study::{Look, Preprocessing, Windowing};
use crate::view::{Crop, Slab, VolumeForm};

/// The shape of a volume as it is stored.
#[derive(Debug, Clone)]
pub(in crate::input) struct Grid {
    /// For messages.
    pub(in crate::input) name: String,
    /// Lengths of the axes, none of them 0.
    pub(in crate::input) shape: [usize; 3],
    /// Distances of neighbours along each axis in millimetres, where known.
    pub(in crate::input) spacing_mm: Option<[f64; 3]>,
}

/// The slices that are looked at.
#[derive(Debug, Clone)]
pub(in crate::input) struct SliceChoice {
    grid: Grid,
    /// The axis of the slices. The other two are rows and columns, in their order.
    pub(in crate::input) axis: usize,
    /// Of each frame, its place along the axis; some perhaps twice.
    places: Vec<usize>,
    /// How many slices there were to choose from.
    choices: usize,
    windowing: Windowing,
}

/// Where the numbers of slices come from.
pub(in crate::input) trait Slices {
    /// The type of the numbers.
    fn number(&self) -> Number;

    /// Hands over each of these slices in 8 bits, row by row. The places rise.
    ///
    /// # Errors
    /// If a slice cannot be read or scaled, or `take` fails.
    fn each(
        &mut self,
        places: &[usize],
        scaling: &Scaling<'_>,
        take: &mut dyn FnMut(usize, Scaled) -> Result<()>,
    ) -> Result<()>;

    /// How the pixels of a slice are to be read.
    fn mode(&self) -> PixelMode {
        PixelMode::Grey
    }

    /// Where a slice lies, of which this much is known already.
    fn place(&self, _place: usize, known: Provenance) -> Provenance {
        known
    }
}

impl Grid {
    /// Refuses a shape without slices, rows or columns.
    ///
    /// # Errors
    /// [`Error::Input`] naming the shape.
    pub(in crate::input) fn check(&self) -> Result<()> {
        match self.shape.contains(&0) {
            true => Err(Error::input(
                &self.name,
                "at least one slice, row and column",
                format!("shape {:?}", self.shape),
            )
            .hint("check what wrote it")),
            false => Ok(()),
        }
    }

    /// The slices to look at.
    ///
    /// # Errors
    /// [`Error::Request`] if there are no such slices, or for what only a volume in patient space has.
    pub(in crate::input) fn choose(self, look: &Look) -> Result<SliceChoice> {
        let axis = look.axis.unwrap_or(0);
        let look = &*look.of_volume(&self.name, self.shape[axis])?;
        self.check_look(look)?;
        let [first, last] = within(&self.name, self.shape[axis], look.range)?;
        let count = look.slices.unwrap_or(Look::SLICES);
        let choices = last - first + 1;
        let turned = |place| if look.reverse { last - place } else { first + place };
        let places = evenly(choices, count).into_iter().map(turned).collect();
        let windowing = match look.window {
            // An array has none of its own.
            None | Some(Windowing::File(_)) => Windowing::OwnRange,
            Some(asked) => asked,
        };
        Ok(SliceChoice { grid: self, axis, places, choices, windowing })
    }

    /// Refuses what an array has not: it does not say how the patient lies.
    fn check_look(&self, look: &Look) -> Result<()> {
        let asked = [
            (Look::FORM, look.form.is_some_and(|form| form != VolumeForm::Native)),
            (Look::PLANE, look.plane.is_some()),
            (Look::RANGE, look.range_mm.is_some()),
            (Look::SLAB, look.slab.is_some_and(|slab| slab != Slab::None)),
            (Look::CROP, look.crop.is_some_and(|crop| crop != Crop::None)),
            (Look::TIME.option, look.time.is_some()),
            (Look::WINDOW, matches!(look.window, Some(Windowing::File(_)))),
        ];
        match asked.iter().find(|(_, asked)| *asked) {
            Some((option, _)) if !look.is_shared() => Err(Error::request(
                format!("{}: {option}", self.name),
                "a DICOM series or a NIfTI volume",
                "an array, which is looked at as it is",
            )
            .hint("leave it out; axis, range, slices and window choose of an array")),
            _ => Ok(()),
        }
    }
}

/// The first and the last of `depth` slices to choose from.
///
/// # Errors
/// [`Error::Request`] if there are fewer.
pub(super) fn within(name: &str, depth: usize, range: Option<[usize; 2]>) -> Result<[usize; 2]> {
    let [first, last] = range.unwrap_or([0, depth - 1]);
    match last < depth {
        true => Ok([first, last]),
        false => Err(Error::request(
            format!("{name}: range"),
            format!("slices from 0 to {}", depth - 1),
            format!("{first} to {last}"),
        )
        .hint("choose from these slices, or leave range out")),
    }
}

impl SliceChoice {
    /// The lengths of the other two axes: rows and columns.
    pub(in crate::input) fn sides(&self) -> [usize; 2] {
        let [a, b] = self.others();
        [self.grid.shape[a], self.grid.shape[b]]
    }

    fn others(&self) -> [usize; 2] {
        [[1, 2], [0, 2], [0, 1]][self.axis]
    }

    /// The place of each frame.
    pub(super) fn places(&self) -> &[usize] {
        &self.places
    }

    /// The places of the frames, each once; they rise.
    pub(super) fn distinct(&self) -> Vec<usize> {
        let mut places = self.places.clone();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// How many frames there will be, and how large.
    pub(in crate::input) fn measured(&self) -> Measured {
        let [height, width] = self.sides();
        // What is longer is refused.
        let side = |length| u32::try_from(length).unwrap_or(u32::MAX);
        let sizes = vec![[side(width), side(height)]; self.places.len()];
        Measured { modality: Modality::Volume, sizes, count: self.grid.shape[self.axis] }
    }

    /// The frames.
    ///
    /// # Errors
    /// Those of `slices` and of the watch.
    pub(in crate::input) fn read(self, slices: &mut dyn Slices, options: &ReadOptions) -> Result<Study> {
        let [height, width] = self.sides();
        let mode = options.preprocessing;
        let own_range = self.windowing == Windowing::OwnRange;
        let scaling = Scaling { name: &self.grid.name, windowing: self.windowing, mode };
        let distinct = self.distinct();
        let mut pictures = BTreeMap::new();
        slices.each(&distinct, &scaling, &mut |place, scaled| {
            options.watch.check()?;
            pictures.insert(place, scaled);
            options.watch.tell(pictures.len(), distinct.len());
            Ok(())
        })?;
        let (mut frames, mut wrapped, mut constant) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (place, scaled) in pictures {
            let known = Provenance {
                spacing_mm: self.spacing_mm(),
                axis: Some(self.axis),
                ..Provenance::volume(place, scaled.window)
            };
            let known = slices.place(place, known);
            let index = known.index.unwrap_or(place);
            wrapped.extend(scaled.wraps.then_some(index));
            constant.extend((own_range && scaled.window[0] == scaled.window[1]).then_some(index));
            let frame = Frame::new(width as u32, height as u32, slices.mode(), scaled.grey, known)?;
            frames.insert(place, frame);
        }
        let mut warnings = self.warnings();
        warnings.extend(slices.number().warning(&wrapped, mode));
        warnings.extend(without_contrast(&constant, mode));
        let frames = self.places.iter().filter_map(|place| frames.get(place).cloned()).collect();
        Ok(Study { modality: Modality::Volume, source: self.grid.name, frames, warnings })
    }

    /// Distances of neighbouring slices, rows and columns.
    fn spacing_mm(&self) -> Option<[f64; 3]> {
        let [rows, columns] = self.others();
        self.grid.spacing_mm.map(|spacing| [spacing[self.axis], spacing[rows], spacing[columns]])
    }

    fn warnings(&self) -> Vec<String> {
        let [height, width] = self.sides();
        let (count, choices) = (self.places.len(), self.choices);
        let mut warnings = Vec::new();
        if self.places.windows(2).any(|pair| pair[0] == pair[1]) {
            warnings.push(twice(count, choices));
        }
        if height != width {
            warnings.push(format!("slices of {width}×{height} pixels are stretched to a square"));
        }
        warnings
    }
}

/// What to say of more frames than there are slices.
pub(super) fn twice(count: usize, choices: usize) -> String {
    format!("{count} slices were asked of {choices}: some are looked at twice")
}

/// What to say of slices of one value.
fn without_contrast(places: &[usize], mode: Preprocessing) -> Option<String> {
    if places.is_empty() || mode == Preprocessing::Reference {
        return None;
    }
    Some(match places {
        [place] => format!("slice {place} has one value throughout and is black"),
        _ => {
            let list: Vec<_> = places.iter().map(usize::to_string).collect();
            format!("slices {} have one value throughout and are black", list.join(", "))
        }
    })
}

/// `count` places from the first to the last of `depth`, as `numpy.linspace(0, depth - 1, count, dtype=int)`.
fn evenly(depth: usize, count: usize) -> Vec<usize> {
    let last = depth - 1;
    let step = last as f64 / (count.max(2) - 1) as f64;
    let index = |place: usize| match place + 1 == count && count > 1 {
        true => last,
        false => (place as f64 * step).floor() as usize,
    };
    (0..count).map(index).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::limits::Budget;
    use super::*;

    #[test]
    fn slices_are_numpys() {
        for (depth, count, wanted) in [
            (32, 11, &[0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 31][..]),
            (1, 3, &[0, 0, 0]),
            (5, 11, &[0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4]),
            (7, 1, &[0]),
            (100, 2, &[0, 99]),
        ] {
            assert_eq!(evenly(depth, count), wanted, "{count} of {depth}");
        }
    }

    fn choice(look: &Look) -> Result<SliceChoice> {
        Grid { name: "ct".into(), shape: [9, 4, 5], spacing_mm: Some([3.0, 2.0, 1.0]) }.choose(look)
    }

    #[test]
    fn axis_and_range_say_what_there_is_to_choose_from() {
        let look = Look::default();
        let taken = choice(&look.clone().slices(3).range([2, 6])).unwrap();
        assert_eq!((taken.places.as_slice(), taken.sides()), (&[2, 4, 6][..], [4, 5]));
        let taken = choice(&look.clone().slices(2).axis(1)).unwrap();
        assert_eq!((taken.places.as_slice(), taken.sides()), (&[0, 3][..], [9, 5]));
        assert_eq!(taken.spacing_mm(), Some([2.0, 3.0, 1.0]));
        let taken = choice(&look.clone().slices(2).axis(2).range([4, 4])).unwrap();
        assert_eq!((taken.places.as_slice(), taken.sides()), (&[4, 4][..], [9, 4]));
        let error = choice(&look.axis(1).range([0, 4])).unwrap_err();
        assert_eq!(error.facts().thing, "ct: range", "{error}");
    }

    #[test]
    fn slices_beyond_all_measure_are_refused() {
        let measured = |shape, slices| {
            let grid = Grid { name: "ct".into(), shape, spacing_mm: None };
            let choice = grid.choose(&Look::default().slices(slices)).unwrap();
            Budget::default().check_study("ct", &choice.measured().sizes, 1)
        };
        for (shape, slices) in
            [([1, 1 << 30, 1 << 30], 1), ([2, 1 << 14, 1 << 14], 1), ([4096, 2048, 2048], 4096)]
        {
            let error = measured(shape, slices).unwrap_err();
            assert!(matches!(error, Error::Input(_)), "{error}");
        }
        measured([4096, 512, 512], 4096).unwrap();
    }
}
