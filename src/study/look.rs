//! Which part of a study is looked at, and how its values become grey.

use super::windowing::Windowing;
use crate::error::{Error, Result};
use crate::frame::Modality;
use crate::limits::{NumberOption, OptionName, Real, Subject, Whole};
use crate::view::{Crop, Plane, Slab, VolumeForm};

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

const fn video(name: &'static str) -> OptionName {
    Subject::Look(Modality::Video).option(name)
}

const fn volume(name: &'static str) -> OptionName {
    Subject::Look(Modality::Volume).option(name)
}

/// Most frames or slices of one study. More fit no model's context: it is a slip of the keyboard.
pub(crate) const MOST_FRAMES: usize = 4096;
const COUNT: Whole = Whole::new(1, MOST_FRAMES as u64);
/// Seconds from the start of a clip. Before the start is the start.
const TIME: Real = Real::new(f64::MIN, f64::MAX);

/// The options, with what those may be that are numbers.
impl Look {
    pub(crate) const FRAME_COUNT: NumberOption<Whole> = video("frames").within(COUNT);
    pub(crate) const MAX_FRAMES: NumberOption<Whole> = video("max_frames").within(COUNT);
    pub(crate) const SECONDS: NumberOption<Real> = video("seconds").within(Real::new(1.0, COUNT.most as f64));
    pub(crate) const START: NumberOption<Real> = video("start").within(TIME);
    pub(crate) const END: NumberOption<Real> = video("end").within(TIME);
    pub(crate) const SLICE_COUNT: NumberOption<Whole> = volume("slices").within(COUNT);
    pub(crate) const WINDOW: OptionName = volume("window");
    pub(crate) const AXIS: NumberOption<Whole> = volume("axis").whole(0, 2);
    pub(crate) const RANGE: OptionName = volume("range");
    pub(crate) const FORM: OptionName = volume("form");
    pub(crate) const PLANE: OptionName = volume("plane");
    pub(crate) const SLAB: OptionName = volume("slab");
    pub(crate) const CROP: OptionName = volume("crop");
    pub(crate) const REVERSE: OptionName = volume("reverse");
    /// Far more points in time than any study has.
    pub(crate) const TIME: NumberOption<Whole> = volume("time").whole(0, u32::MAX as u64);
    pub(crate) const SERIES: OptionName = volume("series");
    pub(crate) const ECHO: NumberOption<Whole> = volume("echo").whole(1, u32::MAX as u64);

    /// Those that only a DICOM study has an answer to.
    const OF_DICOM: [OptionName; 2] = [Self::SERIES, Self::ECHO.option];
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

    /// See [`Look::shared`].
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Refuses numbers that no study can meet.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option and what it may be.
    pub fn check(&self) -> Result<()> {
        match self.frames {
            Some(FrameCount::Exactly(count)) => Self::FRAME_COUNT.check([count])?,
            Some(FrameCount::PerSecond { max_frames }) => Self::MAX_FRAMES.check([max_frames])?,
            Some(FrameCount::Seconds(seconds)) => Self::SECONDS.check([seconds])?,
            None => {}
        }
        Self::START.check(self.start)?;
        Self::END.check(self.end)?;
        Self::SLICE_COUNT.check(self.slices)?;
        Self::AXIS.check(self.axis)?;
        Self::TIME.check(self.time)?;
        Self::ECHO.check(self.echo)?;
        self.check_words()
    }

    /// Refuses what is wrong of options that are no numbers.
    fn check_words(&self) -> Result<()> {
        let refuse = |option: OptionName, may_be: &str, got: String| {
            Err(Error::request(option, may_be, got).hint(format!("correct {option}, or leave it out")))
        };
        match self.window {
            Some(window) if !window.is_sound() => refuse(Self::WINDOW, Windowing::SOUND, window.to_string())?,
            _ => {}
        }
        match (self.range, self.range_mm) {
            (Some(_), Some(_)) => refuse(Self::RANGE, "slices or millimetres", "both".into())?,
            (Some([first, last]), _) if last < first => refuse(
                Self::RANGE,
                "a first slice and a last one that does not come before it",
                format!("{first} to {last}"),
            )?,
            // So that NaN is refused too.
            (_, Some([first, last])) if !(first <= last && first.is_finite() && last.is_finite()) => refuse(
                Self::RANGE,
                "a first place in millimetres and a last one that does not lie before it",
                format!("{first} mm to {last} mm"),
            )?,
            _ => {}
        }
        if let (Some(VolumeForm::Native), Some(Crop::Foreground)) = (self.form, self.crop) {
            refuse(Self::CROP, "none, of slices in the form native", "foreground".into())?;
        }
        match &self.series {
            Some(series) if series.trim().is_empty() => {
                refuse(Self::SERIES, "the number of a series, or its SeriesInstanceUID", "nothing".into())
            }
            _ => Ok(()),
        }
    }

