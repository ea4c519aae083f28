//! Volumes in memory, and windows on their values.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, Result};

/// The numbers of a volume in memory: slice by slice, each row by row.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Voxels {
    /// 8 bits with a sign.
    I8(Arc<[i8]>),
    /// 8 bits without a sign.
    U8(Arc<[u8]>),
    /// 16 bits with a sign, as of most CT.
    I16(Arc<[i16]>),
    /// 16 bits without a sign, as of most MR.
    U16(Arc<[u16]>),
    /// 32 bits with a sign.
    I32(Arc<[i32]>),
    /// 32 bits without a sign.
    U32(Arc<[u32]>),
    /// 64 bits with a sign.
    I64(Arc<[i64]>),
    /// 64 bits without a sign.
    U64(Arc<[u64]>),
    /// Single precision.
    F32(Arc<[f32]>),
    /// Double precision.
    F64(Arc<[f64]>),
}

impl Voxels {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Voxels::I8(values) => values.len(),
            Voxels::U8(values) => values.len(),
            Voxels::I16(values) => values.len(),
            Voxels::U16(values) => values.len(),
            Voxels::I32(values) => values.len(),
            Voxels::U32(values) => values.len(),
            Voxels::I64(values) => values.len(),
            Voxels::U64(values) => values.len(),
            Voxels::F32(values) => values.len(),
            Voxels::F64(values) => values.len(),
        }
    }
}

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

/// A volume that the caller already has.
///
/// ```
/// use fleming::{Look, RawVolume, StudyInput, Voxels, Window};
///
/// let volume = RawVolume {
///     source: "CT of the chest".into(),
///     shape: [4, 2, 2],
///     voxels: Voxels::I16(vec![-1000; 16].into()),
///     spacing_mm: Some([5.0, 0.7, 0.7]),
/// };
/// let lung = Look::default().slices(3).window(Window::linear_exact(-600.0, 1500.0));
/// let study = StudyInput::raw(volume).look(lung);
/// ```
#[derive(Debug, Clone)]
pub struct RawVolume {
    /// The name used in messages and in [`FrameUsed::source`](crate::FrameUsed::source).
    pub source: String,
    /// The lengths of the three axes; slices, rows, columns unless [`Look::axis`](crate::Look::axis) says otherwise.
    pub shape: [usize; 3],
    /// As many as `shape` says, the last axis fastest.
    pub voxels: Voxels,
    /// Distances of neighbours along each axis in millimetres, where known. They change no pixel; the reply has them with
    /// each slice.
    pub spacing_mm: Option<[f64; 3]>,
}

impl RawVolume {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// [`Error::Input`] naming shape or spacing.
    pub(crate) fn check(&self) -> Result<()> {
        let name = &self.source;
        let [depth, height, width] = self.shape;
        let promised = depth.checked_mul(height).and_then(|n| n.checked_mul(width));
        if self.shape.contains(&0) {
            return Err(Error::input(
                name,
                "at least one slice, row and column",
                format!("shape {:?}", self.shape),
            )
            .hint("correct the shape"));
        }
        if promised != Some(self.voxels.len()) {
            return Err(Error::input(
                name,
                format!("as many voxels as the shape {:?} has", self.shape),
                self.voxels.len(),
            )
            .hint("correct the shape, or hand in all voxels"));
        }
        let wrong = |distance: &f64| !(distance.is_finite() && *distance > 0.0);
        if let Some(spacing) = self.spacing_mm.filter(|spacing| spacing.iter().any(wrong)) {
            return Err(Error::input(
                format!("{name}: spacing"),
                "millimetres above 0",
                format!("{spacing:?}"),
            )
            .hint("correct it, or leave it out"));
        }
        Ok(())
    }
}
