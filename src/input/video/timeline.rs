//! When each frame of a clip is shown, by its own time stamp.

use ffmpeg_next::format::context;

use super::super::reading::ReadOptions;
use super::raw::{is_hidden, length};
use super::track::{Order, Track};
use crate::error::{Error, Result};
use crate::frame::Provenance;

/// What a packet says of its frame.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    /// When the frame is shown, in units of the stream.
    stamp: Option<i64>,
    /// When it is decoded, in the same units.
    decoded: Option<i64>,
    is_key: bool,
    /// Whether it is decoded and not shown.
    is_hidden: bool,
    /// Whether it is the second field of the frame of the packet before.
    is_second: bool,
}

impl Packet {
    /// The packet at a place, if decoding may start with it.
    fn key(&self, place: usize) -> Option<Key> {
        let stamp = self.stamp.filter(|_| self.is_key && !self.is_second)?;
        Some(Key { place, stamp, decoded: self.decoded.map_or(stamp, |decoded| decoded.min(stamp)) })
    }
}

/// A packet that decoding may start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// Packets of the stream before it.
    pub(super) place: usize,
    /// When its frame is shown, in units of the stream.
    pub(super) stamp: i64,
    /// When its packet is decoded, which is no later, in units of the stream.
    pub(super) decoded: i64,
}

/// The packets of a stream, in the order of decoding.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packets {
    packets: Vec<Packet>,
    /// Stamps that stand in no packet and follow from the others, by place.
    filled: Vec<(usize, i64)>,
    /// Whether the clock ran backwards between two frames that are shown.
    runs_back: bool,
}

impl Packets {
    /// Reads all packets of a file, and decodes none.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none or there are too many, and what the watch says.
    pub(super) fn read(track: &Track, mut input: context::Input, options: &ReadOptions) -> Result<Self> {
        let mut read = Self { packets: Vec::new(), filled: Vec::new(), runs_back: false };
        let (mut clock, mut pairing) = (None, track.pairing());
        let length = length(&input);
        while let Some(packet) = track.packet(&mut input, &options.watch)? {
            options.budget.check_frames("", read.packets.len() as u64 + 1)?;
            options.watch.tell(usize::try_from(packet.position()).unwrap_or(0), length);
            let (is_key, is_hidden) = (packet.is_key(), is_hidden(&packet));
            if let (false, Some(now)) = (is_hidden, packet.dts()) {
                read.runs_back |= clock.is_some_and(|before| now < before);
                clock = Some(now);
            }
            let no_memory = |_| {
                Error::input("", "memory for the time stamps", "less")
                    .hint("cut it into parts, or close other programs")
            };
            read.packets.try_reserve(1).map_err(no_memory)?;
            let is_second = pairing.as_mut().is_some_and(|pairing| pairing.is_second(&packet));
            let (stamp, decoded) = (packet.pts(), packet.dts());
            read.packets.push(Packet { stamp, decoded, is_key, is_hidden, is_second });
        }
        if let Some(order) = track.order() {
            read.fill(order);
        }
        match read.packets.is_empty() {
            true => {
                let error = Error::input("", "at least one frame", "a video without any");
                Err(error.hint("check that it is the right file, and whole"))
            }
            false => Ok(read),
        }
    }

    /// Whether decoding may start with any packet.
    pub(super) fn are_all_keys(&self) -> bool {
        self.packets.iter().all(|packet| packet.is_key)
    }

    /// Gives frames without a stamp theirs. Program streams and AVI files leave them out where they follow from the order.
    fn fill(&mut self, order: Order) {
        // After the last one comes as much as between the two before.
        let mut ends = self.packets.iter().rev().filter_map(|packet| packet.decoded);
        let Some(last) = ends.next() else { return };
        let mut next = last.saturating_add(ends.next().map_or(1, |before| last.saturating_sub(before)));
        for (place, packet) in self.packets.iter_mut().enumerate().rev() {
            let Some(decoded) = packet.decoded.filter(|decoded| packet.stamp != Some(*decoded)) else {
                continue;
            };
            if packet.stamp.is_none() {
                let stamp = if order == Order::AsDecoded { decoded } else { next };
                packet.stamp = Some(stamp);
                self.filled.push((place, stamp));
            }
            next = decoded;
        }
        self.filled.reverse();
        if !self.filled.is_empty() && !self.is_as_even_as_decoded() {
            for (place, _) in self.filled.drain(..) {
                self.packets[place].stamp = None;
            }
        }
    }

