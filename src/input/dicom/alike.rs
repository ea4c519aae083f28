//! Which slices of a series belong to one volume. What does not is left out and named.

use std::collections::HashMap;

use super::geometry::{has_unlawful_spacing, spacing};
use super::instance::Instance;
use super::layout::Photometric;
use super::order::{geometry, named};
use super::series::{FrameAt, listed};
use super::tag;

/// Sizes or orientations in one series. An overview has some ten, a set of radial slices a hundred.
const MOST_GROUPS: usize = 1000;
/// Distances of pixels that differ by less than this part are one, written with other decimals.
const SAME_SPACING: f64 = 1e-3;

/// Leaves out what is no slice of the same volume, and names it. What is left is in no order yet.
pub(super) fn of_one_volume(
    files: &[Instance],
    frames: Vec<FrameAt>,
    notes: &mut Vec<String>,
) -> Vec<FrameAt> {
    let mut sieve = Sieve { files, notes };
    let frames = sieve.without_overviews(frames);
    let frames = sieve.agreeing(frames, "slices of another modality", |file, _| file.stated_modality());
    let frames = sieve.in_one_frame_of_reference(frames);
    let frames = sieve.agreeing(frames, "slices of other units", units);
    let frames = sieve.of_one_size(frames);
    sieve.values_as_they_are(&frames);
    sieve.in_parallel(frames)
}

/// The unit that a slice states of its values.
fn units(file: &Instance, frame: usize) -> Option<&str> {
    file.groups(frame).group(tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE).word(tag::RESCALE_TYPE)
}

struct Sieve<'a> {
    files: &'a [Instance],
    notes: &'a mut Vec<String>,
}

impl<'a> Sieve<'a> {
    fn names(&self, frames: &[FrameAt]) -> String {
        listed(&frames.iter().map(|at| named(self.files, *at)).collect::<Vec<_>>())
    }

    fn leave_out(&mut self, out: &[FrameAt], what: &str) {
        if !out.is_empty() {
            self.notes.push(format!("Left out: {what}: {}.", self.names(out)));
        }
    }

