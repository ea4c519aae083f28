//! Where in a study its frames lie: a bar from its beginning to its end, with a mark for each of them.

use std::ops::RangeInclusive;

use super::labels::{Numbered, short};
use super::scout::Mark;
use crate::frame::Modality;
use crate::request::FrameUsed;
use crate::view::Scout;
use crate::words::counted;

/// A bar and what it is of.
#[derive(Debug, PartialEq)]
pub(super) struct Ruler {
    pub(super) title: String,
    /// Parts of the bar from 0 to 1, one for each frame.
    pub(super) marks: Vec<RangeInclusive<f64>>,
    /// A volume from the side of its slices, and where frames lie in it.
    pub(super) scout: Option<Scout>,
    pub(super) places: Vec<Mark>,
}

/// The bar of a study; none of a picture, and of one whose frames have no places.
pub(super) fn ruler(study: &Numbered<'_>) -> Option<Ruler> {
    let first = study.frames.first()?;
    let marks = match first.provenance.modality {
        Modality::Volume => of_volume(study)?,
        Modality::Video => of_video(study)?,
        _ => return None,
    };
    let scout = first.provenance.view.as_ref().and_then(|view| view.scout.clone());
    let place = |(frame, mark): (&FrameUsed, &RangeInclusive<f64>)| Mark {
        place: (mark.start() + mark.end()) / 2.0,
        label: frame.provenance.index.map_or_else(String::new, |index| index.to_string()),
    };
    let places = study.frames.iter().zip(&marks).map(place).collect();
    Some(Ruler { title: format!("{}: {}", study.name, what(study)?), marks, scout, places })
}

fn of_volume(study: &Numbered<'_>) -> Option<Vec<RangeInclusive<f64>>> {
    let total = total(study)? as f64;
    let frames = study.frames.iter().map(|frame| {
        let place = &frame.provenance;
        let [first, last] = place.slices.or(place.index.map(|index| [index; 2]))?;
        Some(first as f64 / total..=(last + 1) as f64 / total)
    });
    frames.collect()
}

/// Slices of the whole study, or as far as frames were taken of it.
fn total(study: &Numbered<'_>) -> Option<usize> {
    let view = study.frames.first()?.provenance.view.as_ref().map(|view| view.slices);
    view.or_else(|| Some(study.frames.iter().filter_map(|frame| frame.provenance.index).max()? + 1))
}

fn of_video(study: &Numbered<'_>) -> Option<Vec<RangeInclusive<f64>>> {
    let seconds: Option<Vec<f64>> = study.frames.iter().map(|frame| frame.provenance.seconds).collect();
    let seconds = seconds?;
    let last = seconds.iter().copied().fold(0.0, f64::max);
    let share = |seconds: f64| if last > 0.0 { seconds / last } else { 0.0 };
    Some(seconds.into_iter().map(|seconds| share(seconds)..=share(seconds)).collect())
}

/// What the bar is of, in words.
fn what(study: &Numbered<'_>) -> Option<String> {
    let count = counted(study.frames.len(), "frame");
    let place = &study.frames.first()?.provenance;
    let Some(view) = &place.view else {
        return Some(match place.modality {
            Modality::Volume => format!("{count} of slices 0 to {}", total(study)? - 1),
            _ => {
                let last = study.frames.last()?.provenance.seconds.unwrap_or_default();
                format!("{count} up to {} s", short(last))
            }
        });
    };
    let plane = view.plane.map_or_else(String::new, |plane| format!("{} ", plane.name()));
    let range =
        view.range.map_or_else(String::new, |[low, high]| format!(", {} to {}", short(low), short(high)));
    let (form, slices) = (view.form.name(), view.slices);
    Some(format!("{count} of {slices} {plane}slices, form {form}{range}"))
}

#[cfg(test)]
mod tests {
    use super::super::labels::studies;
    use super::*;
    use crate::frame::Provenance;

    #[test]
    fn marks_lie_where_the_frames_do() {
        let frame = |provenance| FrameUsed { source: "a".into(), study: 0, provenance, tiles: 1 };
        let volume = |index, slices| Provenance { slices, ..Provenance::volume(index, [0.0, 1.0]) };
        let frames = [frame(volume(0, None)), frame(volume(1, Some([1, 2]))), frame(volume(3, None))];
        let [study] = &studies(&frames)[..] else { panic!("several studies") };
        let bar = ruler(study).unwrap();
        assert_eq!(bar.title, "volume 1: 3 frames of slices 0 to 3");
        assert_eq!(bar.marks, [0.0..=0.25, 0.25..=0.75, 0.75..=1.0]);
        let frames = [0.0, 1.0, 4.0].map(|seconds| frame(Provenance::video(0, seconds)));
        let [study] = &studies(&frames)[..] else { panic!("several studies") };
        assert_eq!(ruler(study).unwrap().marks, [0.0..=0.0, 0.25..=0.25, 1.0..=1.0]);
        let frames = [frame(Provenance::default())];
        assert_eq!(ruler(&studies(&frames)[0]), None);
    }
}
