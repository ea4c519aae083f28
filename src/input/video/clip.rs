//! Video files: which frames are looked at, and their pixels, decoded by the system's FFmpeg.
//!
//! Colours and rotation are those of decord, the reader of the reference script; in reference mode count and choice are,
//! too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::reading::{Chosen, Fact, Header, Measured, ReadOptions};
use super::super::sampling::{by_time, indices};
use super::super::source::Opened;
use super::container::{Depth, container, demuxer, set_up};
use super::decoding::Decoding;
use super::hollow::Hollow;
use super::painter::Painter;
use super::seek::Fetch;
use super::tables::Tables;
use super::timeline::{Pace, Packets, Timeline};
use super::track::Track;
use super::walk::Walk;
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, Study};
use crate::study::{Look, Preprocessing};
use crate::words::counted;

/// Frames a second that no camera for a clinic takes: a header that states more is wrong.
const MOST_FPS: f64 = 40_000.0;
/// Frames a second of usual recordings. Others are taken at their word, and said.
const USUAL_FPS: std::ops::RangeInclusive<f64> = 0.1..=1000.0;

/// The name of the video format that a file beginning with `head` has; 2048 bytes are enough to tell.
pub(in crate::input) fn sniff(head: &[u8]) -> Option<&'static str> {
    container(head).map(|(name, _, _)| *name)
}

/// A video. The time stamps of its packets are read, and none is decoded.
///
/// # Errors
/// [`Error::Input`] if it is damaged, or has no frame or no rate.
pub(in crate::input) fn open(opened: Opened, options: &ReadOptions) -> Result<Box<dyn Header>> {
    set_up();
    let name = opened.name().to_owned();
    let clip = Clip::open(opened, options).map_err(|error| named(&name, error))?;
    Ok(Box::new(clip))
}

struct Clip {
    opened: Opened,
    track: Track,
    /// Packets of the stream.
    packets: usize,
    /// When the frames are shown, or why that is not known.
    timeline: std::result::Result<Timeline, String>,
    preprocessing: Preprocessing,
    warnings: Vec<String>,
}

impl Clip {
    fn open(mut opened: Opened, options: &ReadOptions) -> Result<Self> {
        let tables = tables(&mut opened, options)?;
        let input = demuxer(opened.again()?, &opened, Depth::Packets)?;
        let mut track = Track::find(&input)?;
        options.budget.check_frames("", track.promised as u64)?;
        let in_header = tables.as_ref().is_some_and(|tables| tables.in_header) && track.is_listed();
        let packets = match in_header {
            true => packets(&opened, &track, options)?,
            false => Packets::read(&track, input, options)?,
        };
        let count = packets.count();
        let mut warnings = Vec::new();
        // An edit list may leave packets out of an MP4 file, whose boxes say whether it is whole.
        if track.promised > count && tables.is_none_or(|tables| !tables.is_whole) {
            let promised = track.promised;
            warnings.push(format!(
                "The file announces {promised} frames but holds only {count}; it may be cut off."
            ));
        }
        warnings.append(&mut track.warnings);
        let timeline = Timeline::of(packets, track.unit);
        let preprocessing = options.preprocessing;
        Ok(Self { opened, track, packets: count, timeline, preprocessing, warnings })
    }

    /// Whether frames are counted by their place in the timeline, and not as they come out of the decoder.
    fn by_stamps(&self) -> bool {
        self.preprocessing == Preprocessing::Clinical && self.timeline.is_ok()
    }

    /// Frames that there are to look at.
    fn count(&self) -> usize {
        match &self.timeline {
            Ok(timeline) if self.by_stamps() => timeline.count(),
            _ => self.packets,
        }
    }

