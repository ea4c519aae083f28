//! Which part of a study is looked at, and how its values become grey.

use super::windowing::Windowing;
use crate::error::{Error, Result};
use crate::frame::Modality;
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
        for option in &OPTIONS {
            if let Some(got) = (option.wrong)(self) {
                return Err(Error::request(option.name, option.may_be, got)
                    .hint(format!("correct {}, or leave it out", option.name)));
            }
        }
        Ok(())
    }

    /// Refuses numbers that no study can meet, and options for another kind of study but for those that are `taken`.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option.
    pub(crate) fn check_for(&self, modality: Modality, taken: &[&str], source: &str) -> Result<()> {
        self.check()?;
        let misplaced = |option: &&Rule| {
            let is_apt = option.kind == modality && !OF_DICOM.contains(&option.name);
            !is_apt && !taken.contains(&option.name) && (option.given)(self)
        };
        match OPTIONS.iter().find(misplaced) {
            Some(option) if !self.shared => Err(Error::request(
                option.name,
                if OF_DICOM.contains(&option.name) { "a DICOM study" } else { option.kind.with_article() },
                format!("{source}, {}", modality.with_article()),
            )
            .hint(format!("leave {} out for this study", option.name))),
            _ => Ok(()),
        }
    }
}

/// Options that only a DICOM study has an answer to.
const OF_DICOM: [&str; 2] = ["series", "echo"];

/// What holds for one option.
struct Rule {
    /// The name on the command line.
    name: &'static str,
    /// The kind of study that it is for.
    kind: Modality,
    may_be: &'static str,
    given: fn(&Look) -> bool,
    /// The value, if it may not be.
    wrong: fn(&Look) -> Option<String>,
}

/// [`limits::FRAMES`] in words.
const COUNT: &str = "1 to 4096";
const TIME: &str = "seconds from the start of the video";

