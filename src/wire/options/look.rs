//! What of a study is looked at.

use super::row::{Form, Row, number};
use crate::study::{FrameCount, Look, Windowing};
use crate::view::{Crop, Plane, Slab, VolumeForm};

/// A field that is one of the words of a type.
macro_rules! word {
    ($type:ident, $($field:ident).+) => {
        Form::Word(
            $type::WORDS,
            |options, word| options.$($field).+ = $type::of(word),
            |options| options.$($field).+.map($type::name),
        )
    };
}

pub(super) static LOOK: [Row; 17] = [
    Look::MAX_FRAMES
        .row(
            "N",
            |o, most| o.look.frames = Some(FrameCount::PerSecond { max_frames: most as usize }),
            |o| match o.look.frames {
                Some(FrameCount::PerSecond { max_frames }) => Some(max_frames as u64),
                _ => None,
            },
            "Video: most frames, at one frame a second",
        )
        .absent("32")
        .excludes(&["seconds", "frames"]),
    Look::SECONDS
        .row(
            "N",
            |o, seconds| o.look.frames = Some(FrameCount::Seconds(seconds)),
            |o| match o.look.frames {
                Some(FrameCount::Seconds(seconds)) => Some(seconds),
                _ => None,
            },
            "Video: as many frames as this duration has whole seconds",
        )
        .excludes(&["max_frames", "frames"]),
    Look::FRAME_COUNT
        .row(
            "N",
            |o, count| o.look.frames = Some(FrameCount::Exactly(count as usize)),
            |o| match o.look.frames {
                Some(FrameCount::Exactly(count)) => Some(count as u64),
                _ => None,
            },
            "Video: this many frames, evenly spaced",
        )
        .excludes(&["max_frames", "seconds"]),
    number!(Look::START, look.start as Option<f64>, "S", "Video: look from this second on")
        .absent("the clip's start"),
    number!(Look::END, look.end as Option<f64>, "S", "Video: look up to this second")
        .absent("the clip's end"),
    number!(Look::SLICE_COUNT, look.slices as Option<usize>, "N", "Volume: this many slices, evenly spaced")
        .absent("11"),
    Row::new(
        Look::RANGE,
        "FIRST-LAST",
        Form::Parsed(
            RANGE,
            |o, text| {
                (o.look.range, o.look.range_mm) = (read_range(text), read_millimetres(text));
                o.look.range.is_some() || o.look.range_mm.is_some()
            },
            |o| match (o.look.range, o.look.range_mm) {
                (Some([first, last]), _) => Some(format!("{first}-{last}")),
                (_, millimetres) => millimetres.map(|[first, last]| format!("{first}..{last}mm")),
            },
        ),
        "Volume: choose from these slices, counted from 0, or from these millimetres",
    )
    .absent("all slices"),
    Row::new(
        Look::FORM,
        "FORM",
        word!(VolumeForm, look.form),
        "Volume from DICOM or NIfTI: as the training data were prepared, or slices as they are",
    )
    .absent("trained"),
    Row::new(
        Look::PLANE,
        "PLANE",
        word!(Plane, look.plane),
        "Volume from DICOM or NIfTI: cut through the patient in this plane",
    )
    .absent("the plane acquired"),
    Row::new(
        Look::SLAB,
        "WAY",
        word!(Slab, look.slab),
        "Volume from DICOM or NIfTI: make each frame of all slices of its part",
    )
    .absent("none"),
    Row::new(
        Look::CROP,
        "WHAT",
        word!(Crop, look.crop),
        "Volume in the form trained: cut off borders without values",
    )
    .absent("foreground"),
    Row::new(
        Look::REVERSE,
        "",
        Form::Switch(|o| o.look.reverse = true, |o| o.look.reverse),
        "Volume: from the last slice to the first",
    ),
    number!(
        Look::TIME,
        look.time as Option<usize>,
        "N",
        "Volume with several points in time: this one, counted from 0"
    )
    .absent("0"),
    Row::new(
        Look::SERIES,
        "UID|NUMBER",
        Form::Text(|o, series| o.look.series = Some(series), |o| o.look.series.clone()),
        "DICOM: this series of the study, by its number or its UID",
    )
    .absent("the largest"),
    number!(
        Look::ECHO,
        look.echo as Option<usize>,
        "N",
        "DICOM volume with several echoes: this one, counted from 1"
    )
    .absent("1"),
    number!(
        Look::AXIS,
        look.axis as Option<usize>,
        "N",
        "Volume: the axis of the array that counts the slices"
    )
    .absent("0"),
    Row::new(
        Look::WINDOW,
        "C/W|NAME",
        Form::Parsed(
            Windowing::WANTED,
            |o, text| {
                o.look.window = text.parse().ok();
                o.look.window.is_some()
            },
            |o| o.look.window.as_ref().map(ToString::to_string),
        ),
        "Volume: spread the values around C, over a width of W, from black to white; or lung, mediastinum, \
         soft, bone, brain, liver, wide",
    )
    .absent("each slice's own range"),
];

const RANGE: &str =
    "the first and the last slice, such as 40-120, or their places in millimetres, such as -250..-60mm";

/// `-250..-60mm`
fn read_millimetres(text: &str) -> Option<[f64; 2]> {
    let (first, last) = text.strip_suffix("mm")?.split_once("..")?;
    let range = [first.trim().parse().ok()?, last.trim().parse().ok()?];
    Some(range).filter(|[first, last]: &[f64; 2]| first.is_finite() && last.is_finite() && first <= last)
}

fn read_range(text: &str) -> Option<[usize; 2]> {
    let (first, last) = text.split_once('-')?;
    Some([first.trim().parse().ok()?, last.trim().parse().ok()?]).filter(|[first, last]| first <= last)
}