    /// Which frames are looked at, and what there is to say about it.
    fn choice(&mut self, look: &Look) -> Result<(Choice, Vec<String>)> {
        if let Some([first, last]) = look.every_of("", self.count())? {
            let places = (first..=last).collect();
            let choice = if self.by_stamps() { Choice::Stamps(places) } else { Choice::Numbers(places) };
            return Ok((choice, Vec::new()));
        }
        let stated = self.track.fps;
        let preprocessing = self.preprocessing;
        let timeline = match &self.timeline {
            Ok(timeline) if preprocessing == Preprocessing::Clinical => timeline,
            other => {
                let reckoned = format!("{} at {stated:.3} a second", counted(self.packets, "frame"));
                match other {
                    Ok(timeline) => self.warnings.extend(disagreement(timeline, stated, &reckoned)),
                    Err(reason) => {
                        self.warnings.push(format!("{reason}: times are reckoned from {reckoned}."))
                    }
                }
                self.warnings.extend(unusual(stated, preprocessing)?);
                let (numbers, notes) = indices(look, self.packets, stated)?;
                return Ok((Choice::Numbers(numbers), notes));
            }
        };
        let (chosen, notes) = match timeline.pace(stated) {
            Pace::Steady(fps) => {
                self.warnings.extend(unusual(fps, preprocessing)?);
                if (fps / stated - 1.0).abs() > 0.01 {
                    self.warnings.push(format!(
                        "The header states {stated:.3} frames a second, the time stamps {fps:.3}: these hold."
                    ));
                }
                indices(look, timeline.count(), fps)?
            }
            Pace::Uneven(duration) => {
                self.warnings.push(format!(
                    "The frames follow unevenly, up to {:.3} seconds apart: they are chosen by their time stamps.",
                    timeline.longest_step()
                ));
                by_time(look, duration, |time| timeline.on_display(time))?
            }
        };
        if timeline.hidden > 0 {
            self.warnings.push(format!(
                "The edit list of the file hides {} of {} frames: they are not looked at.",
                timeline.hidden,
                timeline.hidden + timeline.headless + timeline.count()
            ));
        }
        if timeline.headless > 0 {
            self.warnings.push(format!(
                "The recording begins inside a group of pictures: {} before the first key frame cannot be decoded.",
                counted(timeline.headless, "frame")
            ));
        }
        Ok((Choice::Stamps(chosen), notes))
    }
}

/// The packets of an MP4 file, from its header if that names the key frames. A header that names none means all.
fn packets(opened: &Opened, track: &Track, options: &ReadOptions) -> Result<Packets> {
    let packets = listed(opened, track, options)?;
    match packets.are_all_keys() && !track.is_intra() {
        true => Packets::read(track, demuxer(opened.again()?, opened, Depth::Packets)?, options),
        false => Ok(packets),
    }
}

/// The packets of an MP4 file, from its header alone.
pub(super) fn listed(opened: &Opened, track: &Track, options: &ReadOptions) -> Result<Packets> {
    let is_hollow = Arc::new(AtomicBool::new(false));
    let hollow = Hollow { opened: opened.again()?, is_hollow: is_hollow.clone() };
    let input = demuxer(hollow, opened, Depth::Lists)?;
    is_hollow.store(true, Ordering::Relaxed);
    Packets::read(track, input, options)
}

/// What the reference's times are wrong by, where they are.
fn disagreement(timeline: &Timeline, stated: f64, reckoned: &str) -> Option<String> {
    let agrees = timeline.pace(stated) == Pace::Steady(stated) && timeline.hidden + timeline.headless == 0;
    (!agrees).then(|| {
        format!(
            "By their time stamps, frames are shown up to {:.3} seconds off the times that the reference script reckons \
             from {reckoned}. With clinical preprocessing the time stamps hold.",
            timeline.most_off(stated)
        )
    })
}

/// What is said of a rate that few recordings have.
///
/// # Errors
/// [`Error::Input`] if none has it, unless it is the script that is followed.
fn unusual(fps: f64, preprocessing: Preprocessing) -> Result<Option<String>> {
    if fps > MOST_FPS && preprocessing == Preprocessing::Clinical {
        return Err(Error::input(
            "",
            format!("at most {MOST_FPS} frames a second"),
            format!("{fps:.0}, which is not to be believed"),
        )
        .hint("state the true rate, such as 30: ffmpeg -r 30 -i FILE -c copy NEW.mkv"));
    }
    Ok((!USUAL_FPS.contains(&fps)).then(|| {
        format!("The video states {fps:.3} frames a second: where that is not so, all times of its frames are wrong.")
    }))
}

/// The frames that are looked at.
enum Choice {
    /// By their number in the order in which they come out of the decoder.
    Numbers(Vec<usize>),
    /// By their place in the timeline.
    Stamps(Vec<usize>),
}

impl Header for Clip {
    fn modality(&self) -> Modality {
        Modality::Video
    }

    fn facts(&self) -> Vec<Fact> {
        let stated = self.track.fps;
        let by_rate = (self.packets, Some(stated), self.packets as f64 / stated);
        let (frames, rate, seconds) = self.timeline.as_ref().map_or(by_rate, |timeline| {
            let rate = match timeline.pace(stated) {
                Pace::Steady(fps) => Some(fps),
                Pace::Uneven(_) => None,
            };
            (timeline.count(), rate, timeline.duration(stated))
        });
        let mut facts =
            vec![Fact::text("codec", self.track.codec_name()), Fact::numbers("frames", [frames as f64])];
        facts.extend(rate.map(|rate| Fact::numbers("frames_per_second", [rate])));
        facts.push(Fact::numbers("duration_s", [seconds]));
        facts
    }

