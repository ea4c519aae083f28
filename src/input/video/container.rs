//! Which video format a file is, by its first bytes, and FFmpeg's demuxer for it.

use std::io::{Read, Seek};
use std::sync::Once;

use ffmpeg_next as ffmpeg;

use ffmpeg::format::context;

use super::super::source::Opened;
use crate::error::{Error, Result};

/// A container: the name for messages, FFmpeg's demuxer, how the file begins.
pub(super) type Container = (&'static str, &'static str, fn(&[u8]) -> bool);

/// FFmpeg may use only the demuxer that belongs to the beginning of the file: others, such as playlists, would
/// let a file make this program open further files.
const CONTAINERS: [Container; 15] = [
    ("MP4", "mp4", |h| {
        boxes(h, &[b"styp"]) || boxes(h, &[b"ftyp"]) && !h[8..].starts_with(b"qt  ") && !is_still(h)
    }),
    ("QuickTime", "mov", |h| {
        boxes(h, &[b"moov", b"mdat", b"wide", b"free", b"skip"]) || (boxes(h, &[b"ftyp"]) && !is_still(h))
    }),
    ("WebM", "webm", |h| h.starts_with(EBML) && h[..h.len().min(64)].windows(4).any(|w| w == b"webm")),
    ("Matroska", "matroska", |h| h.starts_with(EBML)),
    ("AVI", "avi", |h| h.starts_with(b"RIFF") && h[8.min(h.len())..].starts_with(b"AVI ")),
    ("FLV", "flv", |h| h.starts_with(b"FLV\x01")),
    ("ASF/WMV", "asf", |h| h.starts_with(&[0x30, 0x26, 0xB2, 0x75, 0x8E, 0x66, 0xCF, 0x11])),
    ("Ogg", "ogg", |h| h.starts_with(b"OggS\0")),
    ("MPEG program stream", "mpeg", |h| h.starts_with(&[0, 0, 1, 0xBA])),
    ("MPEG video stream", "mpegvideo", |h| h.starts_with(&[0, 0, 1, 0xB3])),
    ("H.264 stream", "h264", |h| is_bare(h, |unit| matches!(unit, [7 | 0x27 | 0x47 | 0x67, ..] | [9, ..]))),
    ("HEVC stream", "hevc", |h| is_bare(h, |unit| matches!(unit, [0x40 | 0x42 | 0x46, 1, ..]))),
    ("YUV4MPEG2", "yuv4mpegpipe", |h| h.starts_with(b"YUV4MPEG2 ")),
    // A recording may begin inside a pack.
    ("MPEG program stream", "mpeg", |h| (0..h.len()).any(|at| is_pack(&h[at..]))),
    // Weakest last: one byte that recurs every packet, with a 4-byte clock before it on Blu-ray and AVCHD, and with 16
    // bytes of correction behind it in broadcasts. A recording may begin inside a packet.
    ("MPEG transport stream", "mpegts", |h| [188, 192, 204].into_iter().any(|packet| is_cut_into(h, packet))),
];

const EBML: &[u8] = &[0x1A, 0x45, 0xDF, 0xA3];

/// Still pictures that live in MP4 boxes too.
const STILL_BRANDS: [&[u8; 4]; 9] =
    [b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"];

fn boxes(head: &[u8], kinds: &[&[u8; 4]]) -> bool {
    head.len() >= 12 && kinds.iter().any(|kind| head[4..8] == kind[..])
}

fn is_still(head: &[u8]) -> bool {
    STILL_BRANDS.iter().any(|brand| head[8..].starts_with(&brand[..]))
}

/// Whether a stream begins with a unit like this, behind a start code (T.264 and T.265 Annex B): parameters, or the mark of a new
/// picture.
fn is_bare(head: &[u8], begins: fn(&[u8]) -> bool) -> bool {
    [&[0, 0, 0, 1][..], &[0, 0, 1]].iter().any(|code| head.strip_prefix(*code).is_some_and(begins))
}

/// Whether a packet begins every so many bytes: with its mark, and inside a file with no error and with some content.
/// Three are enough at the usual place of the first one, eight elsewhere.
fn is_cut_into(head: &[u8], packet: usize) -> bool {
    let marked = |at: usize| head.get(at) == Some(&0x47);
    let sound = |at: usize| {
        marked(at)
            && head.get(at + 1).is_some_and(|flags| flags & 0x80 == 0)
            && head.get(at + 3).is_some_and(|content| content & 0x30 != 0)
    };
    // The clock of 192 bytes stands before a packet, the correction of 204 behind it.
    let usual = if packet == 192 { 4 } else { 0 };
    (0..3).all(|i| marked(usual + i * packet))
        || (0..packet).any(|first| (0..8).all(|i| sound(first + i * packet)))
}

/// Whether a pack begins here: its mark and its header, and after it the mark of what is packed. ISO/IEC 13818-1, 2.5.3.3, and
/// ISO/IEC 11172-1, 2.4.3.2.
fn is_pack(head: &[u8]) -> bool {
    let length = match head {
        [0, 0, 1, 0xBA, clock, ..] if clock >> 4 == 0b0010 => 12,
        [0, 0, 1, 0xBA, clock, _, _, _, _, _, _, _, _, stuffing, ..] if clock >> 6 == 0b01 => {
            14 + usize::from(stuffing & 7)
        }
        _ => return false,
    };
    matches!(head.get(length..), Some([0, 0, 1, 0xBB..=0xFF, ..]))
}

/// The container of a file that begins with `head`; 2048 bytes are enough to tell.
pub(super) fn container(head: &[u8]) -> Option<&'static Container> {
    CONTAINERS.iter().find(|(_, _, begins)| begins(head))
}

