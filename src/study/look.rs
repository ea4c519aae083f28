//! Which part of a study is looked at, and how its values become grey.

use std::borrow::Cow;

use super::windowing::Windowing;
use crate::error::{Error, Result};
use crate::limits;
use crate::view::{Crop, Plane, Slab, VolumeForm};

/// Most frames or slices of one study.
pub(crate) const MOST_FRAMES: usize = limits::FRAMES.most as usize;

/// How many frames of a clip are looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FrameCount {
    /// One frame for each second of the chosen part, at least one and at most `max_frames`.
    PerSecond {
        /// The cap, 1 to 4096.
        max_frames: usize,
    },
    /// One frame for each whole second of a duration that the caller states, 1 to 4096.
    Seconds(f64),
    /// Exactly this many, 1 to 4096.
    Exactly(usize),
}

/// What of a study is looked at. What is left out is as in the reference script; what does not fit the kind of study that
/// a file turns out to be is an error that names it.
///
/// ```
/// use fleming::{Look, Window};
///
/// let lung = Look::default().slices(16).range([40, 120]).window(Window::linear_exact(-600.0, 1500.0));
/// assert_eq!(lung.slices, Some(16));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Look {
    /// Videos: how many frames. One for each second and at most 32 if absent.
    pub frames: Option<FrameCount>,
    /// Videos: start of the part to look at, in seconds; the clip's start if absent.
    pub start: Option<f64>,
    /// Videos: end of the part to look at, in seconds; the clip's end if absent.
    pub end: Option<f64>,
    /// Volumes: how many slices, 1 to 4096, evenly spaced from the first to the last. 11 if absent.
    pub slices: Option<usize>,
    /// Volumes: how values become grey. Each slice from its own range if absent.
    pub window: Option<Windowing>,
    /// Volumes: which axis of the array counts the slices, 0 to 2; the other two are rows and columns in their order. The
    /// first if absent.
    pub axis: Option<usize>,
    /// Volumes: the first and the last slice to choose from, counted from 0. All if absent.
    pub range: Option<[usize; 2]>,
    /// Volumes in patient space: the form. [`VolumeForm::Trained`] if absent, and for one slice [`VolumeForm::Native`].
    pub form: Option<VolumeForm>,
    /// Volumes in patient space: the plane. The one that was acquired if absent.
    pub plane: Option<Plane>,
    /// Volumes in patient space: slices to choose from by their places in millimetres, from the first to the last. Excludes
    /// `range`.
    pub range_mm: Option<[f64; 2]>,
    /// Volumes in patient space: what becomes of slices between two frames. [`Slab::None`] if absent.
    pub slab: Option<Slab>,
    /// Volumes in the form [`VolumeForm::Trained`]: what is cut off. [`Crop::Foreground`] if absent.
    pub crop: Option<Crop>,
    /// Volumes: whether they are looked at from the last slice to the first.
    pub reverse: bool,
    /// Volumes of several points in time: which of them, counted from 0. The first if absent.
    pub time: Option<usize>,
    /// DICOM: the series, by its number or its SeriesInstanceUID. The largest if absent.
    pub series: Option<String>,
    /// Volumes of several echoes: which of them, counted from 1. The first if absent.
    pub echo: Option<usize>,
    /// Whether these options were given for several studies: what does not fit this one is meant for another, and no error.
    pub shared: bool,
    /// For people who leaf through a study.
    pub(crate) every: Option<Every>,
}

/// Every frame or slice from the first to the last of these places, as far as there are so many, each as it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Every {
    pub(crate) places: [usize; 2],
    /// Volumes: the values that become black and white, where they were found of all values before.
    pub(crate) ends: Option<[f64; 2]>,
}

impl Look {
    /// Videos: frames of a clip for which nothing else is asked.
    pub const FRAMES: FrameCount = FrameCount::PerSecond { max_frames: 32 };
    /// Volumes: slices of a volume for which nothing else is asked.
    pub const SLICES: usize = 11;

    /// The same with this many frames of a clip.
    pub fn frames(self, count: FrameCount) -> Self {
        Self { frames: Some(count), ..self }
    }

    /// The same from this second of a clip on.
    pub fn start(self, seconds: f64) -> Self {
        Self { start: Some(seconds), ..self }
    }

    /// The same up to this second of a clip.
    pub fn end(self, seconds: f64) -> Self {
        Self { end: Some(seconds), ..self }
    }

    /// The same with this many slices of a volume.
    pub fn slices(self, slices: usize) -> Self {
        Self { slices: Some(slices), ..self }
    }

    /// The same with the values of a volume in this window.
    pub fn window(self, window: impl Into<Windowing>) -> Self {
        Self { window: Some(window.into()), ..self }
    }

    /// The same with the slices of a volume along this axis, 0 to 2.
    pub fn axis(self, axis: usize) -> Self {
        Self { axis: Some(axis), ..self }
    }

    /// The same with the slices chosen from the first to the last of these, counted from 0.
    pub fn range(self, [first, last]: [usize; 2]) -> Self {
        Self { range: Some([first, last]), ..self }
    }

    /// The same with a volume in this form.
    pub fn form(self, form: VolumeForm) -> Self {
        Self { form: Some(form), ..self }
    }

    /// The same in this plane through the patient.
    pub fn plane(self, plane: Plane) -> Self {
        Self { plane: Some(plane), ..self }
    }

    /// The same with the slices chosen from between these places in millimetres.
    pub fn range_mm(self, [first, last]: [f64; 2]) -> Self {
        Self { range_mm: Some([first, last]), ..self }
    }

    /// The same with slices between two frames used like this.
    pub fn slab(self, slab: Slab) -> Self {
        Self { slab: Some(slab), ..self }
    }

    /// The same with this cut off.
    pub fn crop(self, crop: Crop) -> Self {
        Self { crop: Some(crop), ..self }
    }

    /// The same from the last slice to the first.
    pub fn reverse(self) -> Self {
        Self { reverse: true, ..self }
    }

    /// The same at this point in time, counted from 0.
    pub fn time(self, time: usize) -> Self {
        Self { time: Some(time), ..self }
    }

    /// The same of this series, by its number or its SeriesInstanceUID.
    pub fn series(self, series: impl Into<String>) -> Self {
        Self { series: Some(series.into()), ..self }
    }

    /// The same at this echo, counted from 1.
    pub fn echo(self, echo: usize) -> Self {
        Self { echo: Some(echo), ..self }
    }

    /// The same for one of several studies that these options were given for.
    pub fn shared(self) -> Self {
        Self { shared: true, ..self }
    }

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

    /// See [`Look::shared`].
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }
}