/// Every option, and what its value may be.
static OPTIONS: [Rule; 18] = [
    Rule {
        name: "frames",
        kind: Modality::Video,
        may_be: COUNT,
        given: |look| matches!(look.frames, Some(FrameCount::Exactly(_))),
        wrong: |look| match look.frames {
            Some(FrameCount::Exactly(count)) => no_count(count),
            _ => None,
        },
    },
    Rule {
        name: "max-frames",
        kind: Modality::Video,
        may_be: COUNT,
        given: |look| matches!(look.frames, Some(FrameCount::PerSecond { .. })),
        wrong: |look| match look.frames {
            Some(FrameCount::PerSecond { max_frames }) => no_count(max_frames),
            _ => None,
        },
    },
    Rule {
        name: "seconds",
        kind: Modality::Video,
        may_be: COUNT,
        given: |look| matches!(look.frames, Some(FrameCount::Seconds(_))),
        wrong: |look| match look.frames {
            Some(FrameCount::Seconds(seconds)) if !(1.0..MOST_FRAMES as f64 + 1.0).contains(&seconds) => {
                Some(seconds.to_string())
            }
            _ => None,
        },
    },
    Rule {
        name: "start",
        kind: Modality::Video,
        may_be: TIME,
        given: |look| look.start.is_some(),
        wrong: |look| no_time(look.start),
    },
    Rule {
        name: "end",
        kind: Modality::Video,
        may_be: "seconds from the start of the video, not before --start",
        given: |look| look.end.is_some(),
        wrong: |look| match (look.start, look.end) {
            (Some(start), Some(end)) if end < start => Some(format!("{end}, with a start at {start}")),
            _ => no_time(look.end),
        },
    },
    Rule {
        name: "slices",
        kind: Modality::Volume,
        may_be: COUNT,
        given: |look| look.slices.is_some(),
        wrong: |look| look.slices.and_then(no_count),
    },
    Rule {
        name: "window",
        kind: Modality::Volume,
        may_be: "a finite centre and a finite width above 0, of a linear window at least 1",
        given: |look| look.window.is_some(),
        wrong: |look| match look.window {
            Some(Windowing::Window(window)) if !window.is_sound() => Some(window.to_string()),
            Some(Windowing::File(number)) if !limits::NUMBER.contains(number as u64) => {
                Some(format!("the file's window {number}"))
            }
            _ => None,
        },
    },
    Rule {
        name: "axis",
        kind: Modality::Volume,
        may_be: "0 to 2",
        given: |look| look.axis.is_some(),
        wrong: |look| {
            look.axis.filter(|axis| !limits::AXIS.contains(*axis as u64)).map(|axis| axis.to_string())
        },
    },
    Rule {
        name: "range",
        kind: Modality::Volume,
        may_be: "a first slice and a last one that does not come before it",
        given: |look| look.range.is_some(),
        wrong: |look| match look.range {
            Some([first, last]) if last < first => Some(format!("{first} to {last}")),
            _ => None,
        },
    },
    Rule {
        name: "range",
        kind: Modality::Volume,
        may_be: "a first place in millimetres and a last one that does not lie before it",
        given: |look| look.range_mm.is_some(),
        wrong: |look| match look.range_mm {
            Some([first, last]) if last < first || !first.is_finite() || !last.is_finite() => {
                Some(format!("{first} mm to {last} mm"))
            }
            Some(_) if look.range.is_some() => Some("a range by slices too".into()),
            _ => None,
        },
    },
    Rule {
        name: "form",
        kind: Modality::Volume,
        may_be: "trained or native",
        given: |look| look.form.is_some(),
        wrong: |_| None,
    },
    Rule {
        name: "plane",
        kind: Modality::Volume,
        may_be: "axial, coronal or sagittal",
        given: |look| look.plane.is_some(),
        wrong: |_| None,
    },
    Rule {
        name: "slab",
        kind: Modality::Volume,
        may_be: "none, mean or max",
        given: |look| look.slab.is_some(),
        wrong: |_| None,
    },
    Rule {
        name: "crop",
        kind: Modality::Volume,
        may_be: "none or foreground",
        given: |look| look.crop.is_some(),
        wrong: |look| match (look.form, look.crop) {
            (Some(VolumeForm::Native), Some(Crop::Foreground)) => {
                Some("foreground, of slices in the form native".into())
            }
            _ => None,
        },
    },
    Rule {
        name: "reverse",
        kind: Modality::Volume,
        may_be: "yes or no",
        given: |look| look.reverse,
        wrong: |_| None,
    },
    Rule {
        name: "time",
        kind: Modality::Volume,
        may_be: "a whole number from 0",
        given: |look| look.time.is_some(),
        wrong: |_| None,
    },
    Rule {
        name: "series",
        kind: Modality::Volume,
        may_be: "the number of a series, or its SeriesInstanceUID",
        given: |look| look.series.is_some(),
        wrong: |look| {
            look.series.as_ref().filter(|series| series.trim().is_empty()).map(|_| "nothing".into())
        },
    },
    Rule {
        name: "echo",
        kind: Modality::Volume,
        may_be: "a whole number from 1",
        given: |look| look.echo.is_some(),
        wrong: |look| {
            look.echo.filter(|echo| !limits::NUMBER.contains(*echo as u64)).map(|echo| echo.to_string())
        },
    },
];

/// A number of frames or slices that may not be.
fn no_count(count: usize) -> Option<String> {
    (!limits::FRAMES.contains(count as u64)).then(|| count.to_string())
}

/// A time that may not be. Before the start of a clip is its start.
fn no_time(seconds: Option<f64>) -> Option<String> {
    seconds.filter(|seconds| !seconds.is_finite()).map(|seconds| seconds.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Window;
    use FrameCount::{Exactly, PerSecond, Seconds};

    #[test]
    fn numbers_out_of_bounds_are_named() {
        assert_eq!(COUNT, limits::FRAMES.to_string());
        let look = Look::default;
        let rows = [
            ("frames", look().frames(Exactly(0))),
            ("frames", look().frames(Exactly(usize::MAX))),
            ("max-frames", look().frames(PerSecond { max_frames: 0 })),
            ("max-frames", look().frames(PerSecond { max_frames: 4097 })),
            ("seconds", look().frames(Seconds(0.9))),
            ("seconds", look().frames(Seconds(-3.0))),
            ("seconds", look().frames(Seconds(f64::NAN))),
            ("seconds", look().frames(Seconds(1e300))),
            ("start", look().start(f64::NEG_INFINITY)),
            ("end", look().end(f64::NAN)),
            ("end", look().start(2.0).end(1.0)),
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
            look().frames(Seconds(4096.9)),
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
