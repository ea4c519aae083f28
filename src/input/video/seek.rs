//! Pictures of chosen frames by their time stamps, each from the key frame before it.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::swap;

use ffmpeg_next::Packet;
use ffmpeg_next::format::context;
use ffmpeg_next::frame::Video;

use super::decoding::Decoding;
use super::painter::Painter;
use super::timeline::{Key, Timeline};
use crate::error::{Error, Result};
use crate::frame::Frame;

/// Packets after that of a frame with which it has come out of a decoder: those that it puts in order and those that its
/// threads work on.
const DELAY: usize = 64;
/// How much earlier than a key packet to look for it, in microseconds.
const EARLIER: [i64; 3] = [0, 1_000_000, 10_000_000];

/// Fetches pictures of an open file.
pub(super) struct Fetch<'a> {
    pub(super) decoding: Decoding<'a>,
    timeline: &'a Timeline,
    painter: &'a mut Painter,
    /// Opens the file once more.
    again: &'a dyn Fn() -> Result<context::Input>,
    /// Whether key packets are found by their stamps.
    seeks: bool,
}

/// Frames that are decoded in one go.
struct Run {
    key: Key,
    /// The place of the last packet that is needed.
    last: usize,
    frames: BTreeSet<usize>,
}

/// What came out for the chosen frames.
#[derive(Default)]
pub(super) struct Fetched {
    /// By the numbers of frames.
    pub(super) pictures: BTreeMap<usize, Frame>,
    /// For frames that did not come out, those on display instead: the ones before them.
    pub(super) instead: BTreeMap<usize, Frame>,
}

impl Fetched {
    /// The picture of each chosen frame.
    pub(super) fn pictures(&self, chosen: &[usize]) -> Vec<Option<&Frame>> {
        chosen.iter().map(|frame| self.pictures.get(frame).or_else(|| self.instead.get(frame))).collect()
    }
}

impl<'a> Fetch<'a> {
    /// For a file that was not read yet.
    pub(super) fn new(
        mut decoding: Decoding<'a>,
        timeline: &'a Timeline,
        painter: &'a mut Painter,
        again: &'a dyn Fn() -> Result<context::Input>,
    ) -> Self {
        let seeks = timeline.has_ordered_keys();
        decoding.filled = &timeline.filled;
        Self { decoding, timeline, painter, again, seeks }
    }

    /// The pictures of chosen frames. They are the same as if all frames had been decoded.
    ///
    /// # Errors
    /// [`Error::Input`] if there are too many pixels or the file became another, and what the watch says.
    pub(super) fn fetch(&mut self, chosen: &[usize]) -> Result<Fetched> {
        let mut fetched = Fetched::default();
        let mut missing: BTreeSet<usize> = chosen.iter().copied().collect();
        // Where pictures are refreshed bit by bit, decoders hold frames back until one is whole. Then they are decoded from
        // earlier on, twice as far each time.
        let mut back = 0;
        while !missing.is_empty() {
            let runs = self.runs(&missing, back);
            self.decoding.progress = [0, runs.iter().map(|run| run.last + 1 - run.key.place).sum()];
            for run in runs {
                self.run(run, &mut fetched)?;
            }
            let is_first = |frame: &usize| self.timeline.is_first(self.timeline.key(*frame, back));
            missing.retain(|frame| {
                !fetched.pictures.contains_key(frame)
                    && !fetched.instead.contains_key(frame)
                    && !is_first(frame)
            });
            back = 2 * back + 1;
        }
        fetched.instead.retain(|frame, _| !fetched.pictures.contains_key(frame));
        Ok(fetched)
    }

    /// The frames in the order of decoding, those together whose way from a key packet overlaps.
    fn runs(&self, frames: &BTreeSet<usize>, back: usize) -> Vec<Run> {
        let mut order: Vec<usize> = frames.iter().copied().collect();
        order.sort_by_key(|frame| self.timeline.place(*frame));
        let mut runs: Vec<Run> = Vec::new();
        for frame in order {
            let last = self.timeline.place(frame);
            let mut run = Run { key: self.timeline.key(frame, back), last, frames: BTreeSet::from([frame]) };
            while let Some(before) = runs.pop_if(|before| run.key.place <= before.last) {
                run.frames.extend(before.frames);
                if before.key.place < run.key.place {
                    run.key = before.key;
                }
            }
            runs.push(run);
        }
        runs
    }

    /// Decodes one run and keeps its frames.
    fn run(&mut self, run: Run, fetched: &mut Fetched) -> Result<()> {
        let Run { key, last, frames } = run;
        let first = self.reach(key)?;
        let most = last.saturating_sub(key.place).saturating_add(1 + DELAY);
        let mut wanted = Wanted {
            timeline: self.timeline,
            painter: self.painter,
            from: key.stamp,
            is_first: self.timeline.is_first(key),
            ahead: frames.clone(),
            missing: frames,
            last: None,
            fetched,
        };
        self.decoding.run(Some(first), most, &mut |frame| wanted.take(frame))?;
        Ok(())
    }

