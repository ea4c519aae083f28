//! The slices of a series in the order of the patient's body.

use super::geometry::{Geometry, Stated};
use super::instance::Instance;
use super::series::{FrameAt, listed};
use crate::error::{Error, Result};

/// Slices, in order.
pub(super) struct Ordered {
    pub(super) frames: Vec<FrameAt>,
    /// Where each lies, if that is known.
    pub(super) places: Option<Places>,
    pub(super) notes: Vec<String>,
}

/// Where slices lie.
pub(super) struct Places {
    /// The first slice's.
    pub(super) first: Geometry,
    /// Places along its normal, rising.
    pub(super) along: Vec<f64>,
}

/// Places that are nearer to one another than this are one: millimetres.
const SAME_PLACE: f64 = 1e-3;
/// Distances that are off by more than this part of the median are uneven.
const UNEVEN: f64 = 0.05;
/// Degrees between the way from slice to slice and the normal of their planes.
const TILT: f64 = 0.5;

/// The name of a slice: of its file, and of one of several in a file its number too.
pub(super) fn named(files: &[Instance], at: FrameAt) -> String {
    let file = &files[at.file];
    match file.layout.frames {
        1 => file.called().to_owned(),
        _ => format!("{}#{}", file.called(), at.frame),
    }
}

pub(super) fn geometry(files: &[Instance], at: FrameAt) -> Option<Geometry> {
    match files[at.file].stated.get(at.frame) {
        Some(Stated::Known(geometry)) => Some(*geometry),
        _ => None,
    }
}

/// Slices at the same place, as pairs of their numbers among `frames`, which are in order.
pub(super) fn at_same_place(places: &Places) -> Vec<usize> {
    let near = |pair: &[f64]| pair[1] - pair[0] < SAME_PLACE;
    places.along.windows(2).enumerate().filter(|(_, pair)| near(pair)).map(|(place, _)| place).collect()
}

/// How many slices lie at the place that most of them share.
pub(super) fn most_at_one_place(places: &Places) -> usize {
    let (mut most, mut here) = (1, 1);
    for pair in places.along.windows(2) {
        here = if pair[1] - pair[0] < SAME_PLACE { here + 1 } else { 1 };
        most = most.max(here);
    }
    most
}

/// Sorts slices by their places along the normal, or by their numbers where no place is known.
pub(super) fn ordered(files: &[Instance], mut frames: Vec<FrameAt>) -> Ordered {
    let first = frames.first().and_then(|at| geometry(files, *at));
    let Some(first) = first else { return by_number(files, frames) };
    let normal = first.normal();
    let place = |at: &FrameAt| {
        geometry(files, *at).map_or(0.0, |geometry| super::super::volume::dot(geometry.position, normal))
    };
    frames.sort_by(|one, other| place(one).total_cmp(&place(other)));
    let along: Vec<f64> = frames.iter().map(place).collect();
    let first = geometry(files, frames[0]).unwrap_or(first);
    Ordered { frames, places: Some(Places { first, along }), notes: Vec::new() }
}

fn by_number(files: &[Instance], mut frames: Vec<FrameAt>) -> Ordered {
    let unlawful = frames.iter().any(|at| files[at.file].stated.contains(&Stated::Unlawful));
    frames.sort_by_key(|at| (files[at.file].instance_number(), at.file, at.frame));
    let mut notes = Vec::new();
    if unlawful {
        notes
            .push("ImageOrientationPatient is not two unit vectors at right angles and was not used.".into());
    }
    if frames.len() > 1 {
        notes.push("No slice states its position: they are in the order of InstanceNumber, their spacing is unknown.".into());
    }
    Ordered { frames, places: None, notes }
}

/// The median of the distances between slices, if there are two slices at least.
pub(super) fn spacing(places: &Places) -> Option<f64> {
    let mut gaps: Vec<f64> = places.along.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    let (low, high) = (gaps.get(gaps.len().checked_sub(1)? / 2)?, gaps.get(gaps.len() / 2)?);
    Some((low + high) / 2.0).filter(|median| *median > 0.0)
}

/// What there is to say of distances that are not even: places that are left out, and slices that are pushed sideways.
pub(super) fn remarks(files: &[Instance], frames: &[FrameAt], places: &Places) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(median) = spacing(places) else { return notes };
    let (mut gaps, mut missing, mut uneven) = (Vec::new(), 0, Vec::new());
    for pair in places.along.windows(2) {
        let times = (pair[1] - pair[0]) / median;
        if (times - 1.0).abs() <= UNEVEN {
            continue;
        }
        let between = format!("{:.2} and {:.2} mm", pair[0], pair[1]);
        match times.round() >= 2.0 && (times - times.round()).abs() <= UNEVEN {
            true => {
                missing += times.round() as usize - 1;
                gaps.push(between);
            }
            false => uneven.push(between),
        }
    }
    if !gaps.is_empty() {
        notes.push(format!(
            "The spacing of the slices is uneven: gaps as if {missing} were missing, between {}.",
            listed(&gaps)
        ));
    }
    if !uneven.is_empty() {
        notes.push(format!(
            "The spacing of the slices is uneven: it differs from its median of {median:.2} mm between {}.",
            listed(&uneven)
        ));
    }
    notes.extend(tilt(files, frames, places));
    notes
}

/// What there is to say of slices that are pushed sideways as they go on, as by a tilted gantry.
fn tilt(files: &[Instance], frames: &[FrameAt], places: &Places) -> Option<String> {
    let last = geometry(files, *frames.last()?)?;
    let step = [0, 1, 2].map(|axis| last.position[axis] - places.first.position[axis]);
    let length = super::super::volume::dot(step, step).sqrt();
    let along = places.along.last()? - places.along.first()?;
    let degrees = (along / length).clamp(-1.0, 1.0).acos().to_degrees();
    (length > 0.0 && degrees > TILT).then(|| {
        format!("The gantry was tilted: slices are moved by {degrees:.1} degrees against their normal, which is not corrected.")
    })
}

/// Refuses slices at one place that nothing tells apart.
pub(super) fn refuse_same(name: &str, files: &[Instance], [one, other]: [FrameAt; 2]) -> Error {
    let names = format!("{} and {}", named(files, one), named(files, other));
    Error::input(
        name,
        "one slice at each position",
        format!("{names} at the same one, and nothing tells them apart"),
    )
    .hint("take one of them away, or name the files of one volume")
}

/// As [`refuse_same`], as a result.
pub(super) fn check_distinct(name: &str, files: &[Instance], ordered: &Ordered) -> Result<()> {
    let Some(places) = &ordered.places else { return Ok(()) };
    match at_same_place(places).first() {
        Some(&place) => Err(refuse_same(name, files, [ordered.frames[place], ordered.frames[place + 1]])),
        None => Ok(()),
    }
}