    fn choose(mut self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        let (choice, notes) = self.choice(look).map_err(|error| named(self.opened.name(), error))?;
        Ok(Box::new(Picked { clip: *self, choice, notes }))
    }
}

struct Picked {
    clip: Clip,
    choice: Choice,
    /// What there is to say of the choice.
    notes: Vec<String>,
}

impl Picked {
    fn frames(&mut self, options: &ReadOptions) -> Result<Vec<Frame>> {
        let Self { clip: Clip { opened, track, packets, timeline, warnings, .. }, choice, notes } = self;
        let again = || demuxer(opened.again()?, opened, Depth::Packets);
        let mut decoding = Decoding::new(track, again()?, &options.watch)?;
        let (Choice::Numbers(places) | Choice::Stamps(places)) = &*choice;
        let mut painter = Painter::new(track.rotation, places.len(), options.budget);
        let (pictures, damaged, said);
        match (&*choice, timeline) {
            (Choice::Stamps(places), Ok(timeline)) => {
                let mut fetch = Fetch::new(decoding, timeline, &mut painter, &again);
                let fetched = fetch.fetch(places)?;
                damaged = fetch.decoding.damaged;
                said = (!fetched.instead.is_empty()).then(|| {
                    format!(
                        "{} of the chosen frames do not come out of the decoder; those before stand for them.",
                        fetched.instead.len()
                    )
                });
                pictures = frames(places, fetched.pictures(places))?;
            }
            _ => {
                let walk = Walk::new(&mut decoding, &mut painter, places)?;
                damaged = decoding.damaged;
                // Mostly those before the cut in a clip that was cut without re-encoding. Decord counts them too.
                said = walk.fell_short.then(|| {
                    format!(
                        "Of {packets} frames only {} come out of the decoder; the last of them stands for the others.",
                        walk.decoded
                    )
                });
                pictures = frames(places, walk.pictures(places))?;
            }
        }
        warnings.extend(said);
        warnings.append(notes);
        if damaged > 0 {
            warnings.push(format!("Damaged places in the video: {damaged}; frames may be wrong."));
        }
        if painter.depth > 8 {
            let depth = painter.depth;
            warnings.push(format!("Samples of {depth} bits are scaled to 8, all by their whole range."));
        }
        Ok(pictures)
    }
}

/// The chosen frames in order, each with its picture.
fn frames(places: &[usize], pictures: Vec<Option<&Frame>>) -> Result<Vec<Frame>> {
    let missing = |place: usize| {
        Error::input(format!("frame {place}"), "a picture", "nothing that can be decoded")
            .hint("the file is damaged: copy it again, or convert it anew")
    };
    places
        .iter()
        .zip(pictures)
        .map(|(place, picture)| picture.cloned().ok_or_else(|| missing(*place)))
        .collect()
}

impl Chosen for Picked {
    fn measured(&self) -> Measured {
        let (Choice::Numbers(places) | Choice::Stamps(places)) = &self.choice;
        let sizes = vec![self.clip.track.size; places.len()];
        Measured { modality: Modality::Video, sizes, count: self.clip.count() }
    }

    fn read(mut self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let frames = self.frames(options).map_err(|error| named(self.clip.opened.name(), error))?;
        let Clip { opened, warnings, .. } = self.clip;
        Ok(Study { modality: Modality::Video, source: opened.name().to_owned(), frames, warnings })
    }
}

/// What the boxes of an MP4 or QuickTime file state; none of another file.
///
/// # Errors
/// [`Error::Input`] if it is more than the file can hold, or the file is a segment alone.
fn tables(opened: &mut Opened, options: &ReadOptions) -> Result<Option<Tables>> {
    let length = opened.length();
    let Some((_, "mp4" | "mov", _)) = container(opened.head()) else { return Ok(None) };
    let tables = Tables::survey(opened, length, options.budget.declared_frames)?;
    if !tables.has_header && opened.head().get(4..8) == Some(b"styp") {
        return Err(Error::input("", "a video with its header", "a segment of a stream without it")
            .hint("put its initialisation segment before it: cat INIT SEGMENT > NEW.mp4"));
    }
    Ok(Some(tables))
}

/// The same error with the file before what it is about.
fn named(name: &str, mut error: Error) -> Error {
    if let Error::Input(facts) | Error::Request(facts) = &mut error {
        let detail = std::mem::take(&mut facts.thing);
        facts.thing = if detail.is_empty() { name.to_owned() } else { format!("{name}, {detail}") };
    }
    error
}
