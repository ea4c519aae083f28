//! From packets to the pictures of chosen frames.

use std::collections::{BTreeMap, BTreeSet};

use ffmpeg_next as ffmpeg;

use ffmpeg::filter;
use ffmpeg::format::context;
use ffmpeg::frame::Video;

use super::super::limits::Budget;
use super::super::reading::ReadOptions;
use super::track::{MAX_FAILURES, Track, decoder};
use crate::error::{Error, Result};
use crate::frame::{Frame, PixelMode, Provenance};

/// Decodes as far as the last of `chosen` and keeps the pictures of these.
///
/// # Errors
/// [`Error::Input`] if nothing can be decoded or there are too many pixels, and what the watch says.
pub(super) fn walk<'a>(
    track: &'a Track,
    input: &mut context::Input,
    chosen: &[usize],
    options: &ReadOptions,
) -> Result<Walk<'a>> {
    let stream =
        input.stream(track.stream).ok_or_else(|| Error::input("", "the same file again", "another"))?;
    let mut walk = Walk {
        track,
        decoder: decoder(&stream)?,
        wanted: chosen.iter().copied().collect(),
        copies: chosen.len(),
        budget: options.budget,
        pictures: BTreeMap::new(),
        filters: None,
        last: Video::empty(),
        decoded: 0,
        damaged: 0,
        ended: false,
    };
    while let Some(packet) = track.packet(input, &options.watch)? {
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

/// A decoder on its way through the file, in display order.
pub(super) struct Walk<'a> {
    track: &'a Track,
    decoder: ffmpeg::decoder::Video,
    wanted: BTreeSet<usize>,
    /// Frames of the study to be, repeats included.
    copies: usize,
    budget: Budget,
    pictures: BTreeMap<usize, Frame>,
    /// Made for frames of this pixel format, width and height, which may change within a stream.
    filters: Option<((ffmpeg::format::Pixel, u32, u32), filter::Graph)>,
    /// What the decoder gave last.
    last: Video,
    pub(super) decoded: usize,
    /// Places where the decoder complained.
    pub(super) damaged: usize,
    /// Whether the end of the file was reached.
    ended: bool,
}

impl Walk<'_> {
    /// Whether the file ended before the last of the chosen frames.
    pub(super) fn fell_short(&self) -> bool {
        self.ended && !self.is_done()
    }

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
        self.budget.check_study("", &vec![[width, height]; self.copies], 3)?;
        let rows = rgb.data(0).chunks(rgb.stride(0).max(1)).take(height as usize);
        let samples = rows.flat_map(|padded| padded.iter().take(row)).copied().collect();
        let index = self.decoded - 1;
        let provenance = Provenance::video(index, index as f64 / self.track.fps);
        self.pictures.insert(index, Frame::new(width, height, PixelMode::Rgb, samples, provenance)?);
        Ok(())
    }

    /// The frames of the study; past the end, the last one there is, under its own number.
    pub(super) fn frames(mut self, chosen: &[usize]) -> Result<Vec<Frame>> {
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
