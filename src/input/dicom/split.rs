//! Volumes of one series that lie at the same places: points in time, echoes.

use std::collections::BTreeSet;

use super::instance::Instance;
use super::order::{Ordered, check_distinct, most_at_one_place, ordered};
use super::series::FrameAt;
use super::tag;
use crate::error::{Error, Result};

/// What tells volumes apart, in the order in which it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    TemporalPosition,
    Acquisition,
    Echo,
    AcquisitionTime,
}

const ATTRIBUTES: [Attribute; 4] =
    [Attribute::TemporalPosition, Attribute::Acquisition, Attribute::Echo, Attribute::AcquisitionTime];

/// Which volume of several is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// Counted from 0.
    pub(super) time: Option<usize>,
    /// Counted from 1, as echoes are.
    pub(super) echo: Option<usize>,
}

/// A number that rises with the attribute's value; 0 where it is absent.
fn value(file: &Instance, frame: usize, attribute: Attribute) -> i64 {
    let (set, groups) = (&file.scanned.set, file.groups(frame));
    let content = groups.nested(tag::FRAME_CONTENT_SEQUENCE);
    // Times of day and of echoes have decimals.
    let precise = |number: f64| (number * 1000.0).round() as i64;
    let found = match attribute {
        Attribute::TemporalPosition => content
            .and_then(|content| content.whole(tag::TEMPORAL_POSITION_INDEX))
            .or_else(|| set.whole(tag::TEMPORAL_POSITION_IDENTIFIER)),
        Attribute::Acquisition => content
            .and_then(|content| content.whole(tag::FRAME_ACQUISITION_NUMBER))
            .or_else(|| set.whole(tag::ACQUISITION_NUMBER)),
        Attribute::Echo => groups
            .nested(tag::MR_ECHO_SEQUENCE)
            .and_then(|echo| echo.number(tag::EFFECTIVE_ECHO_TIME))
            .map(precise)
            .or_else(|| set.whole(tag::ECHO_NUMBERS)),
        Attribute::AcquisitionTime => set.number(tag::ACQUISITION_TIME).map(precise),
    };
    found.unwrap_or(0)
}

/// The slices of one volume, in order, of all that a series has.
///
/// # Errors
/// [`Error::Input`] naming two files at one place that nothing tells apart, [`Error::Request`] if there is no such time or echo.
pub(super) fn one_volume(
    name: &str,
    files: &[Instance],
    frames: Vec<FrameAt>,
    asked: Asked,
) -> Result<Ordered> {
    let all = ordered(files, frames);
    let volumes = all.places.as_ref().map_or(1, most_at_one_place);
    let attributes = if volumes > 1 { telling_apart(files, &all.frames, volumes) } else { Vec::new() };
    if volumes > 1 && attributes.is_empty() {
        check_distinct(name, files, &all)?;
    }
    let of_time: Vec<_> =
        attributes.iter().copied().filter(|attribute| *attribute != Attribute::Echo).collect();
    let of_echo: Vec<_> =
        attributes.iter().copied().filter(|attribute| *attribute == Attribute::Echo).collect();
    let key = |at: &FrameAt, attributes: &[Attribute]| -> Vec<i64> {
        attributes.iter().map(|attribute| value(&files[at.file], at.frame, *attribute)).collect()
    };
    let keys = |attributes: &[Attribute]| -> Vec<Vec<i64>> {
        all.frames.iter().map(|at| key(at, attributes)).collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (times, echoes) = (keys(&of_time), keys(&of_echo));
    let time = place(name, "time", asked.time, [0, times.len().saturating_sub(1)])?;
    let echo = place(name, "echo", asked.echo, [1, echoes.len().max(1)])? - 1;
    let mut notes = all.notes;
    for (what, count, option) in [("points in time", times.len(), "time"), ("echoes", echoes.len(), "echo")] {
        if count > 1 {
            let which = if option == "time" { time } else { echo + 1 };
            notes.push(format!("The series holds {count} {what}: {option} {which} is looked at, another is chosen by {option}."));
        }
    }
    let is_asked = |at: &FrameAt| {
        times.get(time).is_none_or(|time| *time == key(at, &of_time))
            && echoes.get(echo).is_none_or(|echo| *echo == key(at, &of_echo))
    };
    let mut one = ordered(files, all.frames.into_iter().filter(is_asked).collect());
    if one.frames.is_empty() {
        let got = format!("time {time} and echo {}, which no slice has", echo + 1);
        return Err(Error::request(format!("{name}: time, echo"), "a time and an echo of one volume", got)
            .hint("choose another time or another echo"));
    }
    check_distinct(name, files, &one)?;
    one.notes = notes;
    Ok(one)
}

/// A number within its bounds; the lowest if none is asked for.
fn place(name: &str, option: &str, asked: Option<usize>, [first, last]: [usize; 2]) -> Result<usize> {
    match asked.unwrap_or(first) {
        number if (first..=last).contains(&number) => Ok(number),
        number => {
            let wanted = if first == last { first.to_string() } else { format!("{first} to {last}") };
            Err(Error::request(format!("{name}: {option}"), wanted, number)
                .hint("correct it, or leave it out"))
        }
    }
}

/// The attributes that tell apart as many volumes as lie at one place: one of them, or two together.
fn telling_apart(files: &[Instance], frames: &[FrameAt], volumes: usize) -> Vec<Attribute> {
    let singles = ATTRIBUTES.iter().map(|attribute| vec![*attribute]);
    let pairs = ATTRIBUTES
        .iter()
        .enumerate()
        .flat_map(|(place, one)| ATTRIBUTES[place + 1..].iter().map(move |other| vec![*one, *other]));
    let tells = |attributes: &Vec<Attribute>| {
        let mut groups: Vec<(Vec<i64>, Vec<FrameAt>)> = Vec::new();
        for at in frames {
            let key: Vec<_> =
                attributes.iter().map(|attribute| value(&files[at.file], at.frame, *attribute)).collect();
            match groups.iter().position(|(known, _)| *known == key) {
                Some(place) => groups[place].1.push(*at),
                None if groups.len() == volumes => return false,
                None => groups.push((key, vec![*at])),
            }
        }
        let distinct = |frames: Vec<FrameAt>| {
            ordered(files, frames).places.is_some_and(|places| most_at_one_place(&places) == 1)
        };
        groups.len() == volumes && groups.into_iter().all(|(_, group)| distinct(group))
    };
    singles.chain(pairs).find(tells).unwrap_or_default()
}
