//! A study that people leaf through: every frame or slice, as it is.

use std::borrow::Cow;

use super::look::{Every, Look};
use crate::error::{Error, Result};
use crate::view::VolumeForm;

impl Look {
    /// The same study, leafed through: what else chooses or joins frames is left out, and a volume is as it is.
    pub(crate) fn leafing(&self, every: Every) -> Self {
        let Self { window, axis, plane, time, series, echo, shared, .. } = self.clone();
        let every = Some(every);
        Self { window, axis, plane, time, series, echo, shared, every, ..Self::default() }
    }

    /// The first and the last place that are leafed through, of a study of so many frames or slices; none if it is not.
    ///
    /// # Errors
    /// [`Error::Request`] if it has not even the first.
    pub(crate) fn every_of(&self, name: &str, count: usize) -> Result<Option<[usize; 2]>> {
        let Some(Every { places: [first, last], .. }) = self.every else { return Ok(None) };
        match first < count {
            true => Ok(Some([first, last.min(count - 1)])),
            false => {
                let thing = if name.is_empty() { "index".into() } else { format!("{name}: index") };
                let wanted = format!("0 to {}", count.saturating_sub(1));
                Err(Error::request(thing, wanted, first).hint("choose one of these"))
            }
        }
    }

    /// The same in the words of a volume of so many slices: which slices, as they are.
    ///
    /// # Errors
    /// As [`Look::every_of`].
    pub(crate) fn of_volume(&self, name: &str, count: usize) -> Result<Cow<'_, Self>> {
        Ok(match self.every_of(name, count)? {
            None => Cow::Borrowed(self),
            Some([first, last]) => {
                let (form, slices) = (Some(VolumeForm::Native), Some(last - first + 1));
                Cow::Owned(Self { slices, range: Some([first, last]), form, ..self.clone() })
            }
        })
    }
}
