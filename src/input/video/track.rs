//! The video stream of a file and its packets.

use ffmpeg_next as ffmpeg;

use ffmpeg::codec::{self, packet, threading};
use ffmpeg::format::{context, stream::Disposition};
use ffmpeg::{Packet, Stream, media};

use super::avc::has_frames_alone;
use super::raw::{Field, Parser, first_field, header_of};
use crate::error::{Error, Result};
use crate::watch::Watch;

/// Consecutive failures after which a demuxer or decoder is taken to be stuck.
pub(super) const MAX_FAILURES: usize = 1024;

/// What the container says of its video stream.
pub(super) struct Track {
    pub(super) stream: usize,
    /// Frames a second, averaged over the file.
    pub(super) fps: f64,
    /// Frames that the container announces; 0 if it does not.
    pub(super) promised: usize,
    /// Filters that stand the picture upright, each with a comma after it.
    pub(super) rotation: &'static str,
    /// Width and height that the header states, upright.
    pub(super) size: [u32; 2],
    /// Seconds of one unit of the time stamps, as a fraction.
    pub(super) unit: [i32; 2],
    /// Whether frames are shown in another order than they are decoded in.
    reorders: bool,
    codec: codec::Id,
    /// Whether a packet may hold a field alone.
    has_fields: bool,
    /// What the container says of the packets' content.
    parameters: codec::Parameters,
    pub(super) warnings: Vec<String>,
}

/// When a frame is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// When it is decoded.
    AsDecoded,
    /// One that others refer to, when the next one of them is decoded; any other when it is decoded itself.
    ReferencesLater,
}

impl Track {
    pub(super) fn find(input: &context::Input) -> Result<Self> {
        let stream = input
            .streams()
            .best(media::Type::Video)
            // The cover of a piece of music.
            .filter(|stream| !stream.disposition().contains(Disposition::ATTACHED_PIC))
            .ok_or_else(|| {
                Error::input("", "a video", "a file without moving pictures")
                    .hint("check that it is the right file, and whole")
            })?;
        // Some containers state only the rate of the codec; decord refuses those.
        let fps = [stream.avg_frame_rate(), stream.rate()]
            .map(f64::from)
            .into_iter()
            .find(|fps| fps.is_finite() && *fps > 0.0)
            .ok_or_else(|| {
                Error::input("", "a frame rate", "a video that states none").hint("convert it anew")
            })?;
        let matrix = stream.side_data().find(|data| data.kind() == packet::side_data::Type::DisplayMatrix);
        let mut warnings = Vec::new();
        let rotation = matrix.map_or("", |data| upright(data.data(), &mut warnings));
        let promised = usize::try_from(stream.frames()).unwrap_or(0);
        let decoder = decoder(&stream)?;
        let size = match rotation.starts_with("transpose") {
            true => [decoder.height(), decoder.width()],
            false => [decoder.width(), decoder.height()],
        };
        let unit = [stream.time_base().numerator(), stream.time_base().denominator()];
        let (parameters, reorders) = (stream.parameters(), decoder.has_b_frames());
        let codec = parameters.id();
        // FFmpeg puts the fields of other codecs together.
        let has_fields = codec == codec::Id::H264 && has_frames_alone(header_of(&parameters)) != Some(true);
        let stream = stream.index();
        Ok(Self {
            stream,
            fps,
            promised,
            rotation,
            size,
            unit,
            reorders,
            codec,
            has_fields,
            parameters,
            warnings,
        })
    }

    /// Finds packets with the second field of a picture; nothing where a packet is always a picture.
    pub(super) fn pairing(&self) -> Option<Pairing> {
        let parser = self.has_fields.then(|| Parser::new(self.parameters.clone())).flatten()?;
        Some(Pairing { first: first_field(&self.parameters), is_open: false, parser })
    }

    /// The name of the codec, as FFmpeg has it.
    pub(super) fn codec_name(&self) -> &'static str {
        self.codec.name()
    }

    /// Whether an MP4 file lists all that is wanted of the packets: each is a frame, and the key frames are named.
    pub(super) fn is_listed(&self) -> bool {
        let is_known = matches!(self.codec, codec::Id::H264 | codec::Id::HEVC | codec::Id::MJPEG);
        is_known && !self.has_fields
    }

    /// Whether every frame stands for itself.
    pub(super) fn is_intra(&self) -> bool {
        self.codec == codec::Id::MJPEG
    }

    /// When frames are shown, if that follows from when they are decoded.
    pub(super) fn order(&self) -> Option<Order> {
        let one_later =
            matches!(self.codec, codec::Id::MPEG1VIDEO | codec::Id::MPEG2VIDEO | codec::Id::MPEG4);
        match (self.reorders, one_later) {
            (false, _) => Some(Order::AsDecoded),
            (true, true) => Some(Order::ReferencesLater),
            _ => None,
        }
    }

    /// The next packet of the stream, if there is one.
    pub(super) fn packet(&self, input: &mut context::Input, watch: &Watch) -> Result<Option<Packet>> {
        let mut failures = 0;
        while failures < MAX_FAILURES {
            watch.check()?;
            let mut packet = Packet::empty();
            match packet.read(input) {
                Ok(()) if packet.stream() == self.stream => return Ok(Some(packet)),
                Ok(()) => failures = 0,
                // Demuxers find their way back after a damaged place.
                Err(ffmpeg::Error::InvalidData) => failures += 1,
                // The watch may have ended the reading.
                Err(_) => return watch.check().map(|()| None),
            }
        }
        Ok(None)
    }
}

/// Finds packets with the second field of a picture whose first one was in the packet before.
pub(super) struct Pairing {
    /// The field that comes first in a picture, once that is known.
    first: Option<Field>,
    /// Whether the packet before held a first field alone.
    is_open: bool,
    parser: Parser,
}

impl Pairing {
    /// Whether the next packet of the stream is one.
    pub(super) fn is_second(&mut self, packet: &Packet) -> bool {
        let field = self.parser.field(packet);
        self.first = self.first.or(field);
        let is_first = field.is_some() && field == self.first;
        let is_second = self.is_open && field.is_some() && !is_first;
        self.is_open = is_first;
        is_second
    }
}

/// A decoder for the stream, which works on several frames at a time.
///
/// # Errors
/// [`Error::Input`] if FFmpeg has none.
pub(super) fn decoder(stream: &Stream<'_>) -> Result<ffmpeg::decoder::Video> {
    let undecodable = |error| {
        Error::input("", "a video codec that the installed FFmpeg decodes", error)
            .hint("convert it anew: ffmpeg -i FILE -c:v libx264 NEW.mp4")
    };
    let mut context = codec::Context::from_parameters(stream.parameters()).map_err(undecodable)?;
    context.set_threading(threading::Config::kind(threading::Type::Frame));
    context.decoder().video().map_err(undecodable)
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
