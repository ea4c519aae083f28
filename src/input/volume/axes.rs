//! How a stored volume is turned so that its pictures stand upright, the patient's right on their left: flips and
//! transpositions to the nearest axes of the patient, never a resampling.

use super::space::{Placement, Space, UsualPlane, cross, dot};
use crate::error::{Error, Result};
use crate::view::Plane;

/// For slices, rows and columns of the pictures, which stored axis they run along and whether against it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axes {
    pub(super) plane: Option<Plane>,
    /// Why this plane, in words.
    why: &'static str,
    /// 0, 1 or 2 for stored slices, rows and columns.
    pub(super) stored: [usize; 3],
    pub(super) against: [bool; 3],
}

/// Beyond this angle between a volume's axes and the patient's it is said.
const OBLIQUE_DEGREES: f64 = 0.5;
const PLANES: [Plane; 3] = [Plane::Axial, Plane::Coronal, Plane::Sagittal];

/// The directions of slices, rows and columns of a plane: an axis of the patient (left, posterior, head), and whether they
/// run against it.
const fn directions(plane: Plane) -> [(usize, bool); 3] {
    match plane {
        Plane::Axial => [(2, false), (1, false), (0, false)],
        Plane::Coronal => [(1, false), (2, true), (0, false)],
        Plane::Sagittal => [(0, false), (2, true), (1, false)],
    }
}

impl Axes {
    /// The axes of a plane, or of the usual one.
    ///
    /// # Errors
    /// [`Error::Request`] if a plane is asked of a volume that does not say how the patient lies.
    pub(super) fn new(space: &Space, wanted: Option<Plane>) -> Result<Self> {
        let Some(placement) = &space.placement else {
            return match wanted {
                None => Ok(Self {
                    plane: None,
                    why: "the study does not say how the patient lies",
                    stored: [0, 1, 2],
                    against: [false; 3],
                }),
                Some(plane) => Err(Error::request(
                    format!("{}: plane", space.name),
                    "a volume that says how the patient lies",
                    format!("{}, of one that does not", plane.name()),
                )
                .hint("leave plane out")),
            };
        };
        let nearest = nearest(placement);
        let across =
            |stored: usize| PLANES.into_iter().find(|plane| directions(*plane)[0].0 == nearest[stored].0);
        let (usual, why) = match (space.usual_plane, thickest(space.spacing_mm)) {
            (UsualPlane::Stored, _) => (across(0), "as acquired"),
            (_, Some(axis)) => (across(axis), "across the largest spacing"),
            _ => (Some(Plane::Axial), "no spacing is twice the others"),
        };
        let why = if wanted.is_some() { "as asked for" } else { why };
        let plane = wanted.or(usual).unwrap_or(Plane::Axial);
        let (mut stored, mut against) = ([0, 1, 2], [false; 3]);
        for (place, (patient, down)) in directions(plane).into_iter().enumerate() {
            let along = nearest.iter().position(|(axis, _)| *axis == patient).unwrap_or(place);
            (stored[place], against[place]) = (along, nearest[along].1 != down);
        }
        Ok(Self { plane: Some(plane), why, stored, against })
    }

    /// The plane and why it is looked at.
    pub(super) fn words(&self) -> String {
        format!("{}, {}", self.plane.map_or("not known", Plane::name), self.why)
    }

    /// Lengths of slices, rows and columns.
    pub(super) fn shape(&self, space: &Space) -> [usize; 3] {
        self.stored.map(|axis| space.shape[axis])
    }

    /// Distances of slices, rows and columns in millimetres.
    pub(super) fn spacing_mm(&self, space: &Space) -> Option<[f64; 3]> {
        space.spacing_mm.map(|spacing| self.stored.map(|axis| spacing[axis]))
    }

    /// The stored index of slice, row or column number `index` (axis 0, 1 or 2).
    pub(super) fn stored_index(&self, space: &Space, axis: usize, index: usize) -> usize {
        match self.against[axis] {
            true => space.shape[self.stored[axis]] - 1 - index,
            false => index,
        }
    }

