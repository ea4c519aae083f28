//! Where voxels lie in the patient: nifti1.h, methods 3, 2 and 1, in this order.

use super::super::volume::{Placement, cross, dot};
use super::header::AffineFields;
use crate::error::{Error, Result};

/// Where a volume lies, how far its voxels are apart, and what there is to say of it.
pub(super) struct Orientation {
    /// Slices are counted by the third axis, rows by the second, columns by the first.
    pub(super) placement: Placement,
    /// Millimetres between slices, rows and columns; none if the header has none.
    pub(super) spacing_mm: Option<[f64; 3]>,
    pub(super) notes: Vec<String>,
    /// Which form of the header it comes from.
    pub(super) from: &'static str,
}

/// Steps of the three axes and the place of the first voxel in millimetres; x rises to the right, y to anterior, z to the head.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Affine {
    steps: [[f64; 3]; 3],
    origin: [f64; 3],
}

/// Beyond this angle axes are not at right angles.
const SHEAR_DEGREES: f64 = 0.5;
/// Axes that lie in one plane but for rounding.
const FLAT: f64 = 1e-6;

impl Orientation {
    /// That of a header, for a volume of these lengths.
    ///
    /// # Errors
    /// [`Error::Input`] if the form that the header names is no orientation.
    pub(super) fn new(name: &str, fields: &AffineFields, dim: [usize; 3]) -> Result<Self> {
        let refuse = |form: &str| {
            let wanted = "three axes that do not lie in one plane";
            Error::input(format!("{name}: {form}"), wanted, "numbers that are none")
                .hint("set an orientation, with a program that knows it")
        };
        let mut notes = Vec::new();
        let sform = fields.sform().completed(dim);
        let qform = fields.qform(dim).completed(dim);
        let (affine, from) = match (fields.sform_code > 0, fields.qform_code > 0) {
            (true, second) => {
                let affine = sform.filter(Affine::is_sound).ok_or_else(|| refuse("sform"))?;
                let other = qform.filter(Affine::is_sound).filter(|_| second);
                if other.is_some_and(|other| affine.differs(&other, dim)) {
                    notes.push("sform and qform disagree: sform is used".into());
                }
                (affine, "sform")
            }
            (_, true) => (qform.filter(Affine::is_sound).ok_or_else(|| refuse("qform"))?, "qform"),
            _ => {
                notes.push(
                    "no orientation in the header: voxel axes are taken to rise to the right, to anterior and to the head; \
                     left and right may be exchanged"
                        .into(),
                );
                return Ok(fields.unoriented(dim, notes));
            }
        };
        Ok(Self { from, ..affine.orientation(dim[2], fields.millimetres, notes) })
    }
}

impl AffineFields {
    fn sform(&self) -> Affine {
        let column = |place: usize| self.srow.map(|row| row[place]);
        Affine { steps: [column(0), column(1), column(2)], origin: column(3) }
    }

    /// Of a unit quaternion of which three numbers are stored.
    fn qform(&self, dim: [usize; 3]) -> Affine {
        let [b, c, d] = self.quatern;
        let square = 1.0 - (b * b + c * c + d * d);
        let (a, scale) = match square < 1e-7 {
            true => (0.0, 1.0 / (b * b + c * c + d * d).sqrt()),
            false => (square.sqrt(), 1.0),
        };
        let [b, c, d] = [b, c, d].map(|part| part * scale);
        let columns = [
            [a * a + b * b - c * c - d * d, 2.0 * (b * c + a * d), 2.0 * (b * d - a * c)],
            [2.0 * (b * c - a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d + a * b)],
            [2.0 * (b * d + a * c), 2.0 * (c * d - a * b), a * a + d * d - b * b - c * c],
        ];
        let [qfac, ..] = self.pixdim;
        let steps = std::array::from_fn(|axis| {
            // The distance along an axis of one voxel is often left out.
            let size = self.pixdim[axis + 1].abs();
            let size = if size == 0.0 && dim[axis] == 1 { 1.0 } else { size };
            let sign = if axis == 2 && qfac < 0.0 { -1.0 } else { 1.0 };
            columns[axis].map(|part: f64| part * size * sign)
        });
        Affine { steps, origin: self.qoffset }
    }

