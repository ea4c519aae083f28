//! Pictures of chosen frames by their number, from the beginning of the file.

use std::collections::{BTreeMap, BTreeSet};

use ffmpeg_next::frame::Video;

use super::decoding::Decoding;
use super::painter::Painter;
use super::track::Track;
use crate::error::{Error, Result};
use crate::frame::{Frame, Provenance};

/// What came out of the decoder as far as the last chosen frame.
pub(super) struct Walk<'a> {
    track: &'a Track,
    painter: &'a mut Painter,
    wanted: BTreeSet<usize>,
    pictures: BTreeMap<usize, Frame>,
    /// What the decoder gave last.
    last: Video,
    pub(super) decoded: usize,
    /// Whether the file ended before the last of the chosen frames.
    pub(super) fell_short: bool,
}

impl<'a> Walk<'a> {
    /// Decodes a file that was not read yet as far as the last of `chosen`, and keeps the pictures of these.
    ///
    /// # Errors
    /// [`Error::Input`] if nothing can be decoded or there are too many pixels, and what the watch says.
    pub(super) fn new(
        decoding: &mut Decoding<'a>,
        painter: &'a mut Painter,
        chosen: &[usize],
    ) -> Result<Self> {
        let wanted = chosen.iter().copied().collect();
        let (track, pictures, last) = (decoding.track, BTreeMap::new(), Video::empty());
        let mut walk = Self { track, painter, wanted, pictures, last, decoded: 0, fell_short: false };
        decoding.progress = [0, chosen.iter().max().map_or(0, |last| last + 1)];
        let found = decoding.run(None, usize::MAX, &mut |frame| walk.take(frame))?;
        walk.fell_short = !found;
        if walk.decoded == 0 {
            let error = Error::input("", "frames that can be decoded", "none");
            return Err(error.hint("the file is damaged: copy it again, or convert it anew"));
        }
        if !found && !walk.pictures.contains_key(&(walk.decoded - 1)) {
            walk.keep_last()?;
        }
        Ok(walk)
    }

    fn take(&mut self, frame: &mut Video) -> Result<bool> {
        std::mem::swap(frame, &mut self.last);
        self.decoded += 1;
        if self.wanted.contains(&(self.decoded - 1)) {
            self.keep_last()?;
        }
        Ok(self.wanted.last().is_none_or(|&last| last < self.decoded))
    }

    /// Converts the frame that came last.
    fn keep_last(&mut self) -> Result<()> {
        let index = self.decoded - 1;
        let provenance = Provenance::video(index, index as f64 / self.track.fps);
        self.pictures.insert(index, self.painter.paint(&self.last, provenance)?);
        Ok(())
    }

    /// The picture of each chosen frame; past the end, the last one there is, under its own number.
    pub(super) fn pictures(&self, chosen: &[usize]) -> Vec<Option<&Frame>> {
        let end = if self.fell_short { self.decoded.saturating_sub(1) } else { usize::MAX };
        chosen.iter().map(|&index| self.pictures.get(&index.min(end))).collect()
    }
}