    /// Reads a key packet, wherever it is.
    fn reach(&mut self, key: Key) -> Result<Packet> {
        let ahead = self.decoding.place.and_then(|next| key.place.checked_sub(next));
        if self.seeks && key.place > 0 && ahead != Some(0) {
            let time = self.timeline.microseconds(key.decoded);
            self.decoding.place = None;
            for earlier in EARLIER {
                let time = time.saturating_sub(earlier);
                self.decoding.watch.check()?;
                if self.decoding.input.seek(time, ..time).is_ok()
                    && let Some(packet) = self.scan(key)?
                {
                    return Ok(packet);
                }
            }
            // Not all containers have an index. The packets before are read then, once for all frames.
            self.seeks = false;
        }
        if self.decoding.place.is_none_or(|place| place > key.place) {
            self.decoding.input = (self.again)()?;
            self.decoding.place = Some(0);
        }
        while self.decoding.place.is_some_and(|place| place < key.place) && self.decoding.packet()?.is_some()
        {
        }
        self.decoding.packet()?.ok_or_else(|| {
            Error::input("", "the same file again", "a shorter one")
                .hint("it changed while it was read: try again")
        })
    }

    /// Reads on to a key packet; none if it was passed before.
    fn scan(&mut self, key: Key) -> Result<Option<Packet>> {
        while let Some(mut packet) = self.decoding.packet()? {
            // Stamps that FFmpeg reckons from others may be off after a leap.
            let is_then = packet.dts() == Some(key.decoded);
            let is_it = match packet.pts() {
                Some(stamp) => stamp == key.stamp && (packet.is_key() || is_then),
                None => packet.is_key() && is_then,
            };
            if is_it {
                packet.set_pts(Some(key.stamp));
                self.decoding.place = Some(key.place + 1);
                return Ok(Some(packet));
            }
            let passed = packet.dts().map(|now| now > key.decoded);
            if passed.or(packet.pts().map(|now| now > key.stamp)).unwrap_or(false) {
                break;
            }
        }
        Ok(None)
    }
}

/// Takes the frames of a run as they come out.
struct Wanted<'a> {
    timeline: &'a Timeline,
    painter: &'a mut Painter,
    /// Frames with earlier stamps need what comes before the key packet.
    from: i64,
    /// Whether there is no earlier key packet to decode from.
    is_first: bool,
    /// Frames that no later one has come out before.
    ahead: BTreeSet<usize>,
    /// Frames that have not come out.
    missing: BTreeSet<usize>,
    /// The frame that came out last.
    last: Option<Out>,
    fetched: &'a mut Fetched,
}

/// A frame that came out of the decoder.
struct Out {
    stamp: i64,
    video: Video,
    /// Made once, because it takes the pixels away.
    picture: Option<Frame>,
}

impl Out {
    fn picture(&mut self, timeline: &Timeline, painter: &mut Painter) -> Result<Frame> {
        if let Some(picture) = &self.picture {
            return Ok(picture.clone());
        }
        let picture = painter.paint(&self.video, timeline.provenance(self.stamp))?;
        Ok(self.picture.insert(picture).clone())
    }
}

impl Wanted<'_> {
    /// Keeps a frame if it is wanted, or if it stands for one that did not come out. Returns whether all came out.
    fn take(&mut self, frame: &mut Video) -> Result<bool> {
        let Self { timeline, painter, from, is_first, ahead, missing, last, fetched } = self;
        let stamp = frame.pts().or(frame.timestamp()).map(|stamp| timeline.of_frame(stamp));
        let Some(stamp) = stamp.filter(|stamp| *stamp >= *from) else { return Ok(false) };
        let mut out = Out { stamp, video: Video::empty(), picture: None };
        swap(frame, &mut out.video);
        if let Some(number) = timeline.frame_at(stamp)
            && missing.remove(&number)
        {
            fetched.pictures.insert(number, out.picture(timeline, painter)?);
        }
        while let Some(passed) = ahead.first().copied()
            && timeline.stamp(passed) <= stamp
        {
            ahead.remove(&passed);
            // Where frames come out before it, it is never shown.
            let instead = last.as_mut().or(is_first.then_some(&mut out));
            if let (true, Some(instead)) = (missing.contains(&passed), instead) {
                fetched.instead.insert(passed, instead.picture(timeline, painter)?);
            }
        }
        *last = Some(out);
        Ok(missing.is_empty())
    }
}
