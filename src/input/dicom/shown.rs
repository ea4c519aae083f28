//! Frames of a file as pictures.

use super::super::reading::ReadOptions;
use super::colour::Colours;
use super::frames::Frames;
use super::grey::{Shown, Values, not_measured};
use super::instance::{Instance, is_narrow};
use super::layout::Layout;
use super::modality::Rescale;
use super::padding::Padding;
use super::voi::{Voi, is_inverse};
use crate::error::{Error, Result};
use crate::frame::{Frame, PixelMode, Provenance};
use crate::study::Windowing;

/// Pictures, and what there is to say of them.
pub(super) struct Pictures {
    pub(super) frames: Vec<Frame>,
    pub(super) notes: Vec<String>,
}

/// The frames with these numbers, each with the place that it is given. Those without a window have one range, or each its own
/// if they are shown `apart`.
///
/// # Errors
/// [`Error::Input`] naming the file if it is damaged, [`Error::Request`] if a window is asked of a colour picture or of a file
/// that has none.
pub(super) fn pictures(
    file: &Instance,
    places: &[(usize, Provenance)],
    (windowing, apart): (Option<Windowing>, bool),
    options: &ReadOptions,
) -> Result<Pictures> {
    let frames = Frames::open(&file.place, &file.scanned, file.layout, options)?;
    if file.layout.is_colour() {
        let colours = Colours::of(&file.place, &file.scanned.set, &file.layout)?;
        let coloured = |(number, provenance): &(usize, Provenance)| {
            let rgb = colours.rgb(&frames.unpack(*number, &options.watch)?);
            picture(file, PixelMode::Rgb, rgb, provenance.clone())
        };
        return Ok(Pictures {
            frames: places.iter().map(coloured).collect::<Result<_>>()?,
            notes: Vec::new(),
        });
    }
    let mut unpacked = Vec::with_capacity(places.len());
    for (number, _) in places {
        unpacked.push((
            frames.unpack(*number, &options.watch)?,
            Rescale::of(&file.place.name, file.groups(*number), file.layout.sign)?,
        ));
    }
    let padding = Padding::of(&file.scanned.set, &file.layout);
    let inverse = is_inverse(&file.scanned.set, &file.layout);
    let of = |(frame, rescale)| Values { frame, rescale, padding, inverse };
    let values: Vec<Values<'_>> = unpacked.iter().map(|(frame, rescale)| of((frame, rescale))).collect();
    // One range for all frames: a range of its own for each would make a clip flicker.
    let range = || {
        values
            .iter()
            .filter_map(Values::range)
            .reduce(|[low, high], [lower, higher]| [low.min(lower), high.max(higher)])
    };
    let mut notes = not_measured(&values);
    let mut shown = Vec::with_capacity(places.len());
    let mut found = None;
    for ((number, provenance), values) in places.iter().zip(&values) {
        let way = match way(file, *number, values.rescale, windowing)? {
            Some(way) => way,
            None if apart => Shown::Range(*found.insert(values.range().unwrap_or_default())),
            None => Shown::Range(*found.get_or_insert_with(|| range().unwrap_or_default())),
        };
        let (grey, window) = values.grey(&way);
        let provenance = Provenance { window: window.or(provenance.window), ..provenance.clone() };
        shown.push(picture(file, PixelMode::Grey, grey, provenance)?);
    }
    if let Some([low, high]) = found.filter(|_| windowing.is_none()) {
        let why = match Voi::of(&file.place.name, file.groups(places[0].0), file.layout.sign)?.has_unlawful {
            true => "has a window without a lawful width",
            false => "has no window",
        };
        notes.push(format!("The file {why}: its values from {low} to {high} are shown."));
    }
    Ok(Pictures { frames: shown, notes })
}

fn picture(file: &Instance, mode: PixelMode, samples: Vec<u8>, provenance: Provenance) -> Result<Frame> {
    Frame::new(file.layout.columns, file.layout.rows, mode, samples, provenance)
}

/// How a frame is shown; `None` where its range, or that of all frames, is what is left.
fn way(
    file: &Instance,
    frame: usize,
    rescale: &Rescale,
    windowing: Option<Windowing>,
) -> Result<Option<Shown>> {
    let name = &file.place.name;
    let Voi { table, windows, .. } = Voi::of(name, file.groups(frame), file.layout.sign)?;
    Ok(match windowing {
        Some(Windowing::Window(window)) => Some(Shown::Window(window)),
        Some(Windowing::OwnRange) => None,
        Some(Windowing::File(number)) if number > 1 || (windows.is_empty() && table.is_none()) => {
            let window = windows.get(number - 1).copied().ok_or_else(|| {
                Error::request(format!("{name}: window"), format!("file:1 to file:{}", windows.len()), number)
                    .hint("name a centre and a width")
            })?;
            Some(Shown::Window(window))
        }
        _ => match (table, windows.first()) {
            (Some(table), _) => Some(Shown::Table(table)),
            (None, Some(window)) => Some(Shown::Window(*window)),
            (None, None) => usual(&file.layout, rescale),
        },
    })
}

/// How values are shown that have neither table nor window; `None` where their range is what is left.
pub(super) fn usual(layout: &Layout, rescale: &Rescale) -> Option<Shown> {
    (is_narrow(layout) && *rescale == Rescale::Identity).then_some(Shown::AsStored)
}
