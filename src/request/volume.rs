//! Volumes in memory.

use std::sync::Arc;

use crate::error::{Error, Result};

/// The numbers of a volume in memory: slice by slice, each row by row.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Voxels {
    /// 16 bits with a sign, as of most CT.
    I16(Arc<[i16]>),
    /// 16 bits without a sign, as of most MR.
    U16(Arc<[u16]>),
}

impl Voxels {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Voxels::I16(values) => values.len(),
            Voxels::U16(values) => values.len(),
        }
    }
}

/// The values that become 0..255: from `center - width / 2` to `center + width / 2`. What is beyond them becomes 0 or 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The value in the middle, in the numbers of the volume.
    pub center: f64,
    /// Distance of the values that become 0 and 255; above 0.
    pub width: f64,
}

/// A volume that the caller already has.
///
/// ```
/// use fleming::{RawVolume, StudyInput, VolumeSampling, Voxels, Window};
///
/// let volume = RawVolume {
///     source: "CT of the chest".into(),
///     shape: [4, 2, 2],
///     voxels: Voxels::I16(vec![-1000; 16].into()),
///     spacing_mm: Some([5.0, 0.7, 0.7]),
///     window: Some(Window { center: -600.0, width: 1500.0 }),
/// };
/// let study = StudyInput::Raw(volume, VolumeSampling { slices: 3 });
/// ```
#[derive(Debug, Clone)]
pub struct RawVolume {
    /// The name used in messages and in [`FrameUsed::source`](super::FrameUsed::source).
    pub source: String,
    /// Slices, rows, columns.
    pub shape: [usize; 3],
    /// As many as `shape` says.
    pub voxels: Voxels,
    /// Distances of neighbouring slices, rows and columns in millimetres, where known. They change no pixel; the reply
    /// has them with each slice.
    pub spacing_mm: Option<[f64; 3]>,
    /// What is made of the values; each slice is scaled by its own range if absent.
    pub window: Option<Window>,
}

impl RawVolume {
    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// [`Error::Input`] naming shape, spacing or window.
    pub(crate) fn check(&self) -> Result<()> {
        let name = &self.source;
        let [depth, height, width] = self.shape;
        let promised = depth.checked_mul(height).and_then(|n| n.checked_mul(width));
        let sides = [height, width];
        if self.shape.contains(&0) || sides.iter().any(|&side| u32::try_from(side).is_err()) {
            return Err(Error::input(
                name,
                "at least one slice, row and column",
                format!("shape {:?}", self.shape),
            ));
        }
        if promised != Some(self.voxels.len()) {
            return Err(Error::input(
                name,
                format!("as many voxels as the shape {:?} has", self.shape),
                self.voxels.len(),
            ));
        }
        let wrong = |distance: &f64| !(distance.is_finite() && *distance > 0.0);
        if let Some(spacing) = self.spacing_mm.filter(|spacing| spacing.iter().any(wrong)) {
            return Err(Error::input(
                format!("{name}: spacing"),
                "millimetres above 0",
                format!("{spacing:?}"),
            ));
        }
        match self.window {
            Some(window) if !window.center.is_finite() || wrong(&window.width) => Err(Error::input(
                format!("{name}: window"),
                "a finite centre and a width above 0",
                format!("{} and {}", window.center, window.width),
            )),
            _ => Ok(()),
        }
    }
}