    /// Without any form: axes along the patient's, as nifti1.h's method 1 has them.
    fn unoriented(&self, dim: [usize; 3], mut notes: Vec<String>) -> Orientation {
        let sizes: [f64; 3] = std::array::from_fn(|axis| self.pixdim[axis + 1].abs());
        let known = sizes.iter().all(|size| *size > 0.0 && size.is_finite());
        let sizes = if known { sizes } else { [1.0; 3] };
        let mut steps = [[0.0; 3]; 3];
        (0..3).for_each(|axis| steps[axis][axis] = sizes[axis]);
        if !known {
            notes.push("no distances between voxels in the header".into());
        }
        let affine = Affine { steps, origin: [0.0; 3] };
        let mut orientation = affine.orientation(dim[2], self.millimetres, notes);
        if !known {
            orientation.spacing_mm = None;
            orientation.placement.slices_mm.clear();
        }
        orientation
    }
}

impl Affine {
    /// The same with a step for an axis of one voxel that has none.
    fn completed(self, dim: [usize; 3]) -> Option<Self> {
        let mut steps = self.steps;
        for axis in 0..3 {
            if dim[axis] == 1 && length(steps[axis]) == 0.0 {
                let normal = cross(steps[(axis + 1) % 3], steps[(axis + 2) % 3]);
                let size = length(normal);
                steps[axis] = normal.map(|part| part / size);
            }
        }
        let numbers = steps.iter().flatten().chain(&self.origin);
        numbers.clone().all(|number| number.is_finite()).then_some(Self { steps, ..self })
    }

    /// Whether its axes do not lie in one plane.
    fn is_sound(&self) -> bool {
        let [a, b, c] = self.steps;
        let sizes = length(a) * length(b) * length(c);
        sizes > 0.0 && dot(cross(a, b), c).abs() > FLAT * sizes
    }

    /// Whether another puts a corner of a volume more than a voxel elsewhere.
    fn differs(&self, other: &Self, dim: [usize; 3]) -> bool {
        let voxel = self.steps.map(length).into_iter().fold(0.0, f64::max);
        (0..8).any(|corner| {
            let at = |affine: &Self| -> [f64; 3] {
                std::array::from_fn(|part| {
                    let along = (0..3).map(|axis| {
                        let end = if corner >> axis & 1 == 1 { dim[axis] - 1 } else { 0 };
                        affine.steps[axis][part] * end as f64
                    });
                    affine.origin[part] + along.sum::<f64>()
                })
            };
            let (here, there) = (at(self), at(other));
            length(std::array::from_fn(|part| here[part] - there[part])) > voxel
        })
    }

    /// In DICOM's directions, slices first.
    fn orientation(&self, slices: usize, millimetres: f64, mut notes: Vec<String>) -> Orientation {
        let lps = |[x, y, z]: [f64; 3]| [-x * millimetres, -y * millimetres, z * millimetres];
        let [columns, rows, across] = self.steps.map(lps);
        let spacing = [across, rows, columns].map(length);
        let mut directions = [across, rows, columns];
        for (direction, size) in directions.iter_mut().zip(spacing) {
            *direction = direction.map(|part| part / size);
        }
        let origin = lps(self.origin);
        let start = dot(origin, directions[0]);
        let slices_mm = (0..slices).map(|slice| start + slice as f64 * spacing[0]).collect();
        let pairs = [(0, 1), (0, 2), (1, 2)];
        let shear =
            |(a, b): (usize, usize)| dot(directions[a], directions[b]).abs().min(1.0).asin().to_degrees();
        let degrees = pairs.map(shear).into_iter().fold(0.0, f64::max);
        if degrees > SHEAR_DEGREES {
            notes.push(format!(
                "the volume is sheared by {degrees:.1} degrees: its slices are shown as they are"
            ));
        }
        let placement = Placement { directions, origin, slices_mm };
        Orientation { placement, spacing_mm: Some(spacing), notes, from: "none" }
    }
}

