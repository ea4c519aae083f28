//! Numbers in memory: their type and bits, what makes values of them, and how a volume of them lies in the patient.

use std::sync::Arc;

use crate::error::{Error, Result};

/// Declares the types of numbers in memory, each with what it is.
macro_rules! voxels {
    ($($(#[$about:meta])* $case:ident($type:ty),)*) => {
        /// Numbers in memory: of a volume slice by slice, each row by row.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub enum Voxels {
            $($(#[$about])* $case(Arc<[$type]>),)*
        }

        impl Voxels {
            /// How many there are.
            pub(crate) fn len(&self) -> usize {
                match self {
                    $(Voxels::$case(values) => values.len(),)*
                }
            }
        }
    };
}

voxels! {
    /// 8 bits with a sign.
    I8(i8),
    /// 8 bits without a sign.
    U8(u8),
    /// 16 bits with a sign, as of most CT.
    I16(i16),
    /// 16 bits without a sign, as of most MR and radiographs.
    U16(u16),
    /// 32 bits with a sign.
    I32(i32),
    /// 32 bits without a sign.
    U32(u32),
    /// 64 bits with a sign.
    I64(i64),
    /// 64 bits without a sign.
    U64(u64),
    /// Single precision.
    F32(f32),
    /// Double precision.
    F64(f64),
}

/// A number that needs more bits than are said to count.
fn too_wide<T: Copy + Into<i128>>(numbers: &[T], [least, most]: [i128; 2]) -> Option<i128> {
    let is_within = |number: &T| (least..=most).contains(&(*number).into());
    numbers.iter().find(|number| !is_within(number)).map(|number| (*number).into())
}

impl Voxels {
    /// Bits of a number, and whether it is an integer with a sign, without one, or floating-point.
    pub(crate) fn form(&self) -> (u32, NumberForm) {
        match self {
            Voxels::I8(_) => (8, NumberForm::Signed),
            Voxels::U8(_) => (8, NumberForm::Unsigned),
            Voxels::I16(_) => (16, NumberForm::Signed),
            Voxels::U16(_) => (16, NumberForm::Unsigned),
            Voxels::I32(_) => (32, NumberForm::Signed),
            Voxels::U32(_) => (32, NumberForm::Unsigned),
            Voxels::I64(_) => (64, NumberForm::Signed),
            Voxels::U64(_) => (64, NumberForm::Unsigned),
            Voxels::F32(_) => (32, NumberForm::Real),
            Voxels::F64(_) => (64, NumberForm::Real),
        }
    }

    /// Refuses numbers that take more bits than are said to count.
    ///
    /// # Errors
    /// [`Error::Input`] naming bits or the number.
    pub(super) fn check_bits(&self, name: &str, bits: Option<u32>) -> Result<()> {
        let Some(bits) = bits else { return Ok(()) };
        let (all, form) = self.form();
        if form == NumberForm::Real || !(1..=all).contains(&bits) {
            let wanted = match form {
                NumberForm::Real => "none, of floating-point numbers".into(),
                _ => format!("1 to {all}"),
            };
            return Err(
                Error::input(format!("{name}: bits"), wanted, bits).hint("correct it, or leave it out")
            );
        }
        let range = match form {
            NumberForm::Signed => [-(1_i128 << (bits - 1)), (1 << (bits - 1)) - 1],
            _ => [0, (1_i128 << bits) - 1],
        };
        let found = match self {
            _ if bits == all => None,
            Voxels::I8(numbers) => too_wide(numbers, range),
            Voxels::U8(numbers) => too_wide(numbers, range),
            Voxels::I16(numbers) => too_wide(numbers, range),
            Voxels::U16(numbers) => too_wide(numbers, range),
            Voxels::I32(numbers) => too_wide(numbers, range),
            Voxels::U32(numbers) => too_wide(numbers, range),
            Voxels::I64(numbers) => too_wide(numbers, range),
            Voxels::U64(numbers) => too_wide(numbers, range),
            Voxels::F32(_) | Voxels::F64(_) => None,
        };
        found.map_or(Ok(()), |number| {
            let wanted = format!("numbers of {bits} bits, {} to {}", range[0], range[1]);
            Err(Error::input(format!("{name}: voxels"), wanted, number).hint("mask them, or state more bits"))
        })
    }
}

/// What kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberForm {
    /// Integers with a sign, two's complement.
    Signed,
    Unsigned,
    /// Floating-point.
    Real,
}

/// From stored numbers to values, such as Hounsfield units: times the slope, plus the intercept, in double precision.
///
/// ```
/// assert_eq!(fleming::Rescale::default(), fleming::Rescale { slope: 1.0, intercept: 0.0 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rescale {
    /// What a number is multiplied by: finite, and not 0, which would make one value of all.
    pub slope: f64,
    /// What is added then: finite.
    pub intercept: f64,
}

impl Default for Rescale {
    fn default() -> Self {
        Self { slope: 1.0, intercept: 0.0 }
    }
}

impl Rescale {
    /// Whether the numbers are the values.
    pub(crate) fn is_identity(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses a slope or an intercept that makes no values.
    ///
    /// # Errors
    /// [`Error::Input`] naming it.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let refuse = |what: &str, wanted: &str, got: f64| {
            Err(Error::input(format!("{name}: {what}"), wanted, got).hint("correct it, or leave it out"))
        };
        match (self.slope, self.intercept) {
            (slope, _) if !slope.is_finite() || slope == 0.0 => {
                refuse("slope", "a finite number other than 0", slope)
            }
            (_, intercept) if !intercept.is_finite() => refuse("intercept", "a finite number", intercept),
            _ => Ok(()),
        }
    }
}