    fn without_overviews(&mut self, frames: Vec<FrameAt>) -> Vec<FrameAt> {
        let (overviews, slices): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|at| self.files[at.file].is_localizer());
        if slices.is_empty() {
            return overviews;
        }
        self.leave_out(&overviews, "a localizer");
        slices
    }

    /// Leaves out what states something else than most do. What states nothing stays.
    fn agreeing(
        &mut self,
        frames: Vec<FrameAt>,
        what: &str,
        of: impl Fn(&'a Instance, usize) -> Option<&'a str>,
    ) -> Vec<FrameAt> {
        let files = self.files;
        let stated = |at: &FrameAt| of(&files[at.file], at.frame);
        let Some((usual, _)) = usual(&frames, stated) else { return frames };
        let (frames, out): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|at| stated(at).is_none_or(|word| word == usual));
        self.leave_out(&out, what);
        frames
    }

    /// Positions are comparable within a frame of reference. Where each slice has one of its own, as some anonymisers leave them,
    /// none is the usual one.
    fn in_one_frame_of_reference(&mut self, frames: Vec<FrameAt>) -> Vec<FrameAt> {
        let files = self.files;
        let stated = |at: &FrameAt| files[at.file].scanned.set.word(tag::FRAME_OF_REFERENCE_UID);
        match usual(&frames, stated) {
            Some((_, 1)) if frames.iter().filter_map(stated).nth(1).is_some() => {
                self.notes.push(
                    "Each slice states a frame of reference of its own: nothing says that their positions belong together."
                        .into(),
                );
                frames
            }
            _ => self.agreeing(frames, "slices of another frame of reference", |file, _| {
                file.scanned.set.word(tag::FRAME_OF_REFERENCE_UID)
            }),
        }
    }

    fn of_one_size(&mut self, frames: Vec<FrameAt>) -> Vec<FrameAt> {
        let files = self.files;
        let size = |at: &FrameAt| {
            let layout = files[at.file].layout;
            (layout.rows, layout.columns, layout.is_colour())
        };
        let (frames, out) = largest(frames, |one, other| size(one) == size(other));
        self.leave_out(&out, "slices of another size");
        let distances = |at: &FrameAt| spacing(files[at.file].groups(at.frame));
        let near = |one: f64, other: f64| (one - other).abs() <= SAME_SPACING * one;
        let (known, unknown): (Vec<_>, Vec<_>) = frames.into_iter().partition(|at| distances(at).is_some());
        let (known, out) = largest(known, |one, other| match (distances(one), distances(other)) {
            (Some([row, column]), Some([other_row, other_column])) => {
                near(row, other_row) && near(column, other_column)
            }
            _ => false,
        });
        self.leave_out(&out, "slices of another pixel spacing");
        let unlawful = |at: &&FrameAt| has_unlawful_spacing(files[at.file].groups(at.frame));
        let unlawful: Vec<_> = unknown.iter().filter(unlawful).copied().collect();
        if !unlawful.is_empty() {
            let names = self.names(&unlawful);
            self.notes.push(format!("PixelSpacing is not two distances above 0 and was not used: {names}."));
        }
        [known, unknown].concat()
    }

    /// Says which slices state less of their values than the others, or show them otherwise.
    fn values_as_they_are(&mut self, frames: &[FrameAt]) {
        let files = self.files;
        let photometric = |at: &FrameAt| match files[at.file].layout.photometric {
            Photometric::Monochrome1 => Some(Photometric::Monochrome1.name()),
            Photometric::Monochrome2 => Some(Photometric::Monochrome2.name()),
            _ => None,
        };
        if let Some((usual, _)) = usual(frames, photometric) {
            let odd = |at: &FrameAt| photometric(at).is_some_and(|name| name != usual);
            let odd: Vec<_> = frames.iter().filter(|at| odd(at)).copied().collect();
            if !odd.is_empty() {
                let names = self.names(&odd);
                self.notes.push(format!(
                    "Most slices are {usual}, but not these, whose values were taken as they are: {names}."
                ));
            }
        }
        let item =
            |at: &FrameAt| files[at.file].groups(at.frame).group(tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        let tags = [tag::RESCALE_SLOPE, tag::RESCALE_INTERCEPT, tag::MODALITY_LUT_SEQUENCE];
        let is_stated = |at: &&FrameAt| {
            let item = item(at);
            tags.iter().any(|tag| item.bytes(*tag).is_some() || !item.items(*tag).is_empty())
        };
        let (stated, bare): (Vec<&FrameAt>, Vec<&FrameAt>) = frames.iter().partition(is_stated);
        if !stated.is_empty() && !bare.is_empty() {
            let bare: Vec<_> = bare.into_iter().copied().collect();
            let names = self.names(&bare);
            self.notes.push(format!(
                "No slope and intercept, which other slices have: stored numbers were taken as values in {names}."
            ));
        }
    }

    fn in_parallel(&mut self, frames: Vec<FrameAt>) -> Vec<FrameAt> {
        let files = self.files;
        let (known, unknown): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|at| geometry(files, *at).is_some());
        if known.is_empty() {
            return unknown;
        }
        self.leave_out(&unknown, "slices without a position");
        let alike = |one: &FrameAt, other: &FrameAt| match (geometry(files, *one), geometry(files, *other)) {
            (Some(one), Some(other)) => one.is_parallel(&other),
            _ => false,
        };
        let (frames, out) = largest(known, alike);
        self.leave_out(&out, "slices of another orientation");
        frames
    }
}

/// What most state, of several as frequent the first, and how many do.
fn usual<'a>(frames: &[FrameAt], of: impl Fn(&FrameAt) -> Option<&'a str>) -> Option<(&'a str, usize)> {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for (place, word) in frames.iter().enumerate().filter_map(|(place, at)| Some((place, of(at)?))) {
        counts.entry(word).or_insert((0, place)).0 += 1;
    }
    let rank = |(_, (count, first)): &(&str, (usize, usize))| (*count, std::cmp::Reverse(*first));
    counts.into_iter().max_by_key(rank).map(|(word, (count, _))| (word, count))
}

/// The largest group of alike ones, of several as large the first, and the others.
fn largest<T: Copy>(all: Vec<T>, alike: impl Fn(&T, &T) -> bool) -> (Vec<T>, Vec<T>) {
    let mut groups: Vec<Vec<T>> = Vec::new();
    for one in all {
        match groups.iter().position(|group| alike(&group[0], &one)) {
            Some(place) => groups[place].push(one),
            None if groups.len() < MOST_GROUPS => groups.push(vec![one]),
            // None of these is the largest.
            None => groups[MOST_GROUPS - 1].push(one),
        }
    }
    let most = groups.iter().map(Vec::len).max().unwrap_or(0);
    let Some(place) = groups.iter().position(|group| group.len() == most) else {
        return (Vec::new(), Vec::new());
    };
    let taken = groups.remove(place);
    (taken, groups.concat())
}
