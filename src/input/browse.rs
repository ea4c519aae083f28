//! Frames and slices for people who leaf through a study.

use std::sync::OnceLock;

use super::readers::{Known, chosen, known, watched};
use super::reading::ReadOptions;
use crate::error::{Error, Result};
use crate::frame::Study;
use crate::study::{Every, Look, StudyInput};

/// A study that somebody leafs through: any frame or slice of it, as it is.
///
/// A slice is the same whichever slices are read with it. Where its grey depends on the values of the whole volume, those
/// are read once; what was found is kept here, and nothing else.
///
/// Of how the study is to be looked at, `window`, `axis`, `plane`, `time`, `series` and `echo` hold. What chooses or joins
/// frames is checked and left out, and a volume is in the form [`Native`](crate::VolumeForm::Native).
///
/// ```
/// use fleming::{Browser, ReadOptions, StudyInput};
///
/// let browser = Browser::new(StudyInput::file("examples/chest.nii.gz"));
/// let seen = browser.read([15, 16], &ReadOptions::default())?;
/// assert_eq!((seen.study.frames.len(), seen.count), (2, 32));
/// # Ok::<(), fleming::Error>(())
/// ```
#[derive(Debug)]
pub struct Browser {
    study: StudyInput,
    /// The values that become black and white in all slices.
    ends: OnceLock<[f64; 2]>,
}

/// Neighbouring frames or slices of a study.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Browsed {
    /// The frames, in order.
    pub study: Study,
    /// Frames or slices of the whole study: of a volume, those of the plane that it is cut in.
    pub count: usize,
}

impl Browser {
    /// One of this study. Nothing is read yet.
    pub fn new(study: StudyInput) -> Self {
        Self { study, ends: OnceLock::new() }
    }

