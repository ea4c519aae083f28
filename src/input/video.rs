//! Video files: which frames are looked at, and their pixels, decoded by the system's FFmpeg.
//!
//! Count, choice, colours and rotation are those of decord, the reader of the reference script.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::sync::Once;

use ffmpeg_next as ffmpeg;

use ffmpeg::codec::{self, packet, threading};
use ffmpeg::format::{context, stream::Disposition};
use ffmpeg::frame::Video;
use ffmpeg::{Packet, filter, media};

use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, PixelMode, Provenance, Study};
use crate::study::{Look, Source};

mod container;
mod sampling;

use container::container;
use sampling::indices;

/// Pixels of one study that are held at once.
const MAX_BYTES: usize = 4 << 30;

/// Consecutive failures after which a demuxer or decoder is taken to be stuck.
const MAX_FAILURES: usize = 1024;

/// The name of the video format that a file beginning with `head` has; 600 bytes are enough to tell.
pub(super) fn is_video(head: &[u8]) -> Option<&'static str> {
    container(head).map(|(name, _, _)| *name)
}

/// The chosen frames of a video.
pub(super) fn read(source: &Source, look: &Look) -> Result<Study> {
    study(source, look).map_err(|mut error| {
        if let Error::Input(facts) = &mut error {
            let detail = std::mem::take(&mut facts.thing);
            facts.thing =
                if detail.is_empty() { source.name() } else { format!("{}, {detail}", source.name()) };
        }
        error
    })
}

fn study(source: &Source, look: &Look) -> Result<Study> {
    static SET_UP: Once = Once::new();
    SET_UP.call_once(|| {
        // Without it FFmpeg's errors have no text; nothing of what can fail in it is needed here.
        let _ = ffmpeg::init();
        // FFmpeg writes to stderr whatever it finds odd; what matters is said in warnings and errors.
        ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
    });
    let mut warnings = Vec::new();
    let mut track = Track::find(&open(source)?)?;
    let frames = track.count(&mut open(source)?)?;
    if track.promised > frames {
        warnings.push(format!(
            "The file announces {} frames but holds only {frames}; it may be cut off.",
            track.promised
        ));
    }
    warnings.append(&mut track.warnings);
    let (chosen, mut notes) = indices(look, frames, track.fps)?;
    let walk = track.walk(&mut open(source)?, &chosen)?;
    // Mostly those before the cut in a clip that was cut without re-encoding. Decord counts them too.
    if walk.ended && !walk.is_done() {
        warnings.push(format!(
            "Of {frames} frames only {} come out of the decoder; the last of them stands for the others.",
            walk.decoded
        ));
    }
    warnings.append(&mut notes);
    if walk.damaged > 0 {
        warnings.push(format!("Damaged places in the video: {}; frames may be wrong.", walk.damaged));
    }
    let frames = walk.frames(&chosen)?;
    Ok(Study { modality: Modality::Video, source: source.name(), frames, warnings })
}

/// The file, by the demuxer its first bytes call for.
fn open(source: &Source) -> Result<context::Input> {
    let unreadable = |e: std::io::Error| Error::input("", "a video file that can be read", e);
    let mut head = Vec::new();
    let io = match source {
        Source::Path(path) => {
            let mut file = File::open(path).map_err(unreadable)?;
            (&file).take(1024).read_to_end(&mut head).map_err(unreadable)?;
            file.rewind().map_err(unreadable)?;
            context::StreamIo::from_read_seek(file)
        }
        Source::Bytes { bytes, .. } => {
            head.extend_from_slice(&bytes[..bytes.len().min(1024)]);
            context::StreamIo::from_read_seek(Cursor::new(bytes.clone()))
        }
        Source::Files(_) => return Err(super::several(source)),
    };
    let Some((name, demuxer, _)) = container(&head) else {
        return Err(Error::input("", "a video", "something else, or a video format that is not read")
            .hint("MP4, QuickTime, WebM, Matroska, AVI, FLV, WMV, Ogg and MPEG are read"));
    };
    let io = io.map_err(|e| Error::input("", "memory to read the video", e))?;
    let mut options = ffmpeg::Dictionary::new();
    options.set("format_whitelist", demuxer);
    options.set("protocol_whitelist", "none");
    ffmpeg::format::input_from_stream(io, None, Some(options)).map_err(|e| {
        Error::input("", format!("a whole {name} video"), e)
            .hint("the file may be cut off: try to play it, or copy it again")
    })
}

/// What the container says of its video stream.
struct Track {
    stream: usize,
    /// Frames a second, averaged over the file.
    fps: f64,
    /// Frames that the container announces; 0 if it does not.
    promised: usize,
    /// Filters that stand the picture upright, each with a comma after it.
    rotation: &'static str,
    warnings: Vec<String>,
}

