//! Volumes in memory, and windows on their values.

use std::fmt;
use std::ops::RangeInclusive;

use super::values::{PatientSpace, Rescale, Voxels, check_shape};
use crate::error::{Error, Result};

/// Millimetres from one voxel to the next that a scanner of anything can have; beyond is a slip or another unit.
const SPACING: RangeInclusive<f64> = 1e-6..=1e6;

/// How a window makes grey of a value `x`; centre `c` and width `w` are in the numbers of the volume. The names and formulas
/// are DICOM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WindowFunction {
    /// `((x - (c - 0.5)) / (w - 1) + 0.5) * 255`, cut off at 0 and 255; a width of 1 is a threshold. PS3.3 C.11.2.1.2.1,
    /// and what a DICOM file means that names no function.
    Linear,
    /// `((x - c) / w + 0.5) * 255`, cut off at 0 and 255. PS3.3 C.11.2.1.3.2.
    LinearExact,
    /// `255 / (1 + exp(-4 * (x - c) / w))`. PS3.3 C.11.2.1.3.1.
    Sigmoid,
}

/// Which values of a volume become 0..255, and how. Grey is cut to a whole number, not rounded, as the reference script
/// does it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The value in the middle, in the numbers of the volume.
    pub center: f64,
    /// The width in the numbers of the volume: above 0, of a linear window at least 1.
    pub width: f64,
    /// What is made of the values.
    pub function: WindowFunction,
}

impl Window {
    /// From `center - 0.5 - (width - 1) / 2` to `center - 0.5 + (width - 1) / 2`: DICOM's default.
    pub fn linear(center: f64, width: f64) -> Self {
        Self { center, width, function: WindowFunction::Linear }
    }

    /// From `center - width / 2` to `center + width / 2`: what most programs outside DICOM mean by a window.
    pub fn linear_exact(center: f64, width: f64) -> Self {
        Self { center, width, function: WindowFunction::LinearExact }
    }

    /// An S-shaped curve as steep in the middle as [`Window::linear_exact`].
    pub fn sigmoid(center: f64, width: f64) -> Self {
        Self { center, width, function: WindowFunction::Sigmoid }
    }

    /// Whether the numbers make a window.
    pub(crate) fn is_sound(&self) -> bool {
        let least = match self.function {
            WindowFunction::Linear => self.width >= 1.0,
            WindowFunction::LinearExact | WindowFunction::Sigmoid => self.width > 0.0,
        };
        self.center.is_finite() && self.width.is_finite() && least
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "centre {} and width {}", self.center, self.width)
    }
}

/// A volume that the caller already has. One that does not say how the patient lies is looked at like a NumPy array; one that
/// does ([`RawVolume::space`]), like a DICOM series or a NIfTI volume.
///
/// ```
/// use fleming::{Look, RawVolume, Rescale, StudyInput, Voxels, Window};
///
/// let volume = RawVolume::new("CT of the chest", [4, 2, 2], Voxels::I16(vec![24; 16].into()))
///     .spacing_mm([5.0, 0.7, 0.7])
///     .rescale(Rescale { slope: 1.0, intercept: -1024.0 });
/// let lung = Look::default().slices(3).window(Window::linear_exact(-600.0, 1500.0));
/// let study = StudyInput::raw(volume).look(lung);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RawVolume {
    /// The name used in messages and in [`FrameUsed::source`](crate::FrameUsed::source).
    pub source: String,
    /// The lengths of the three axes; slices, rows, columns unless [`Look::axis`](crate::Look::axis) says otherwise.
    pub shape: [usize; 3],
    /// As many as `shape` says, the last axis fastest.
    pub voxels: Voxels,
    /// Distances of neighbours along each axis in millimetres, where known. They change no pixel unless `space` is there; the
    /// reply has them with each slice.
    pub spacing_mm: Option<[f64; 3]>,
    /// What makes values of the voxels. Windows are in these values.
    pub rescale: Rescale,
    /// How many bits of an integer count, such as 12 of 16; all if absent. A voxel that takes more is refused.
    pub bits: Option<u32>,
    /// How it lies in the patient, where that is known.
    pub space: Option<PatientSpace>,
}

impl RawVolume {
    /// Numbers of this shape, the last axis fastest.
    pub fn new(source: impl Into<String>, shape: [usize; 3], voxels: Voxels) -> Self {
        let rescale = Rescale::default();
        Self { source: source.into(), shape, voxels, spacing_mm: None, rescale, bits: None, space: None }
    }

    /// The same with these distances.
    pub fn spacing_mm(self, spacing_mm: [f64; 3]) -> Self {
        Self { spacing_mm: Some(spacing_mm), ..self }
    }

    /// The same with values made like this.
    pub fn rescale(self, rescale: Rescale) -> Self {
        Self { rescale, ..self }
    }

    /// The same with numbers of so many bits.
    pub fn bits(self, bits: u32) -> Self {
        Self { bits: Some(bits), ..self }
    }

    /// The same, lying in the patient like this.
    pub fn space(self, space: PatientSpace) -> Self {
        Self { space: Some(space), ..self }
    }

    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// [`Error::Input`] naming shape, spacing, slope, intercept, bits, voxels, directions or origin.
    pub(crate) fn check(&self) -> Result<()> {
        let name = &self.source;
        check_shape(name, &self.shape, self.voxels.len())?;
        let wrong = |distance: &f64| !SPACING.contains(distance);
        if let Some(spacing) = self.spacing_mm.filter(|spacing| spacing.iter().any(wrong)) {
            return Err(Error::input(
                format!("{name}: spacing"),
                format!("{} to {} mm", SPACING.start(), SPACING.end()),
                format!("{spacing:?}"),
            )
            .hint("correct it, or leave it out"));
        }
        self.rescale.check(name)?;
        self.voxels.check_bits(name, self.bits)?;
        self.space.as_ref().map_or(Ok(()), |space| space.check(name))
    }
}