    /// Reads every frame or slice from the first to the last of these places, counted from 0, as far as there are so many.
    ///
    /// # Errors
    /// As [`read`](crate::read); [`Error::Request`] too if the study has not even the first, or for more than 4096.
    pub fn read(&self, [first, last]: [usize; 2], options: &ReadOptions) -> Result<Browsed> {
        if last < first {
            let got = format!("{first} to {last}");
            let wanted = "a first place and a last one that does not come before it";
            return Err(Error::request("index", wanted, got).hint("exchange them"));
        }
        Look::FRAME_COUNT.check([(last - first).saturating_add(1)])?;
        watched(&options.watch, || {
            let Known { header, look, .. } = known(&self.study, options)?;
            let every = Every { places: [first, last], ends: self.ends.get().copied() };
            let chosen = chosen(&self.study.name(), header, &look.leafing(every), options)?;
            let count = chosen.measured().count;
            let study = chosen.read(options)?;
            let view = study.frames.first().and_then(|frame| frame.provenance().view.as_ref());
            view.and_then(|view| view.range).map(|range| self.ends.get_or_init(|| range));
            Ok(Browsed { study, count })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::readers::{measure, read};
    use super::*;
    use crate::frame::Frame;
    use crate::study::{FrameCount, Look, Window};
    use crate::view::{Plane, Slab, VolumeForm};
    use crate::watch::{Cancel, Watch};

    const VOLUME: &str = "examples/chest.nii.gz";

    fn options() -> ReadOptions {
        ReadOptions::default()
    }

    fn seen(browser: &Browser, places: [usize; 2]) -> Browsed {
        browser.read(places, &options()).unwrap()
    }

    fn pixels(frames: &[Frame]) -> Vec<&[u8]> {
        frames.iter().map(Frame::samples).collect()
    }

    #[test]
    fn slices_are_those_of_the_volume_read_as_a_whole_whatever_is_read_with_them() {
        for plane in [Plane::Axial, Plane::Coronal, Plane::Sagittal] {
            let study = StudyInput::file(VOLUME).look(Look::default().plane(plane));
            let count = measure(&study, &options()).unwrap().count;
            let all = Look::default().plane(plane).form(VolumeForm::Native).slices(count);
            let all = read(&StudyInput::file(VOLUME).look(all), &options()).unwrap();
            // Alone, among others, and once more when the range of the values is known.
            let browser = Browser::new(study);
            for places in [[9, 9], [7, 12], [9, 9], [count - 2, count + 5]] {
                let seen = seen(&browser, places);
                let last = places[1].min(count - 1);
                assert_eq!(seen.count, count);
                assert!(pixels(&seen.study.frames) == pixels(&all.frames[places[0]..=last]), "{places:?}");
                let indices = seen.study.frames.iter().map(|frame| frame.provenance().index);
                assert!(indices.eq((places[0]..=last).map(Some)), "{places:?}");
            }
        }
    }

    #[test]
    fn what_chooses_or_joins_frames_is_left_out_and_windows_hold() {
        let window = Window::linear_exact(40.0, 400.0);
        let asked = Look::default().slices(3).range([2, 4]).reverse().slab(Slab::Max).window(window);
        let plain = Look::default().window(window).form(VolumeForm::Native).slices(1).range([20, 20]);
        let wanted = read(&StudyInput::file(VOLUME).look(plain), &options()).unwrap();
        let browser = Browser::new(StudyInput::file(VOLUME).look(asked));
        assert!(pixels(&seen(&browser, [20, 20]).study.frames) == pixels(&wanted.frames));
        let own = Look::default().window(crate::study::Windowing::OwnRange);
        let browser = Browser::new(StudyInput::file(VOLUME).look(own));
        let (one, two) = (seen(&browser, [3, 3]), seen(&browser, [3, 4]));
        assert!(pixels(&one.study.frames)[..] == pixels(&two.study.frames)[..1]);
    }

    #[test]
    fn arrays_clips_and_pictures_are_leafed_through_too() {
        let array = Browser::new(StudyInput::file("examples/volume.npz").look(Look::default().axis(2)));
        let whole = seen(&array, [0, 4095]);
        assert_eq!(whole.count, whole.study.frames.len());
        assert!(seen(&array, [5, 5]).study.frames[0] == whole.study.frames[5]);
        let picture = Browser::new(StudyInput::file("examples/chest.png"));
        assert_eq!(seen(&picture, [0, 9]).count, 1);
        assert_eq!(picture.read([1, 1], &options()).unwrap_err().facts().wanted, "0 to 0");
    }

    #[cfg(feature = "video")]
    #[test]
    fn frames_of_a_clip_are_counted_as_they_are_shown() {
        let file = "examples/clip.mp4";
        let clip = Browser::new(StudyInput::file(file).look(Look::default().frames(FrameCount::Exactly(2))));
        let whole = seen(&clip, [0, 4095]);
        let places: Vec<_> = whole.study.frames.iter().map(|frame| frame.provenance().index).collect();
        assert_eq!(places, (0..whole.count).map(Some).collect::<Vec<_>>());
        let six = StudyInput::file(file).look(Look::default().frames(FrameCount::Exactly(6)));
        for frame in read(&six, &options()).unwrap().frames {
            let place = frame.provenance().index.unwrap();
            assert!(seen(&clip, [place; 2]).study.frames == [frame], "{place}");
        }
        let error = clip.read([whole.count, whole.count], &options()).unwrap_err();
        assert_eq!(error.facts().wanted, format!("0 to {}", whole.count - 1), "{error}");
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_name() {
        let browser = Browser::new(StudyInput::file(VOLUME));
        for (places, thing) in [
            ([5, 4], "index"),
            ([0, 4096], "frames"),
            ([0, usize::MAX], "frames"),
            ([32, 40], "examples/chest.nii.gz: index"),
        ] {
            assert_eq!(browser.read(places, &options()).unwrap_err().facts().thing, thing);
        }
        let misplaced =
            Browser::new(StudyInput::file("examples/chest.png").look(Look::default().plane(Plane::Axial)));
        assert_eq!(misplaced.read([0, 0], &options()).unwrap_err().facts().thing, "plane");
        let cancel = Cancel::default();
        cancel.cancel();
        let watch = Watch::default().switch(&cancel);
        assert!(matches!(browser.read([0, 0], &options().watch(watch)), Err(Error::Cancelled(_))));
    }
}