impl Track {
    fn find(input: &context::Input) -> Result<Self> {
        let stream = input
            .streams()
            .best(media::Type::Video)
            // The cover of a piece of music.
            .filter(|stream| !stream.disposition().contains(Disposition::ATTACHED_PIC))
            .ok_or_else(|| Error::input("", "a video", "a file without moving pictures"))?;
        // Some containers state only the rate of the codec; decord refuses those.
        let fps = [stream.avg_frame_rate(), stream.rate()]
            .map(f64::from)
            .into_iter()
            .find(|fps| fps.is_finite() && *fps > 0.0)
            .ok_or_else(|| Error::input("", "a frame rate", "a video that states none"))?;
        let matrix = stream.side_data().find(|data| data.kind() == packet::side_data::Type::DisplayMatrix);
        let mut warnings = Vec::new();
        let rotation = matrix.map_or("", |data| upright(data.data(), &mut warnings));
        let promised = usize::try_from(stream.frames()).unwrap_or(0);
        Ok(Self { stream: stream.index(), fps, promised, rotation, warnings })
    }

    /// Packets of the stream, one a frame, those that will not be shown included.
    fn count(&self, input: &mut context::Input) -> Result<usize> {
        let mut frames = 0;
        while self.packet(input).is_some() {
            frames += 1;
        }
        if frames == 0 {
            return Err(Error::input("", "at least one frame", "a video without any"));
        }
        Ok(frames)
    }

    fn packet(&self, input: &mut context::Input) -> Option<Packet> {
        let mut failures = 0;
        while failures < MAX_FAILURES {
            let mut packet = Packet::empty();
            match packet.read(input) {
                Ok(()) if packet.stream() == self.stream => return Some(packet),
                Ok(()) => failures = 0,
                // Demuxers find their way back after a damaged place.
                Err(ffmpeg::Error::InvalidData) => failures += 1,
                Err(_) => return None,
            }
        }
        None
    }

    /// Decodes as far as the last of `chosen` and keeps the pictures of these.
    fn walk(&self, input: &mut context::Input, chosen: &[usize]) -> Result<Walk<'_>> {
        let stream =
            input.stream(self.stream).ok_or_else(|| Error::input("", "the same file again", "another"))?;
        let undecodable = |e| Error::input("", "a video codec that the installed FFmpeg decodes", e);
        let mut context = codec::Context::from_parameters(stream.parameters()).map_err(undecodable)?;
        context.set_threading(threading::Config::kind(threading::Type::Frame));
        let mut walk = Walk {
            track: self,
            decoder: context.decoder().video().map_err(undecodable)?,
            wanted: chosen.iter().copied().collect(),
            copies: chosen.len(),
            pictures: BTreeMap::new(),
            filters: None,
            last: Video::empty(),
            decoded: 0,
            damaged: 0,
            ended: false,
        };
        while let Some(packet) = self.packet(input) {
            walk.damaged += usize::from(walk.decoder.send_packet(&packet).is_err());
            walk.receive()?;
            if walk.is_done() {
                return Ok(walk);
            }
        }
        walk.ended = true;
        walk.damaged += usize::from(walk.decoder.send_eof().is_err());
        walk.receive()?;
        if walk.decoded == 0 {
            return Err(Error::input("", "frames that can be decoded", "none"));
        }
        if !walk.is_done() && !walk.pictures.contains_key(&(walk.decoded - 1)) {
            walk.keep_last()?;
        }
        Ok(walk)
    }
}

/// The filters for a display matrix, by decord's rule: the angle counts, a mirror image does not.
fn upright(matrix: &[u8], warnings: &mut Vec<String>) -> &'static str {
    let words: Vec<f64> = matrix
        .chunks_exact(4)
        .map(|bytes| f64::from(i32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
        .collect();
    let &[a, b, _, c, d, ..] = &words[..] else { return "" };
    if a * d - b * c < 0.0 {
        warnings.push("The file asks to be shown mirrored, which is not done.".into());
    }
    let degrees = (b / b.hypot(d)).atan2(a / a.hypot(c)).to_degrees().rem_euclid(360.0);
    match degrees {
        89.0..=91.0 => "transpose=clock,",
        179.0..=181.0 => "vflip,hflip,",
        269.0..=271.0 => "transpose=cclock,",
        1.0..=359.0 => {
            warnings.push(format!("The file asks to be turned by {degrees:.0} degrees, which is not done."));
            ""
        }
        _ => "",
    }
}

/// A decoder on its way through the file, in display order.
struct Walk<'a> {
    track: &'a Track,
    decoder: ffmpeg::decoder::Video,
    wanted: BTreeSet<usize>,
    /// Frames of the study to be, repeats included.
    copies: usize,
    pictures: BTreeMap<usize, Frame>,
    /// Made for frames of this pixel format, width and height, which may change within a stream.
    filters: Option<((ffmpeg::format::Pixel, u32, u32), filter::Graph)>,
    /// What the decoder gave last.
    last: Video,
    decoded: usize,
    /// Places where the decoder complained.
    damaged: usize,
    /// Whether the end of the file was reached.
    ended: bool,
}

