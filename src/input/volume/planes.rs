//! Which slices a frame is made of, and where it lies.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::block::Block;
use super::trained::{area, linear};
use crate::frame::{Modality, Provenance};
use crate::view::{Slab, VolumeView};

/// Planes that are made of slices.
#[derive(Debug, Clone)]
pub(super) struct Planes {
    /// The slices to make them of, in the order in which they are looked at.
    pub(super) list: Vec<usize>,
    /// How many planes there are.
    pub(super) count: usize,
    slab: Slab,
}

impl Planes {
    /// This many planes of these slices. As many planes as slices are the slices themselves.
    pub(super) fn new(list: Vec<usize>, count: usize, slab: Slab) -> Self {
        Self { list, count, slab }
    }

    /// Of which places in the list a plane is made, and of how much of each.
    pub(super) fn parts(&self, plane: usize) -> Vec<(usize, f32)> {
        match self.slab {
            Slab::None => linear(plane, self.count, self.list.len()),
            Slab::Mean | Slab::Max => area(plane, self.count, self.list.len()),
        }
    }

    /// The values of a plane. `places` says which places of the list the block holds; they rise.
    pub(super) fn combine(&self, plane: usize, block: &Block<f32>, places: &[usize]) -> Vec<f32> {
        let mut combined: Vec<f32> = Vec::new();
        for (place, part) in self.parts(plane) {
            let Ok(held) = places.binary_search(&place) else { continue };
            let slice = block.slice(held);
            let weigh = |value: f32| if self.slab == Slab::Max { value } else { value * part };
            if combined.is_empty() {
                combined.extend(slice.iter().map(|value| weigh(*value)));
                continue;
            }
            for (sum, value) in combined.iter_mut().zip(slice) {
                *sum = if self.slab == Slab::Max { sum.max(*value) } else { *sum + weigh(*value) };
            }
        }
        combined
    }

    /// The slice that is nearest to the middle of a plane.
    pub(super) fn nearest(&self, plane: usize) -> usize {
        let middle = self.middle(plane, |place| place as f64);
        self.list.get((middle + 0.5).floor() as usize).or(self.list.last()).copied().unwrap_or_default()
    }

    /// What lies in the middle of a plane, of what the places of its slices have.
    fn middle(&self, plane: usize, of: impl Fn(usize) -> f64) -> f64 {
        self.parts(plane).into_iter().map(|(place, part)| of(place) * f64::from(part)).sum()
    }

    /// The first and the last slice of a plane.
    fn slices(&self, plane: usize) -> [usize; 2] {
        let all = || self.parts(plane).into_iter().map(|(place, _)| self.list[place]);
        [all().min().unwrap_or_default(), all().max().unwrap_or_default()]
    }

    /// How many slices these planes are made of.
    pub(super) fn covered(&self, planes: &[usize]) -> usize {
        let places = planes.iter().flat_map(|plane| self.parts(*plane)).map(|(place, _)| place);
        places.collect::<BTreeSet<_>>().len()
    }
}

/// Where planes lie in their study.
pub(super) struct Placing {
    pub(super) planes: Planes,
    /// Of each slice of the study, where it lies in millimetres; empty if it is not known.
    pub(super) slices_mm: Vec<f64>,
    /// Of each slice of the study, the name of its file; empty if a slice is not in one, or all are in the same.
    pub(super) parts: Vec<String>,
    /// Distances of planes, and of rows and columns of a frame, in millimetres.
    pub(super) spacing_mm: Option<[f64; 3]>,
    pub(super) view: Arc<VolumeView>,
}

impl Placing {
    /// Where a plane lies, and the values that became black and white in it.
    pub(super) fn provenance(&self, plane: usize, window: Option<[f64; 2]>) -> Provenance {
        let nearest = self.planes.nearest(plane);
        let slices = self.planes.slices(plane);
        let place = |place: usize| self.slices_mm.get(self.planes.list[place]).copied().unwrap_or_default();
        Provenance {
            modality: Modality::Volume,
            index: Some(nearest),
            window,
            slices: (slices != [nearest; 2]).then_some(slices),
            position_mm: (!self.slices_mm.is_empty()).then(|| self.planes.middle(plane, place)),
            spacing_mm: self.spacing_mm,
            view: Some(self.view.clone()),
            part: self.parts.get(nearest).cloned(),
            ..Provenance::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_many_slices_are_made_of_two_each() {
        let planes = Planes::new((0..320).collect(), 32, Slab::None);
        let frames = [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 31];
        assert_eq!(planes.covered(&frames), 22);
        assert_eq!((planes.slices(0), planes.nearest(0)), ([4, 5], 5));
        let slabs = Planes::new((0..320).collect(), 32, Slab::Mean);
        assert_eq!((slabs.covered(&frames), slabs.slices(31)), (110, [310, 319]));
    }

    #[test]
    fn planes_turned_over_keep_the_numbers_of_their_slices() {
        let planes = Planes::new((2..6).rev().collect(), 4, Slab::None);
        assert_eq!((0..4).map(|plane| planes.nearest(plane)).collect::<Vec<_>>(), [5, 4, 3, 2]);
        let two = Planes::new(vec![7, 8], 32, Slab::None);
        assert_eq!((two.slices(0), two.slices(16), two.slices(31)), ([7, 7], [7, 8], [8, 8]));
    }
}
