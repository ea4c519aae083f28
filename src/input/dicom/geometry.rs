//! Where a frame lies in the patient (PS3.3 C.7.6.2.1.1). Directions and places are LPS, in millimetres.

use super::super::volume::{cross, dot};
use super::groups::Groups;
use super::tag;
use super::value::Item;

/// Directions may be off by the rounding of their decimals.
const ROUNDING: f64 = 1e-2;

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Geometry {
    /// The direction in which columns follow one another, and that of rows; unit vectors.
    pub(super) along_row: [f64; 3],
    pub(super) along_column: [f64; 3],
    /// The middle of the first pixel.
    pub(super) position: [f64; 3],
}

/// What a frame says of where it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stated {
    Known(Geometry),
    /// Nothing, or not all of it.
    Missing,
    /// Directions that are none.
    Unlawful,
}

impl Geometry {
    /// That of a frame.
    pub(super) fn of(groups: Groups<'_>) -> Stated {
        let orientation =
            groups.group(tag::PLANE_ORIENTATION_SEQUENCE).vector::<6>(tag::IMAGE_ORIENTATION_PATIENT);
        let position = groups.group(tag::PLANE_POSITION_SEQUENCE).vector::<3>(tag::IMAGE_POSITION_PATIENT);
        let Some([a, b, c, d, e, f]) = orientation else { return Stated::Missing };
        let (row, column) = ([a, b, c], [d, e, f]);
        let [across, down] = [row, column].map(|direction| dot(direction, direction).sqrt());
        let is_unit = |length: f64| (length - 1.0).abs() < ROUNDING;
        if !is_unit(across) || !is_unit(down) || dot(row, column).abs() > ROUNDING {
            return Stated::Unlawful;
        }
        match position {
            Some(position) => Stated::Known(Self {
                along_row: row.map(|part| part / across),
                along_column: column.map(|part| part / down),
                position,
            }),
            None => Stated::Missing,
        }
    }

    /// Of the plane.
    pub(super) fn normal(&self) -> [f64; 3] {
        let normal = cross(self.along_row, self.along_column);
        let length = dot(normal, normal).sqrt();
        normal.map(|part| part / length)
    }

    /// Whether two frames lie in parallel planes and the same way round.
    pub(super) fn is_parallel(&self, other: &Self) -> bool {
        let near = |one: [f64; 3], two: [f64; 3]| dot(one, two) > 1.0 - 1e-4;
        near(self.along_row, other.along_row) && near(self.along_column, other.along_column)
    }

    /// The same plane moved along its normal.
    pub(super) fn moved(&self, distance: f64) -> Self {
        let normal = self.normal();
        let position = [0, 1, 2].map(|axis| self.position[axis] + distance * normal[axis]);
        Self { position, ..*self }
    }
}

/// Whether distances of rows and columns are stated that are none.
pub(super) fn has_unlawful_spacing(groups: Groups<'_>) -> bool {
    groups.group(tag::PIXEL_MEASURES_SEQUENCE).bytes(tag::PIXEL_SPACING).is_some()
        && spacing(groups).is_none()
}

/// Distances of rows and of columns, where they are lawful. The first is that of rows (PS3.3 10.7.1.3).
pub(super) fn spacing(groups: Groups<'_>) -> Option<[f64; 2]> {
    let measures: &Item = groups.group(tag::PIXEL_MEASURES_SEQUENCE);
    measures.vector::<2>(tag::PIXEL_SPACING).filter(|spacing| spacing.iter().all(|distance| *distance > 0.0))
}