impl Walk<'_> {
    fn is_done(&self) -> bool {
        self.wanted.last().is_none_or(|&last| last < self.decoded)
    }

    /// Takes what the decoder has ready.
    fn receive(&mut self) -> Result<()> {
        let mut frame = Video::empty();
        let mut failures = 0;
        while failures < MAX_FAILURES && !self.is_done() {
            match self.decoder.receive_frame(&mut frame) {
                Ok(()) => {
                    std::mem::swap(&mut frame, &mut self.last);
                    self.decoded += 1;
                    self.damaged += usize::from(self.last.is_corrupt());
                    if self.wanted.contains(&(self.decoded - 1)) {
                        self.keep_last()?;
                    }
                }
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }) => break,
                Err(_) => failures += 1,
            }
        }
        self.damaged += failures;
        Ok(())
    }

    /// Converts the frame that came last; the filters take its pixels away.
    fn keep_last(&mut self) -> Result<()> {
        let unfit = |e| Error::input("", "pixels that FFmpeg converts to RGB", e);
        let shape = (self.last.format(), self.last.width(), self.last.height());
        if self.filters.as_ref().is_none_or(|(of, _)| *of != shape) {
            self.filters = Some((shape, graph(&self.last, self.track.rotation).map_err(unfit)?));
        }
        let missing = ffmpeg::Error::FilterNotFound;
        let mut rgb = Video::empty();
        if let Some((_, graph)) = &mut self.filters {
            graph.get("in").ok_or(missing).and_then(|mut c| c.source().add(&self.last)).map_err(unfit)?;
            graph.get("out").ok_or(missing).and_then(|mut c| c.sink().frame(&mut rgb)).map_err(unfit)?;
        }
        let (width, height) = (rgb.width(), rgb.height());
        let row = 3 * width as usize;
        if (row * height as usize).saturating_mul(self.copies) > MAX_BYTES {
            return Err(Error::input(
                "",
                format!("at most {} GiB of pixels", MAX_BYTES >> 30),
                format!("{} frames of {width}×{height}", self.copies),
            )
            .hint("ask for fewer frames"));
        }
        let rows = rgb.data(0).chunks(rgb.stride(0).max(1)).take(height as usize);
        let samples = rows.flat_map(|padded| padded.iter().take(row)).copied().collect();
        let index = self.decoded - 1;
        let provenance = Provenance::video(index, index as f64 / self.track.fps);
        self.pictures.insert(index, Frame::new(width, height, PixelMode::Rgb, samples, provenance)?);
        Ok(())
    }

    /// The frames of the study; past the end, the last one there is, under its own number.
    fn frames(mut self, chosen: &[usize]) -> Result<Vec<Frame>> {
        let end = if self.ended { self.decoded.saturating_sub(1) } else { usize::MAX };
        let shown: Vec<usize> = chosen.iter().map(|&index| index.min(end)).collect();
        let mut frames = Vec::with_capacity(shown.len());
        for (i, index) in shown.iter().enumerate() {
            let again = shown[i + 1..].contains(index);
            let frame = if again { self.pictures.get(index).cloned() } else { self.pictures.remove(index) };
            frames.push(frame.ok_or_else(|| {
                Error::input(format!("frame {index}"), "a picture", "nothing that can be decoded")
            })?);
        }
        Ok(frames)
    }
}

/// From a frame like this one to upright RGB. The filters read matrix and range of each frame's tags. How chroma
/// is enlarged matters only off the usual path (odd heights, more than 8 bits): `bilinear` is decord's way there.
fn graph(like: &Video, rotation: &str) -> std::result::Result<filter::Graph, ffmpeg::Error> {
    let find = |name| filter::find(name).ok_or(ffmpeg::Error::FilterNotFound);
    let format = like.format().descriptor().ok_or(ffmpeg::Error::InvalidData)?.name();
    let size = format!("video_size={}x{}", like.width(), like.height());
    let mut graph = filter::Graph::new();
    graph.add(&find("buffer")?, "in", &format!("{size}:pix_fmt={format}:time_base=1/1:pixel_aspect=1/1"))?;
    graph.add(&find("buffersink")?, "out", "")?;
    // `copy` for rows that follow each other downwards: raw bottom-up frames may pass `scale` untouched.
    let chain = format!("{rotation}scale=flags=bilinear,format=pix_fmts=rgb24,copy");
    graph.output("in", 0)?.input("out", 0)?.parse(&chain)?;
    graph.validate()?;
    Ok(graph)
}