    /// The file that each slice is in; empty if slices are not in one each.
    pub(super) fn parts(&self, space: &Space) -> Vec<String> {
        let whole = self.stored[0] == 0 && !space.parts.is_empty();
        let slices = if whole { 0..space.shape[0] } else { 0..0 };
        let part = |slice| space.parts.get(self.stored_index(space, 0, slice)).cloned();
        slices.map_while(part).collect()
    }

    /// Where each slice lies along the patient, in millimetres, rising; empty if it is not known.
    pub(super) fn slices_mm(&self, space: &Space) -> Vec<f64> {
        let (Some(placement), axis) = (&space.placement, self.stored[0]) else { return Vec::new() };
        let spacing = match (axis, space.spacing_mm) {
            (0, _) if placement.slices_mm.is_empty() => return Vec::new(),
            (0, _) => 0.0,
            (_, Some(spacing)) => spacing[axis],
            _ => return Vec::new(),
        };
        let sign = if self.against[0] { -1.0 } else { 1.0 };
        let place = |index| sign * placement.place(axis, self.stored_index(space, 0, index), spacing);
        (0..space.shape[axis]).map(place).collect()
    }
}

/// What is to say of a volume whose axes are not the patient's.
pub(super) fn oblique(placement: &Placement) -> Option<String> {
    let [_, rows, columns] = placement.directions;
    // Of a sheared volume, the plane of the slices counts.
    let normal = cross(columns, rows);
    let length = dot(normal, normal).sqrt();
    let down = cross(normal, columns).map(|part| part / length);
    let angle = |direction: [f64; 3]| {
        let most = direction.into_iter().map(f64::abs).fold(0.0, f64::max);
        most.min(1.0).acos().to_degrees()
    };
    let degrees =
        [columns, down, normal.map(|part| part / length)].map(angle).into_iter().fold(0.0, f64::max);
    (degrees > OBLIQUE_DEGREES).then(|| {
        format!("the volume is oblique by {degrees:.1} degrees: its slices are shown as they are, by their nearest plane")
    })
}

/// For each stored axis the axis of the patient that it is nearest to, and whether it runs against it. The clearest is
/// assigned first, and no axis of the patient twice.
fn nearest(placement: &Placement) -> [(usize, bool); 3] {
    let mut found = [None; 3];
    let mut free = [true; 3];
    for _ in 0..3 {
        let open = (0..3).filter(|stored| found[*stored].is_none());
        let pairs = open.flat_map(|stored| (0..3).map(move |patient| (stored, patient)));
        let size = |(stored, patient): &(usize, usize)| placement.directions[*stored][*patient].abs();
        let best = pairs.filter(|(_, patient)| free[*patient]).max_by(|a, b| size(a).total_cmp(&size(b)));
        if let Some((stored, patient)) = best {
            found[stored] = Some((patient, placement.directions[stored][patient] < 0.0));
            free[patient] = false;
        }
    }
    found.map(Option::unwrap_or_default)
}

/// The stored axis whose spacing is at least twice that of any other.
fn thickest(spacing: Option<[f64; 3]>) -> Option<usize> {
    let spacing = spacing?;
    (0..3).find(|axis| (0..3).all(|other| other == *axis || spacing[*axis] >= 2.0 * spacing[other]))
}

#[cfg(test)]
mod tests {
    use super::super::space::Kind;
    use super::*;

    fn space(directions: [[f64; 3]; 3], spacing: [f64; 3]) -> Space {
        Space {
            name: "ct".into(),
            shape: [3, 4, 5],
            placement: Some(Placement {
                directions,
                origin: [7.0, 8.0, 9.0],
                slices_mm: vec![9.0, 11.0, 13.0],
            }),
            spacing_mm: Some(spacing),
            kind: Kind::Ct,
            usual_plane: UsualPlane::Stored,
            windows: Vec::new(),
            display: None,
            padding: None,
            parts: Vec::new(),
            colour: false,
            notes: Vec::new(),
        }
    }

    const L: [f64; 3] = [1.0, 0.0, 0.0];
    const P: [f64; 3] = [0.0, 1.0, 0.0];
    const S: [f64; 3] = [0.0, 0.0, 1.0];