    /// Whether no frame stays longer than there is between two that are decoded. Else the rule does not hold.
    fn is_as_even_as_decoded(&self) -> bool {
        let longest = |stamps: &mut dyn Iterator<Item = i64>| {
            let mut stamps: Vec<i64> = stamps.collect();
            stamps.sort_unstable();
            stamps.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max()
        };
        let shown = longest(&mut self.packets.iter().filter_map(|packet| packet.stamp));
        shown <= longest(&mut self.packets.iter().filter_map(|packet| packet.decoded))
    }

    /// Packets of the stream, those of frames that will not be shown included. Most hold a frame, some only a field.
    pub(super) fn count(&self) -> usize {
        self.packets.len()
    }
}

/// Frames that are shown, in the order of their time stamps, from the first that can be decoded.
pub(super) struct Timeline {
    /// Stamps to be given to packets that have none, by place.
    pub(super) filled: Vec<(usize, i64)>,
    keys: Vec<Key>,
    /// The place of each frame's packet and its stamp.
    shown: Vec<(usize, i64)>,
    /// Stamps of second fields in order, each with that of its frame. Decoders may give either to the frame.
    second: Vec<(i64, i64)>,
    unit: [i32; 2],
    /// Frames that are decoded and not shown.
    pub(super) hidden: usize,
    /// Frames before the first that decoding may start with.
    pub(super) headless: usize,
}

/// How the frames of a clip follow one another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Pace {
    /// So many frames a second, each nearer to its beat than to another.
    Steady(f64),
    /// Any other, for so many seconds from the first frame to the end of the last.
    Uneven(f64),
}

impl Timeline {
    /// Orders the frames by their stamps, which are in units of so many seconds.
    ///
    /// # Errors
    /// Why the stamps do not say when a frame is shown.
    pub(super) fn of(packets: Packets, unit: [i32; 2]) -> std::result::Result<Self, String> {
        let Packets { packets, filled, runs_back } = packets;
        if unit.into_iter().any(|part| part < 1) {
            return Err("The unit of the time stamps is none".into());
        }
        if runs_back {
            return Err("The clock of the video runs backwards in between".into());
        }
        let mut keys: Vec<Key> =
            packets.iter().enumerate().filter_map(|(place, packet)| packet.key(place)).collect();
        let first = keys.first().copied();
        let (mut hidden, mut headless, mut missing) = (0, 0, 0);
        let (mut shown, mut second) = (Vec::with_capacity(packets.len()), Vec::new());
        for (place, packet) in packets.iter().enumerate() {
            match packet.stamp {
                stamp if packet.is_second => {
                    let frame = packets.get(place.wrapping_sub(1)).and_then(|before| before.stamp);
                    second.extend(stamp.zip(frame));
                }
                _ if packet.is_hidden => hidden += 1,
                stamp if first.is_some_and(|key| is_before(place, stamp, key)) => headless += 1,
                Some(stamp) => shown.push((place, stamp)),
                None => missing += 1,
            }
        }
        if missing > 0 {
            let frames = packets.iter().filter(|packet| !packet.is_second).count();
            return Err(format!("Of {frames} frames {missing} have no time stamp"));
        }
        shown.sort_by_key(|(_, stamp)| *stamp);
        if shown.is_empty() {
            return Err("No frame is shown".into());
        }
        if shown.windows(2).any(|pair| pair[0].1 == pair[1].1) {
            return Err("Several frames have one time stamp".into());
        }
        // A stream without any is decoded from its start.
        if keys.is_empty() {
            keys.push(Key { place: 0, stamp: i64::MIN, decoded: i64::MIN });
        }
        second.sort_unstable();
        Ok(Self { filled, keys, shown, second, unit, hidden, headless })
    }

    /// Frames that are shown.
    pub(super) fn count(&self) -> usize {
        self.shown.len()
    }

    /// The stamp of a frame, in units of the stream.
    pub(super) fn stamp(&self, frame: usize) -> i64 {
        self.shown[frame].1
    }

    /// The place of a frame's packet in the order of decoding.
    pub(super) fn place(&self, frame: usize) -> usize {
        self.shown[frame].0
    }

    /// The stamp of the frame that came out of a decoder with this one.
    pub(super) fn of_frame(&self, stamp: i64) -> i64 {
        let found = self.second.binary_search_by_key(&stamp, |(second, _)| *second);
        found.ok().and_then(|found| self.second.get(found)).map_or(stamp, |(_, first)| *first)
    }

    /// The frame with a stamp.
    pub(super) fn frame_at(&self, stamp: i64) -> Option<usize> {
        self.shown.binary_search_by_key(&stamp, |(_, stamp)| *stamp).ok()
    }

