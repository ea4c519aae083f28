//! Grey pictures in memory.

use super::values::{NumberForm, Rescale, Voxels, check_shape};
use crate::error::{Error, Result};

/// A grey picture of measured values that the caller already has: a radiograph as its detector gives it. It is shown as a DICOM
/// file of it would be: through the window that is asked for, else numbers of at most 8 bits as they are, and all others from
/// the lowest to the highest value, with a warning.
///
/// ```
/// use fleming::{Look, RawPicture, StudyInput, Voxels, Window};
///
/// let chest = RawPicture::new("chest", [2, 2], Voxels::U16(vec![0, 1000, 3000, 4095].into())).bits(12).inverse();
/// let study = StudyInput::raw_picture(chest).look(Look::default().window(Window::linear(2048.0, 4096.0)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RawPicture {
    /// The name used in messages and in [`FrameUsed::source`](crate::FrameUsed::source).
    pub source: String,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// As many as `size` says, row by row; of at most 32 bits, or floating-point.
    pub values: Voxels,
    /// What makes values of these numbers. Windows are in these values.
    pub rescale: Rescale,
    /// How many bits of an integer count, such as 12 of 16; all if absent. A number that takes more is refused.
    pub bits: Option<u32>,
    /// Whether the lowest value is white, as in DICOM's MONOCHROME1.
    pub inverse: bool,
}

impl RawPicture {
    /// Numbers of a picture of this width and height.
    pub fn new(source: impl Into<String>, size: [usize; 2], values: Voxels) -> Self {
        let rescale = Rescale::default();
        Self { source: source.into(), size, values, rescale, bits: None, inverse: false }
    }

    /// The same with values made like this.
    pub fn rescale(self, rescale: Rescale) -> Self {
        Self { rescale, ..self }
    }

    /// The same with numbers of so many bits.
    pub fn bits(self, bits: u32) -> Self {
        Self { bits: Some(bits), ..self }
    }

    /// The same with the lowest value white.
    pub fn inverse(self) -> Self {
        Self { inverse: true, ..self }
    }

    /// Refuses what contradicts itself.
    ///
    /// # Errors
    /// [`Error::Input`] naming size, type, slope, intercept, bits or values.
    pub(crate) fn check(&self) -> Result<()> {
        let name = &self.source;
        let [width, height] = self.size;
        check_shape(name, &[height, width], self.values.len())?;
        if self.size.iter().any(|side| u32::try_from(*side).is_err()) {
            let got = format!("{width}×{height}");
            return Err(Error::input(name, "sides below 2^32", got).hint("correct the size"));
        }
        match self.values.form() {
            (64, NumberForm::Signed | NumberForm::Unsigned) => Err(Error::input(
                format!("{name}: values"),
                "integers of 8 to 32 bits, or floating-point numbers",
                "64 bits",
            )
            .hint("convert them to a smaller type, or to double precision")),
            _ => Ok(()),
        }?;
        self.rescale.check(name)?;
        self.values.check_bits(name, self.bits)
    }
}