    fn back(direction: [f64; 3]) -> [f64; 3] {
        direction.map(|part| -part)
    }

    #[test]
    fn every_way_to_store_a_volume_is_turned_to_the_same_pictures() {
        // As a scanner stores them: axial, feet-first prone, coronal, sagittal.
        for (directions, plane, stored, against) in [
            ([S, P, L], Plane::Axial, [0, 1, 2], [false; 3]),
            ([S, back(P), back(L)], Plane::Axial, [0, 1, 2], [false, true, true]),
            ([back(S), back(P), L], Plane::Axial, [0, 1, 2], [true, true, false]),
            ([P, back(S), L], Plane::Coronal, [0, 1, 2], [false; 3]),
            ([L, back(S), P], Plane::Sagittal, [0, 1, 2], [false; 3]),
        ] {
            let axes = Axes::new(&space(directions, [1.0; 3]), None).unwrap();
            assert_eq!(
                (axes.plane, axes.stored, axes.against),
                (Some(plane), stored, against),
                "{directions:?}"
            );
        }
        let coronal = Axes::new(&space([S, P, L], [1.0; 3]), Some(Plane::Coronal)).unwrap();
        assert_eq!((coronal.stored, coronal.against), ([1, 0, 2], [false, true, false]));
        let sagittal = Axes::new(&space([S, P, back(L)], [1.0; 3]), Some(Plane::Sagittal)).unwrap();
        assert_eq!((sagittal.stored, sagittal.against), ([2, 0, 1], [true, true, false]));
    }

    #[test]
    fn the_thick_axis_counts_the_slices_or_the_plane_is_axial() {
        let usual = |spacing| {
            let volume = Space { usual_plane: UsualPlane::Thickest, ..space([S, P, L], spacing) };
            Axes::new(&volume, None).unwrap().plane.unwrap()
        };
        assert_eq!(usual([1.0, 1.0, 1.0]), Plane::Axial);
        assert_eq!(usual([1.0, 5.0, 1.0]), Plane::Coronal);
        assert_eq!(usual([0.7, 0.7, 1.4]), Plane::Sagittal);
        assert_eq!(usual([1.0, 1.9, 1.0]), Plane::Axial);
    }

    #[test]
    fn places_rise_along_the_patient() {
        let axes = |plane| Axes::new(&space([S, P, back(L)], [2.0, 0.5, 0.25]), Some(plane)).unwrap();
        let volume = space([S, P, back(L)], [2.0, 0.5, 0.25]);
        assert_eq!(axes(Plane::Axial).slices_mm(&volume), [9.0, 11.0, 13.0]);
        assert_eq!(axes(Plane::Coronal).slices_mm(&volume), [8.0, 8.5, 9.0, 9.5]);
        // Columns run to the right from 7 mm left.
        assert_eq!(axes(Plane::Sagittal).slices_mm(&volume), [6.0, 6.25, 6.5, 6.75, 7.0]);
    }

    #[test]
    fn a_volume_that_does_not_say_how_the_patient_lies_has_no_plane() {
        let volume = Space { placement: None, ..space([S, P, L], [1.0; 3]) };
        assert_eq!(Axes::new(&volume, None).unwrap().plane, None);
        let error = Axes::new(&volume, Some(Plane::Coronal)).unwrap_err();
        assert_eq!(error.facts().thing, "ct: plane");
    }

    #[test]
    fn an_oblique_volume_is_named_and_a_sheared_one_is_not() {
        let (sin, cos) = 20_f64.to_radians().sin_cos();
        let turned = space([[0.0, -sin, cos], [0.0, cos, sin], L], [1.0; 3]);
        let note = oblique(turned.placement.as_ref().unwrap()).unwrap();
        assert!(note.contains("20.0 degrees"), "{note}");
        for directions in [[S, P, L], [[0.0, -sin, cos], P, L]] {
            assert_eq!(oblique(space(directions, [1.0; 3]).placement.as_ref().unwrap()), None);
        }
    }
}
