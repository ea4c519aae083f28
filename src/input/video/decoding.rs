//! From packets to frames.

use ffmpeg_next as ffmpeg;

use ffmpeg::Packet;
use ffmpeg::format::context;
use ffmpeg::frame::Video;

use super::track::{MAX_FAILURES, Track, decoder};
use crate::error::{Error, Result};
use crate::watch::Watch;

/// Takes a frame; whether it was the last one wanted. Its pixels may be taken away.
pub(super) type Take<'a> = dyn FnMut(&mut Video) -> Result<bool> + 'a;

/// A decoder for one stream of an open file.
pub(super) struct Decoding<'a> {
    pub(super) track: &'a Track,
    pub(super) input: context::Input,
    pub(super) watch: &'a Watch,
    /// Packets of the stream before the next one that is read, if that is known.
    pub(super) place: Option<usize>,
    /// Stamps to be given to packets that have none, by place.
    pub(super) filled: &'a [(usize, i64)],
    decoder: ffmpeg::decoder::Video,
    frame: Video,
    /// Packets that were decoded, and that will be in all as far as that is known; for whoever hears of it.
    pub(super) progress: [usize; 2],
    /// Places where the decoder complained.
    pub(super) damaged: usize,
}

impl<'a> Decoding<'a> {
    /// A decoder that has seen nothing, for a file that was not read yet.
    ///
    /// # Errors
    /// [`Error::Input`] if FFmpeg has none for this stream.
    pub(super) fn new(track: &'a Track, input: context::Input, watch: &'a Watch) -> Result<Self> {
        let stream = input.stream(track.stream);
        let decoder = decoder(&stream.ok_or_else(|| {
            Error::input("", "the same file again", "another").hint("it changed while it was read: try again")
        })?)?;
        let (place, filled, frame) = (Some(0), &[][..], Video::empty());
        Ok(Self { track, input, watch, place, filled, decoder, frame, progress: [0; 2], damaged: 0 })
    }

    /// The next packet of the stream.
    pub(super) fn packet(&mut self) -> Result<Option<Packet>> {
        let mut packet = self.track.packet(&mut self.input, self.watch)?;
        if let (Some(place), Some(packet)) = (&mut self.place, &mut packet) {
            if let Ok(found) = self.filled.binary_search_by_key(place, |(place, _)| *place) {
                packet.set_pts(self.filled.get(found).map(|(_, stamp)| *stamp));
            }
            *place += 1;
        }
        Ok(packet)
    }

    /// Decodes from a key packet on, or from where the file is read, at most so many packets. Every frame that comes out
    /// is handed over, in display order, until the last one wanted. Returns whether the last one wanted was among
    /// them.
    ///
    /// # Errors
    /// Those of `take`, and what the watch says.
    pub(super) fn run(&mut self, key: Option<Packet>, most: usize, take: &mut Take<'_>) -> Result<bool> {
        self.decoder.flush();
        let (mut next, mut read) = (key, 0);
        while read < most {
            let packet = match next.take() {
                Some(packet) => packet,
                None => match self.packet()? {
                    Some(packet) => packet,
                    None => break,
                },
            };
            read += 1;
            let [done, total] = &mut self.progress;
            *done += 1;
            self.watch.tell(*done, *total);
            self.damaged += usize::from(self.decoder.send_packet(&packet).is_err());
            if self.receive(take)? {
                return Ok(true);
            }
        }
        self.damaged += usize::from(self.decoder.send_eof().is_err());
        self.receive(take)
    }

    /// Hands over what the decoder has ready.
    fn receive(&mut self, take: &mut Take<'_>) -> Result<bool> {
        let mut failures = 0;
        while failures < MAX_FAILURES {
            match self.decoder.receive_frame(&mut self.frame) {
                Ok(()) => {
                    self.damaged += usize::from(self.frame.is_corrupt());
                    if take(&mut self.frame)? {
                        return Ok(true);
                    }
                }
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }) => break,
                Err(_) => failures += 1,
            }
        }
        self.damaged += failures;
        Ok(false)
    }
}
