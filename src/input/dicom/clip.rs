//! Clips and single pictures.

use super::super::reading::{Chosen, Fact, Measured, ReadOptions};
use super::instance::{Instance, Role};
use super::shown::pictures;
use super::tag;
use super::times::{chosen, seconds};
use crate::error::{Error, Result};
use crate::frame::{Modality, Provenance, Study};
use crate::study::{Look, Windowing};

/// The frames of a file that are looked at.
pub(super) struct Picked {
    name: String,
    file: Instance,
    modality: Modality,
    places: Vec<(usize, Provenance)>,
    windowing: Option<Windowing>,
    /// Whether each frame is shown as if it were the only one.
    apart: bool,
    notes: Vec<String>,
}

/// Chooses the frames of a clip, or the picture.
///
/// # Errors
/// [`Error::Request`] if a part of a clip is asked for that it does not have.
pub(super) fn choose(name: &str, file: Instance, mut notes: Vec<String>, look: &Look) -> Result<Picked> {
    let modality = if file.role == Role::Clip { Modality::Video } else { Modality::Image };
    let place = |index: usize, seconds: Option<f64>| {
        let part = file.place.part.clone();
        match modality {
            Modality::Video => {
                Provenance { modality, index: Some(index), seconds, part, ..Provenance::default() }
            }
            _ => Provenance { part, ..Provenance::default() },
        }
    };
    let places = match modality {
        Modality::Video => {
            let frames = file.layout.frames;
            // A segmentation has frames, but not in time.
            let times = match file.modality() {
                "SEG" => None,
                _ => seconds(&file.scanned.set, frames),
            };
            let (places, said) = match look.every_of(name, frames)? {
                Some([first, last]) => ((first..=last).collect(), Vec::new()),
                None => chosen(look, frames, times.as_deref()).map_err(|mut error| {
                    let facts = error.facts_mut();
                    facts.thing = format!("{name}: {}", facts.thing);
                    error
                })?,
            };
            notes.extend(said);
            let time = |index: usize| times.as_ref().and_then(|times| times.get(index).copied());
            places.into_iter().map(|index| (index, place(index, time(index)))).collect()
        }
        _ => {
            look.every_of(name, 1)?;
            vec![(0, place(0, None))]
        }
    };
    if look.window.is_some() && file.layout.is_colour() && !look.is_shared() {
        return Err(
            Error::request(format!("{name}: window"), "a grey picture", "one in colour").hint("leave it out")
        );
    }
    if file.is_mosaic() {
        notes.push(
            "The picture is a MOSAIC: all slices of a volume laid side by side, as Siemens stores them. Convert it to a volume \
             to look at its slices."
                .into(),
        );
    }
    let windowing = look.window;
    let apart = look.every.is_some();
    Ok(Picked { name: name.into(), file, modality, places, windowing, apart, notes })
}

impl Chosen for Picked {
    fn measured(&self) -> Measured {
        let layout = self.file.layout;
        let sizes = vec![[layout.columns, layout.rows]; self.places.len()];
        let count = if self.modality == Modality::Video { layout.frames } else { 1 };
        Measured { modality: self.modality, sizes, count }
    }

    fn facts(&self) -> Vec<Fact> {
        vec![
            Fact::numbers("frames", [self.file.layout.frames as f64]),
            Fact::texts("notes", self.notes.clone()),
        ]
    }

    fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let Self { name, file, modality, places, windowing, apart, mut notes } = *self;
        // A frame that is looked at several times is decoded once.
        let mut distinct = places.clone();
        distinct.dedup_by_key(|(index, _)| *index);
        let shown = pictures(&file, &distinct, (windowing, apart), options)?;
        notes.extend(shown.notes);
        let mut frames = Vec::with_capacity(places.len());
        let mut next = 0;
        for (place, (index, _)) in places.iter().enumerate() {
            next += usize::from(place > 0 && places[place - 1].0 != *index);
            frames.extend(shown.frames.get(next).cloned());
        }
        if file.scanned.set.word(tag::PHOTOMETRIC_INTERPRETATION).is_none() {
            notes.push("The file does not say what its numbers are: low ones are shown dark.".into());
        }
        Ok(Study { modality, source: name, frames, warnings: notes })
    }
}