fn length(step: [f64; 3]) -> f64 {
    dot(step, step).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> AffineFields {
        AffineFields {
            qform_code: 0,
            sform_code: 0,
            pixdim: [1.0, 0.5, 2.0, 3.0],
            quatern: [0.0; 3],
            qoffset: [10.0, 20.0, 30.0],
            srow: [[-0.5, 0.0, 0.0, 10.0], [0.0, 2.0, 0.0, 20.0], [0.0, 0.0, 3.0, 30.0]],
            millimetres: 1.0,
        }
    }

    fn of(fields: AffineFields) -> Result<Orientation> {
        Orientation::new("brain", &fields, [40, 50, 6])
    }

    #[test]
    fn the_sform_goes_before_the_qform_and_the_qform_before_nothing() {
        // In LPS the first axis of the sform rises to the left, the second to anterior.
        let both = of(AffineFields { qform_code: 1, sform_code: 1, ..fields() }).unwrap();
        assert_eq!(both.placement.directions, [[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]);
        assert_eq!((both.placement.origin, both.spacing_mm), ([-10.0, -20.0, 30.0], Some([3.0, 2.0, 0.5])));
        assert_eq!(both.placement.slices_mm, [30.0, 33.0, 36.0, 39.0, 42.0, 45.0]);
        assert!(both.notes[0].contains("disagree"), "{:?}", both.notes);
        let qform = of(AffineFields { qform_code: 1, ..fields() }).unwrap();
        assert_eq!(qform.placement.directions[2], [-1.0, 0.0, 0.0]);
        assert_eq!((qform.placement.origin, qform.notes.len()), ([-10.0, -20.0, 30.0], 0));
        let neither = of(fields()).unwrap();
        assert_eq!((neither.placement.directions[2], neither.placement.origin[0]), ([-1.0, 0.0, 0.0], 0.0));
        assert!(neither.notes[0].contains("exchanged"), "{:?}", neither.notes);
    }

    #[test]
    fn a_quaternion_turns_and_its_factor_turns_over() {
        // A half turn about the axis to the head, then the third axis turned over.
        let turned = AffineFields {
            qform_code: 1,
            quatern: [0.0, 0.0, 1.0],
            pixdim: [-1.0, 0.5, 2.0, 3.0],
            ..fields()
        };
        let directions = of(turned).unwrap().placement.directions;
        assert_eq!(directions, [[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]);
    }

    #[test]
    fn what_is_no_orientation_is_named_by_its_form() {
        let flat = AffineFields { sform_code: 1, srow: [[0.0; 4]; 3], ..fields() };
        assert_eq!(of(flat).err().unwrap().facts().thing, "brain: sform");
        let nan = AffineFields { qform_code: 1, quatern: [f64::NAN; 3], ..fields() };
        assert_eq!(of(nan).err().unwrap().facts().thing, "brain: qform");
        let none = of(AffineFields { pixdim: [0.0; 4], ..fields() }).unwrap();
        assert_eq!((none.spacing_mm, none.placement.slices_mm.len(), none.notes.len()), (None, 0, 2));
    }

    #[test]
    fn units_become_millimetres_and_one_slice_needs_no_step() {
        let metres = AffineFields { sform_code: 1, millimetres: 1e3, ..fields() };
        assert_eq!(of(metres).unwrap().spacing_mm, Some([3000.0, 2000.0, 500.0]));
        let srow = [[-0.5, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 7.0]];
        let one = AffineFields { sform_code: 1, srow, ..fields() };
        assert!(
            Orientation::new("brain", &one, [4, 5, 1]).is_ok()
                && Orientation::new("brain", &one, [4, 5, 2]).is_err()
        );
    }

    #[test]
    fn a_sheared_volume_is_named() {
        let mut sheared = AffineFields { sform_code: 1, ..fields() };
        sheared.srow[1][2] = 0.9;
        let notes = of(sheared).unwrap().notes;
        assert!(notes[0].contains("sheared by 16.7 degrees"), "{notes:?}");
    }
}
