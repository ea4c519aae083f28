//! Which video format a file is, by its first bytes.

/// A container: the name for messages, FFmpeg's demuxer, how the file begins.
pub(super) type Container = (&'static str, &'static str, fn(&[u8]) -> bool);

/// FFmpeg may use only the demuxer that belongs to the beginning of the file: others, such as playlists, would
/// let a file make this program open further files.
const CONTAINERS: [Container; 12] = [
    ("MP4", "mp4", |h| boxes(h, &[b"ftyp"]) && !h[8..].starts_with(b"qt  ") && !is_still(h)),
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
    ("YUV4MPEG2", "yuv4mpegpipe", |h| h.starts_with(b"YUV4MPEG2 ")),
    // Weakest last: one byte that recurs every packet, with a 4-byte clock before it on Blu-ray and AVCHD.
    ("MPEG transport stream", "mpegts", |h| syncs(h, 0, 188) || syncs(h, 4, 192)),
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

fn syncs(head: &[u8], first: usize, packet: usize) -> bool {
    (0..3).all(|i| head.get(first + i * packet) == Some(&0x47))
}

/// The container of a file that begins with `head`; 600 bytes are enough to tell.
pub(super) fn container(head: &[u8]) -> Option<&'static Container> {
    CONTAINERS.iter().find(|(_, _, begins)| begins(head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_content() {
        let stream: Vec<u8> = (0..600).map(|i| if i % 188 == 0 { 0x47 } else { 0 }).collect();
        let told: [(&[u8], _); 9] = [
            (b"\0\0\0\x20ftypisom", Some("MP4")),
            (b"\0\0\0\x14ftypqt  ", Some("QuickTime")),
            (b"\x1a\x45\xdf\xa3....webm", Some("WebM")),
            (b"RIFF....AVI LIST", Some("AVI")),
            (&stream, Some("MPEG transport stream")),
            (b"\0\0\0\x20ftypheic", None),
            (b"RIFF....WEBPVP8 ", None),
            (b"GIF89a", None),
            (b"", None),
        ];
        for (head, name) in told {
            assert_eq!(container(head).map(|row| row.0), name, "{head:?}");
        }
    }
}