/// Readies FFmpeg, once.
pub(super) fn set_up() {
    static SET_UP: Once = Once::new();
    SET_UP.call_once(|| {
        // Without it FFmpeg's errors have no text; nothing of what can fail in it is needed here.
        let _ = ffmpeg::init();
        // FFmpeg writes to stderr whatever it finds odd; what matters is said in warnings and errors.
        ffmpeg::log::set_level(ffmpeg::log::Level::Quiet);
    });
}

/// How far a demuxer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// It looks into packets for what the container leaves out: where a frame ends, and which are key frames.
    Packets,
    /// It takes packets as the container lists them.
    Lists,
}

/// The bytes of a file, by the demuxer that its first ones call for.
///
/// # Errors
/// [`Error::Input`] if it is none or damaged.
pub(super) fn demuxer<R>(mut bytes: R, opened: &Opened, depth: Depth) -> Result<context::Input>
where
    R: Read + Seek + Send + 'static,
{
    // Another demuxer may have moved the place in the file that both share.
    bytes.rewind().map_err(|error| opened.unreadable(error))?;
    let Some((name, demuxer, _)) = container(opened.head()) else {
        return Err(
            Error::input("", "a video", "something else").hint("check that it is the right file, and whole")
        );
    };
    let io = context::StreamIo::from_read_seek(bytes);
    let io = io.map_err(|error| {
        Error::input("", "memory to read the video", error)
            .hint("close other programs, or look at fewer studies at a time")
    })?;
    let mut options = ffmpeg::Dictionary::new();
    options.set("format_whitelist", demuxer);
    options.set("protocol_whitelist", "none");
    if let ("h264" | "hevc", Some(rate)) = (*demuxer, opened.rate()) {
        // For a stream that does not state its own.
        options.set("framerate", &rate.to_string());
    }
    if depth == Depth::Lists {
        options.set("fflags", "noparse+nofillin");
    }
    ffmpeg::format::input_from_stream(io, None, Some(options)).map_err(|error| {
        Error::input("", format!("a whole {name} video"), error)
            .hint("the file may be cut off: try to play it, or copy it again")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_content() {
        let stream = |packet: usize, first: usize| -> Vec<u8> {
            let mark = |i| [0x47, 0, 0, 0x10].get((i + packet - first) % packet).copied();
            (0..2048).map(|i| mark(i).unwrap_or(0xAA)).collect()
        };
        let dna: Vec<u8> = b"GATTACA".iter().copied().cycle().take(4096).collect();
        let pack = [0, 0, 1, 0xBA, 0x44, 0, 4, 0, 4, 1, 0, 0, 3, 0xF9, 0xFF, 0, 0, 1, 0xE0];
        let inside: Vec<u8> = [&[0xAA; 700][..], &pack].concat();
        let told: [(&[u8], _); 22] = [
            (&inside, Some("MPEG program stream")),
            (&inside[..inside.len() - 2], None),
            (b"\0\0\0\x20ftypisom", Some("MP4")),
            (b"\0\0\0\x18stypmsdh", Some("MP4")),
            (b"\0\0\0\x14ftypqt  ", Some("QuickTime")),
            (b"\x1a\x45\xdf\xa3....webm", Some("WebM")),
            (b"RIFF....AVI LIST", Some("AVI")),
            (&stream(188, 0)[..600], Some("MPEG transport stream")),
            (&stream(192, 4)[..600], Some("MPEG transport stream")),
            (&stream(188, 88), Some("MPEG transport stream")),
            (&stream(192, 100), Some("MPEG transport stream")),
            (&stream(188, 88)[..600], None),
            (&dna, None),
            (b"\0\0\0\x01\x67\xf4\0\x0a", Some("H.264 stream")),
            (b"\0\0\x01\x09\x10", Some("H.264 stream")),
            (b"\0\0\0\x01\x40\x01\x0c", Some("HEVC stream")),
            (b"\0\0\x01\x5c\0\0", None),
            (b"\0\0\x01\0\x01\0", None),
            (b"\0\0\0\x20ftypheic", None),
            (b"RIFF....WEBPVP8 ", None),
            (b"GIF89a", None),
            (b"", None),
        ];
        for (head, name) in told {
            assert_eq!(container(head).map(|row| row.0), name, "{:?}", &head[..12.min(head.len())]);
        }
    }
}
