//! From stored numbers to modality values, such as Hounsfield units (PS3.3 C.11.1).

use super::groups::Groups;
use super::layout::Sign;
use super::samples::Samples;
use super::table::Table;
use super::tag;
use crate::error::{Error, Result};

/// What makes a modality value of a stored number. Each frame has its own.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rescale {
    /// The stored number is the value.
    Identity,
    Linear {
        slope: f64,
        intercept: f64,
    },
    Table(Table),
}

impl Rescale {
    /// That of a frame. A table goes before slope and intercept.
    ///
    /// # Errors
    /// [`Error::Input`] if the slope is 0, which makes all values one, or a table is not whole.
    pub(super) fn of(name: &str, groups: Groups<'_>, sign: Sign) -> Result<Self> {
        let item = groups.group(tag::PIXEL_VALUE_TRANSFORMATION_SEQUENCE);
        if let Some(table) = item.first(tag::MODALITY_LUT_SEQUENCE) {
            return Table::read(&format!("{name}: ModalityLUTSequence"), table, sign).map(Rescale::Table);
        }
        let (slope, intercept) = (item.number(tag::RESCALE_SLOPE), item.number(tag::RESCALE_INTERCEPT));
        match (slope, intercept) {
            (Some(0.0), _) => Err(Error::input(format!("{name}: RescaleSlope"), "a number other than 0", 0)
                .hint("export the study again")),
            (None, None) | (Some(1.0), None | Some(0.0)) | (None, Some(0.0)) => Ok(Rescale::Identity),
            _ => Ok(Rescale::Linear { slope: slope.unwrap_or(1.0), intercept: intercept.unwrap_or(0.0) }),
        }
    }

    /// The modality values of a frame, in single precision.
    pub(super) fn values(&self, samples: &Samples) -> Vec<f32> {
        match self {
            Rescale::Identity => samples.map(|stored| stored as f32),
            Rescale::Linear { slope, intercept } => samples.map(|stored| (stored * slope + intercept) as f32),
            Rescale::Table(table) => samples.map(|stored| f64::from(table.at(stored)) as f32),
        }
    }

    /// The modality value of a stored number.
    pub(super) fn value(&self, stored: f64) -> f64 {
        match self {
            Rescale::Identity => stored,
            Rescale::Linear { slope, intercept } => stored * slope + intercept,
            Rescale::Table(table) => f64::from(table.at(stored)),
        }
    }
}
