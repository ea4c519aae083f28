//! What of a study is looked at.

use super::row::{Form, Part, Row, number};
use crate::frame::Modality;
use crate::limits;
use crate::study::{FrameCount, Window, WindowFunction, Windowing};

const fn video(name: &'static str, value: &'static str, form: Form, help: &'static str) -> Row {
    Row::new(Part::Look(Modality::Video), name, value, form, help)
}

const fn volume(name: &'static str, value: &'static str, form: Form, help: &'static str) -> Row {
    Row::new(Part::Look(Modality::Volume), name, value, form, help)
}

/// `max_frames` comes before the options that say how many frames there are, which then hold.
pub(super) static LOOK: [Row; 9] = [
    video(
        "max_frames",
        "N",
        Form::Whole(
            limits::FRAMES,
            |o, most| o.look.frames = Some(FrameCount::PerSecond { max_frames: most as usize }),
            |o| match o.look.frames {
                Some(FrameCount::PerSecond { max_frames }) => Some(max_frames as u64),
                _ => None,
            },
        ),
        "Video: most frames, at one frame a second",
    )
    .absent("32"),
    video(
        "seconds",
        "N",
        Form::Real(
            limits::SECONDS,
            |o, seconds| o.look.frames = Some(FrameCount::Seconds(seconds)),
            |o| match o.look.frames {
                Some(FrameCount::Seconds(seconds)) => Some(seconds),
                _ => None,
            },
        ),
        "Video: as many frames as this duration has whole seconds",
    )
    .excludes(&["frames"]),
    video(
        "frames",
        "N",
        Form::Whole(
            limits::FRAMES,
            |o, count| o.look.frames = Some(FrameCount::Exactly(count as usize)),
            |o| match o.look.frames {
                Some(FrameCount::Exactly(count)) => Some(count as u64),
                _ => None,
            },
        ),
        "Video: this many frames, evenly spaced",
    )
    .excludes(&["seconds"]),
    video(
        "start",
        "S",
        number!(Real, limits::TIME, look.start as Option<f64>),
        "Video: look from this second on",
    ),
    video("end", "S", number!(Real, limits::TIME, look.end as Option<f64>), "Video: look up to this second"),
    volume(
        "slices",
        "N",
        number!(Whole, limits::FRAMES, look.slices as Option<usize>),
        "Volume: this many slices, evenly spaced",
    )
    .absent("11"),
    volume(
        "range",
        "FIRST-LAST",
        Form::Parsed(
            "the first and the last slice, such as 40-120",
            |o, text| {
                o.look.range = read_range(text);
                o.look.range.is_some()
            },
            |o| o.look.range.map(|[first, last]| format!("{first}-{last}")),
        ),
        "Volume: choose from these slices, counted from 0",
    ),
    volume(
        "axis",
        "N",
        number!(Whole, limits::AXIS, look.axis as Option<usize>),
        "Volume: the axis of the array that counts the slices",
    )
    .absent("0"),
    volume(
        "window",
        "C/W",
        Form::Parsed(
            "a centre and a width, such as -600/1500 or 40/400/linear (linear, linear-exact or sigmoid), or own-range",
            |o, text| {
                o.look.window = read_window(text);
                o.look.window.is_some()
            },
            |o| o.look.window.as_ref().map(write_window),
        ),
        "Volume: spread the values around C, over a width of W, from black to white",
    )
    .absent("each slice's own range"),
];

fn read_range(text: &str) -> Option<[usize; 2]> {
    let (first, last) = text.split_once('-')?;
    Some([first.trim().parse().ok()?, last.trim().parse().ok()?]).filter(|[first, last]| first <= last)
}

const OWN_RANGE: &str = "own-range";
/// DICOM's names of them, in small letters. The second is what a window without a function means.
const FUNCTIONS: [(&str, WindowFunction); 3] = [
    ("linear", WindowFunction::Linear),
    ("linear-exact", WindowFunction::LinearExact),
    ("sigmoid", WindowFunction::Sigmoid),
];

fn read_window(text: &str) -> Option<Windowing> {
    if text == OWN_RANGE {
        return Some(Windowing::OwnRange);
    }
    let mut words = text.split('/').map(str::trim);
    let (center, width) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let function = match (words.next(), words.next()) {
        (None, _) => WindowFunction::LinearExact,
        (Some(name), None) => FUNCTIONS.iter().find(|(known, _)| *known == name)?.1,
        _ => return None,
    };
    let window = Window { center, width, function };
    window.is_sound().then_some(Windowing::Window(window))
}

fn write_window(windowing: &Windowing) -> String {
    let Windowing::Window(Window { center, width, function }) = windowing else { return OWN_RANGE.into() };
    let name = FUNCTIONS.iter().find(|(_, known)| known == function).map_or("", |(name, _)| name);
    format!("{center}/{width}/{name}")
}