    /// Seconds from the first frame to this one.
    pub(super) fn seconds(&self, frame: usize) -> f64 {
        self.in_seconds(self.stamp(frame).saturating_sub(self.stamp(0)))
    }

    /// The frame that is on display so many seconds after the first one appeared.
    pub(super) fn on_display(&self, seconds: f64) -> usize {
        // A time in decimals may fall short of a stamp by a rounding error.
        let seconds = seconds + 1e-9;
        let begun =
            |(_, stamp): &(usize, i64)| self.in_seconds(stamp.saturating_sub(self.stamp(0))) <= seconds;
        self.shown.partition_point(begun).saturating_sub(1)
    }

    /// The place and time of the frame with a stamp.
    pub(super) fn provenance(&self, stamp: i64) -> Provenance {
        let frame = self.shown.partition_point(|(_, other)| *other <= stamp).saturating_sub(1);
        Provenance::video(frame, self.in_seconds(stamp.saturating_sub(self.stamp(0))))
    }

    /// A stamp in microseconds, rounded up.
    pub(super) fn microseconds(&self, stamp: i64) -> i64 {
        let [numerator, denominator] = self.unit.map(i128::from);
        let scaled = i128::from(stamp) * numerator * 1_000_000;
        let rounded = scaled.div_euclid(denominator) + i128::from(scaled.rem_euclid(denominator) != 0);
        rounded.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }

    fn in_seconds(&self, units: i64) -> f64 {
        let [numerator, denominator] = self.unit.map(f64::from);
        units as f64 * numerator / denominator
    }

    /// How the frames follow one another. The stated rate holds where the stamps agree with it.
    pub(super) fn pace(&self, stated: f64) -> Pace {
        let last = self.count() - 1;
        if last == 0 || self.keeps(stated) {
            return Pace::Steady(stated);
        }
        let own = last as f64 / self.seconds(last);
        if self.keeps(own) {
            return Pace::Steady(own);
        }
        Pace::Uneven(self.duration(stated))
    }

    /// Seconds from the first frame to the end of the last. A single frame stays as long as a rate says.
    pub(super) fn duration(&self, stated: f64) -> f64 {
        let last = self.count() - 1;
        let mut steps: Vec<i64> =
            self.shown.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1)).collect();
        if steps.is_empty() {
            return 1.0 / stated;
        }
        // The last frame has no successor: it stays as long as most do.
        let (_, usual, _) = steps.select_nth_unstable(last / 2);
        self.seconds(last) + self.in_seconds(*usual)
    }

    /// Whether each frame comes within half a step of its beat.
    fn keeps(&self, fps: f64) -> bool {
        (0..self.count()).all(|frame| (self.seconds(frame) * fps - frame as f64).abs() < 0.5)
    }

    /// Most seconds between a frame's stamp and where a rate puts it.
    pub(super) fn most_off(&self, fps: f64) -> f64 {
        (0..self.count()).map(|frame| (self.seconds(frame) - frame as f64 / fps).abs()).fold(0.0, f64::max)
    }

    /// Most seconds from one frame to the next.
    pub(super) fn longest_step(&self) -> f64 {
        (1..self.count()).map(|frame| self.seconds(frame) - self.seconds(frame - 1)).fold(0.0, f64::max)
    }

    /// Where decoding may start for a frame: the last key packet that is decoded no later and shown no later, so that
    /// nothing before it is needed; or the one so many before that one, or the first.
    pub(super) fn key(&self, frame: usize, back: usize) -> Key {
        let (place, stamp) = self.shown[frame];
        let until = self.keys.partition_point(|key| key.place <= place);
        let nearest = self.keys[..until].iter().rposition(|key| key.stamp <= stamp).unwrap_or(0);
        self.keys[nearest.saturating_sub(back)]
    }

    /// Whether no key packet comes before this one.
    pub(super) fn is_first(&self, key: Key) -> bool {
        self.keys.first() == Some(&key)
    }

    /// Whether the stamp of a key packet tells which one it is. An edit list may show a part twice.
    pub(super) fn has_ordered_keys(&self) -> bool {
        self.keys.windows(2).all(|pair| pair[0].stamp < pair[1].stamp && pair[0].decoded < pair[1].decoded)
    }
}

/// Whether a frame needs what comes before the first key packet.
fn is_before(place: usize, stamp: Option<i64>, key: Key) -> bool {
    place < key.place || stamp.is_some_and(|stamp| stamp < key.stamp)
}
