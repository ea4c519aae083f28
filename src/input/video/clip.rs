//! Video files: which frames are looked at, and their pixels, decoded by the system's FFmpeg.
//!
//! Count, choice, colours and rotation are those of decord, the reader of the reference script.

use std::io::Seek;
use std::sync::Once;

use ffmpeg_next as ffmpeg;

use ffmpeg::format::context;

use super::super::reading::{Chosen, Header, Measured, ReadOptions};
use super::super::sampling::indices;
use super::super::source::Opened;
use super::container::container;
use super::track::Track;
use super::walk::walk;
use crate::error::{Error, Result};
use crate::frame::{Modality, Study};
use crate::study::Look;

/// The name of the video format that a file beginning with `head` has; 600 bytes are enough to tell.
pub(in crate::input) fn sniff(head: &[u8]) -> Option<&'static str> {
    container(head).map(|(name, _, _)| *name)
}

/// A video. Its packets are counted, one a frame, and none is decoded.
///
/// # Errors
/// [`Error::Input`] if it is damaged, or has no frame or no rate.
pub(in crate::input) fn open(opened: Opened, options: &ReadOptions) -> Result<Box<dyn Header>> {
    static SET_UP: Once = Once::new();
    SET_UP.call_once(|| {
        // Without it FFmpeg's errors have no text; nothing of what can fail in it is needed here.
        let _ = ffmpeg::init();
        // FFmpeg writes to stderr whatever it finds odd; what matters is said in warnings and errors.
        ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
    });
    let name = opened.name().to_owned();
    let header = || {
        let mut input = demuxer(opened.again()?)?;
        let track = Track::find(&input)?;
        options.budget.check_frames("", track.promised as u64)?;
        let frames = track.count(&mut input, &options.watch)?;
        options.budget.check_frames("", frames as u64)?;
        Ok((track, frames))
    };
    let (track, frames) = header().map_err(|error| named(&name, error))?;
    Ok(Box::new(Clip { name, opened, track, frames }))
}

struct Clip {
    name: String,
    opened: Opened,
    track: Track,
    frames: usize,
}

impl Header for Clip {
    fn modality(&self) -> Modality {
        Modality::Video
    }

    fn choose(mut self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        let mut warnings = Vec::new();
        if self.track.promised > self.frames {
            warnings.push(format!(
                "The file announces {} frames but holds only {}; it may be cut off.",
                self.track.promised, self.frames
            ));
        }
        warnings.append(&mut self.track.warnings);
        let indices = indices(look, self.frames, self.track.fps);
        let (places, notes) = indices.map_err(|error| named(&self.name, error))?;
        Ok(Box::new(Picked { clip: *self, places, warnings, notes }))
    }
}

struct Picked {
    clip: Clip,
    /// Index of each frame in display order.
    places: Vec<usize>,
    warnings: Vec<String>,
    /// What there is to say of the choice.
    notes: Vec<String>,
}

impl Chosen for Picked {
    fn measured(&self) -> Measured {
        Measured { modality: Modality::Video, sizes: vec![self.clip.track.size; self.places.len()] }
    }

    fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let Self { clip, places, mut warnings, mut notes } = *self;
        let Clip { name, opened, track, frames: count } = clip;
        let walked = demuxer(opened).and_then(|mut input| walk(&track, &mut input, &places, options));
        let walked = walked.map_err(|error| named(&name, error))?;
        // Mostly those before the cut in a clip that was cut without re-encoding. Decord counts them too.
        if walked.fell_short() {
            warnings.push(format!(
                "Of {count} frames only {} come out of the decoder; the last of them stands for the others.",
                walked.decoded
            ));
        }
        warnings.append(&mut notes);
        if walked.damaged > 0 {
            warnings.push(format!("Damaged places in the video: {}; frames may be wrong.", walked.damaged));
        }
        let frames = walked.frames(&places).map_err(|error| named(&name, error))?;
        Ok(Study { modality: Modality::Video, source: name, frames, warnings })
    }
}

/// The file, by the demuxer its first bytes call for.
fn demuxer(mut opened: Opened) -> Result<context::Input> {
    // Another demuxer may have moved the place in the file that both share.
    opened.rewind().map_err(|error| opened.unreadable(error))?;
    let Some((name, demuxer, _)) = container(opened.head()) else {
        return Err(Error::input("", "a video", "something else"));
    };
    let io = context::StreamIo::from_read_seek(opened);
    let io = io.map_err(|error| Error::input("", "memory to read the video", error))?;
    let mut options = ffmpeg::Dictionary::new();
    options.set("format_whitelist", demuxer);
    options.set("protocol_whitelist", "none");
    ffmpeg::format::input_from_stream(io, None, Some(options)).map_err(|error| {
        Error::input("", format!("a whole {name} video"), error)
            .hint("the file may be cut off: try to play it, or copy it again")
    })
}

/// The same error with the file before what it is about.
fn named(name: &str, mut error: Error) -> Error {
    if let Error::Input(facts) | Error::Request(facts) = &mut error {
        let detail = std::mem::take(&mut facts.thing);
        facts.thing = if detail.is_empty() { name.to_owned() } else { format!("{name}, {detail}") };
    }
    error
}