/// What the values of a volume are. It decides which range of them is looked at where no window is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum VolumeKind {
    /// Not known: a CT if the values look like one.
    #[default]
    Unknown,
    /// CT, in Hounsfield units.
    Ct,
    /// MR.
    Mr,
    /// PET.
    Pet,
    /// Something else.
    Other,
}

/// How a volume lies in the patient. Directions and places are DICOM's: x rises to the patient's left, y to posterior, z to
/// the head.
#[derive(Debug, Clone, PartialEq)]
pub struct PatientSpace {
    /// In which directions slices, rows and columns follow one another: unit vectors that lie in no plane together. Those of
    /// rows and of columns are the second and the first half of DICOM's ImageOrientationPatient.
    pub directions: [[f64; 3]; 3],
    /// The middle of the first voxel in millimetres.
    pub origin_mm: [f64; 3],
    /// What the values are.
    pub kind: VolumeKind,
}

/// By how much the length of a unit vector may differ from 1.
const UNIT: f64 = 1e-3;
/// The volume of the box that three unit vectors make is 1 at right angles, and 0 in one plane.
const LEAST_VOLUME: f64 = 0.05;

impl PatientSpace {
    /// Refuses directions that are none, and places that are not finite.
    ///
    /// # Errors
    /// [`Error::Input`] naming directions or origin.
    pub(super) fn check(&self, name: &str) -> Result<()> {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.directions;
        let volume = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
        let is_unit = |[x, y, z]: &[f64; 3]| ((x * x + y * y + z * z).sqrt() - 1.0).abs() <= UNIT;
        // So that NaN is refused too.
        if !(self.directions.iter().all(is_unit) && volume.abs() >= LEAST_VOLUME) {
            let (wanted, got) =
                ("three unit vectors that lie in no plane together", format!("{:?}", self.directions));
            return Err(Error::input(format!("{name}: directions"), wanted, got).hint("correct them"));
        }
        if self.origin_mm.iter().any(|place| !place.is_finite()) {
            let got = format!("{:?}", self.origin_mm);
            return Err(Error::input(format!("{name}: origin"), "a finite place", got).hint("correct it"));
        }
        Ok(())
    }
}

/// Refuses a shape without a number, or of other than so many.
///
/// # Errors
/// [`Error::Input`] naming the shape.
pub(super) fn check_shape(name: &str, shape: &[usize], count: usize) -> Result<()> {
    let promised = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
    if shape.contains(&0) {
        let least = if shape.len() == 3 {
            "at least one slice, row and column"
        } else {
            "at least one row and column"
        };
        return Err(Error::input(name, least, format!("shape {shape:?}")).hint("correct the shape"));
    }
    if promised != Some(count) {
        return Err(Error::input(name, format!("as many voxels as the shape {shape:?} has"), count)
            .hint("correct the shape, or hand in all voxels"));
    }
    Ok(())
}
