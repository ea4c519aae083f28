//! An animated picture as a clip: its pictures are the frames, and how long they are shown gives the time stamps.

use super::super::reading::{Chosen, Header, Measured, ReadOptions};
use super::super::sampling::{by_time, indices};
use super::super::source::{Bytes, Opened};
use super::canvas::Canvas;
use super::file;
use super::formats::{Format, Moving};
use super::reel::{Outline, Reel};
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, PixelMode, Provenance, Study};
use crate::study::{Look, Preprocessing};

/// The name of the image format, one that can be animated, that a file beginning with `head` has.
pub(in crate::input) fn sniff(head: &[u8]) -> Option<&'static str> {
    Format::of(head).filter(|format| format.moving.is_some()).map(|format| format.name)
}

/// The clip in a file, which is read as a whole; of a single picture, the picture.
///
/// # Errors
/// [`Error::Input`] if it is damaged or too large.
pub(in crate::input) fn open(opened: Opened, options: &ReadOptions) -> Result<Box<dyn Header>> {
    let name = opened.name().to_owned();
    let bytes = opened.into_bytes(&options.budget)?;
    let Some(moving) = Format::of(&bytes).and_then(|format| format.moving) else {
        return Err(Error::input(name, "the same file again", "another")
            .hint("it changed while it was read: try again"));
    };
    let outline = (moving.outline)(&bytes, options).map_err(|fault| fault.named(&name))?;
    if outline.durations.len() < 2 {
        return file::of_bytes(name, bytes, options);
    }
    Ok(Box::new(Animation { name, bytes, moving, outline }))
}

struct Animation {
    name: String,
    bytes: Bytes,
    moving: Moving,
    outline: Outline,
}

impl Header for Animation {
    fn modality(&self) -> Modality {
        Modality::Video
    }

    fn choose(self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        let durations = &self.outline.durations;
        let mut end = 0.0;
        let starts: Vec<f64> = durations.iter().map(|duration| (end, end += duration).0).collect();
        let mut warnings = Vec::new();
        let (shortest, longest) = durations
            .iter()
            .fold((f64::MAX, 0.0_f64), |(low, high), &duration| (low.min(duration), high.max(duration)));
        let choice = match (look.every_of(&self.name, durations.len())?, shortest == longest) {
            (Some([first, last]), _) => Ok(((first..=last).collect(), Vec::new())),
            (None, true) => indices(look, durations.len(), 1.0 / longest),
            (None, false) => {
                warnings.push(format!(
                    "The frames follow unevenly, up to {longest:.3} seconds apart: they are chosen by their time stamps."
                ));
                // A time in decimals may fall short of a stamp by a rounding error.
                let on_display = |time: f64| starts.partition_point(|&start| start <= time + 1e-9);
                by_time(look, end, |time| on_display(time).saturating_sub(1))
            }
        };
        let (places, notes) = choice.map_err(|mut error| {
            let facts = error.facts_mut();
            facts.thing = format!("{}, {}", self.name, facts.thing);
            error
        })?;
        warnings.extend(notes);
        Ok(Box::new(Picked { animation: *self, starts, places, warnings }))
    }
}

struct Picked {
    animation: Animation,
    /// When each picture appears, in seconds.
    starts: Vec<f64>,
    /// The number of each frame among the pictures.
    places: Vec<usize>,
    warnings: Vec<String>,
}

impl Chosen for Picked {
    fn measured(&self) -> Measured {
        let (width, height) = self.animation.outline.size;
        let sizes = vec![[width, height]; self.places.len()];
        Measured { modality: Modality::Video, sizes, count: self.starts.len() }
    }

    fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let Self { animation, starts, places, mut warnings } = *self;
        let Animation { name, bytes, moving, outline } = animation;
        let named = |fault: super::picture::Fault| fault.named(&name);
        let canvas = Canvas::new(outline.size, &options.budget).map_err(named)?;
        let mut reel = Reel::new(canvas, &places, options.preprocessing);
        (moving.play)(&bytes, options, &mut reel).map_err(named)?;
        options.watch.check()?;
        let (width, height) = reel.size();
        let mut frames: Vec<Frame> = Vec::with_capacity(places.len());
        for &place in &places {
            let known = frames.iter().find(|frame| frame.provenance().index == Some(place)).cloned();
            let frame = match known {
                Some(frame) => frame,
                None => {
                    let samples = reel.take(place).map_err(named)?;
                    let provenance = Provenance::video(place, starts[place]);
                    Frame::new(width, height, PixelMode::Rgb, samples, provenance)?
                }
            };
            frames.push(frame);
        }
        if reel.is_seen_through {
            warnings.push(match options.preprocessing {
                Preprocessing::Clinical => "Transparent parts of the frames were laid on white.".into(),
                Preprocessing::Reference => {
                    "Transparent parts of the frames show the colours that they hide.".into()
                }
            });
        }
        Ok(Study { modality: Modality::Video, frames, source: name, warnings })
    }
}