    /// The options that were given. Every field is named, so that a new one is not forgotten.
    fn given(&self) -> impl Iterator<Item = OptionName> {
        #[rustfmt::skip]
        let Self {
            frames, start, end, slices, window, axis, range, form, plane, range_mm, slab, crop, reverse, time, series, echo,
            shared: _, every: _,
        } = self;
        let frames = frames.map(|frames| match frames {
            FrameCount::Exactly(_) => Self::FRAME_COUNT.option,
            FrameCount::PerSecond { .. } => Self::MAX_FRAMES.option,
            FrameCount::Seconds(_) => Self::SECONDS.option,
        });
        let others = [
            (Self::START.option, start.is_some()),
            (Self::END.option, end.is_some()),
            (Self::SLICE_COUNT.option, slices.is_some()),
            (Self::WINDOW, window.is_some()),
            (Self::AXIS.option, axis.is_some()),
            (Self::RANGE, range.is_some() || range_mm.is_some()),
            (Self::FORM, form.is_some()),
            (Self::PLANE, plane.is_some()),
            (Self::SLAB, slab.is_some()),
            (Self::CROP, crop.is_some()),
            (Self::REVERSE, *reverse),
            (Self::TIME.option, time.is_some()),
            (Self::SERIES, series.is_some()),
            (Self::ECHO.option, echo.is_some()),
        ];
        frames.into_iter().chain(others.into_iter().filter_map(|(option, given)| given.then_some(option)))
    }

    /// Refuses numbers that no study can meet, and options for another kind of study but for those that are `taken`.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option.
    pub(crate) fn check_for(&self, modality: Modality, taken: &[OptionName], source: &str) -> Result<()> {
        self.check()?;
        let fits = |option: &OptionName| {
            option.subject == Subject::Look(modality) && !Self::OF_DICOM.contains(option)
        };
        match self.given().find(|option| !fits(option) && !taken.contains(option)) {
            Some(option) if !self.shared => {
                let wanted = match option.subject {
                    Subject::Look(kind) if !Self::OF_DICOM.contains(&option) => kind.with_article(),
                    _ => "a DICOM study",
                };
                Err(Error::request(option, wanted, format!("{source}, {}", modality.with_article()))
                    .hint(format!("leave {option} out for this study")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Window;
    use FrameCount::{Exactly, PerSecond, Seconds};

    #[test]
    fn numbers_out_of_bounds_are_named() {
        let look = Look::default;
        let rows = [
            ("frames", look().frames(Exactly(0))),
            ("frames", look().frames(Exactly(usize::MAX))),
            ("max-frames", look().frames(PerSecond { max_frames: 0 })),
            ("max-frames", look().frames(PerSecond { max_frames: 4097 })),
            ("seconds", look().frames(Seconds(0.9))),
            ("seconds", look().frames(Seconds(-3.0))),
            ("seconds", look().frames(Seconds(f64::NAN))),
            ("seconds", look().frames(Seconds(4096.1))),
            ("seconds", look().frames(Seconds(1e300))),
            ("start", look().start(f64::NEG_INFINITY)),
            ("end", look().end(f64::NAN)),
            ("slices", look().slices(0)),
            ("slices", look().slices(4097)),
            ("slices", look().slices(usize::MAX)),
            ("window", look().window(Window::linear_exact(0.0, 0.0))),
            ("window", look().window(Window::linear_exact(f64::INFINITY, 1.0))),
            ("window", look().window(Window::sigmoid(0.0, f64::NAN))),
            ("window", look().window(Window::linear(0.0, 0.5))),
            ("axis", look().axis(3)),
            ("range", look().range([3, 2])),
        ];
        for (name, look) in rows {
            let error = look.check().unwrap_err();
            assert!(matches!(&error, Error::Request(facts) if facts.thing == name), "{name}: {error}");
        }
    }

    #[test]
    fn what_the_bounds_hold_is_taken() {
        let look = Look::default;
        for look in [
            look(),
            look().frames(Exactly(4096)).start(-1.0).end(0.0),
            look().start(1.0).end(1.0),
            look().frames(Seconds(4096.0)),
            look().slices(4096).axis(2).range([7, 7]).window(Window::linear(-600.0, 1.0)),
            look().window(Windowing::OwnRange),
        ] {
            look.check().unwrap();
        }
    }

    #[test]
    fn an_option_for_another_kind_is_named_unless_it_is_shared() {
        let rows = [
            ("frames", Modality::Image, Look::default().frames(Exactly(3))),
            ("max-frames", Modality::Volume, Look::default().frames(PerSecond { max_frames: 3 })),
            ("start", Modality::Volume, Look::default().start(1.0)),
            ("end", Modality::Image, Look::default().end(1.0)),
            ("slices", Modality::Video, Look::default().slices(3)),
            ("window", Modality::Image, Look::default().window(Windowing::OwnRange)),
            ("axis", Modality::Video, Look::default().axis(0)),
            ("range", Modality::Video, Look::default().range([0, 1])),
        ];
        for (name, modality, look) in rows {
            let error = look.check_for(modality, &[], "file").unwrap_err();
            assert_eq!(error.facts().thing, name, "{error}");
            look.shared().check_for(modality, &[], "file").unwrap();
        }
        assert!(Look::default().slices(0).shared().check_for(Modality::Image, &[], "file").is_err());
    }
}
