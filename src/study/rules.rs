//! What the options of a study may be, and which kinds of studies they are for.

use super::look::{FrameCount, Look, MOST_FRAMES};
use super::windowing::Windowing;
use crate::error::{Error, Result};
use crate::frame::Modality;
use crate::limits;
use crate::view::{Crop, VolumeForm};

impl Look {
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
        may_be: TIME,
        given: |look| look.end.is_some(),
        wrong: |look| no_time(look.end),
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
