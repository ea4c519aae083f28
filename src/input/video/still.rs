//! The picture of a HEIC or AVIF file, decoded by the system's FFmpeg: alone or as a grid of tiles, with its transparency.

use ffmpeg_next as ffmpeg;

use ffmpeg::codec;
use ffmpeg::color;
use ffmpeg::frame::Video;

use super::super::limits::zeros;
use super::super::reading::ReadOptions;
use super::container::set_up;
use super::items::{Items, Reader, damaged};
use super::painter::Painter;
use crate::error::{Error, Result};
use crate::frame::{Frame, Provenance};

/// What the primary picture of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::input) struct StillHeader {
    /// Width and height as they are stored.
    pub(in crate::input) size: [u32; 2],
    /// How to stand it upright, as a value of EXIF's tag.
    pub(in crate::input) orientation: u32,
}

/// A picture as it is stored.
pub(in crate::input) struct Still {
    pub(in crate::input) header: StillHeader,
    /// RGB, or RGBA if it can be seen through.
    pub(in crate::input) samples: Vec<u8>,
    pub(in crate::input) has_alpha: bool,
    /// What the owner should know.
    pub(in crate::input) remarks: Vec<String>,
}

/// Size and orientation of the primary picture; no pixel is made.
///
/// # Errors
/// [`Error::Input`] if the file is damaged, too large or of a kind that is not read.
pub(in crate::input) fn still_header(bytes: &[u8], options: &ReadOptions) -> Result<StillHeader> {
    header(&Items::read(bytes)?, options)
}

/// The primary picture.
///
/// # Errors
/// As [`still_header`], and what the watch says.
pub(in crate::input) fn decode_still(bytes: &[u8], options: &ReadOptions) -> Result<Still> {
    set_up();
    let items = Items::read(bytes)?;
    let header = header(&items, options)?;
    let mut stills = Stills { items: &items, options, painter: Painter::new("", 1, options.budget) };
    let mut samples = stills.rgb(items.primary, header.size)?;
    let alpha = items.referring(b"auxl", items.primary).find(|id| is_alpha(&items, *id));
    if let Some(alpha) = alpha {
        if items.size(alpha)? != header.size {
            return Err(damaged("transparency of another size"));
        }
        let alpha = stills.rgb(alpha, header.size)?;
        let mut rgba = zeros("", samples.len() / 3 * 4)?;
        let pixels = rgba.as_chunks_mut().0.iter_mut();
        for ((to, [red, green, blue]), [alpha, ..]) in
            pixels.zip(samples.as_chunks().0).zip(alpha.as_chunks::<3>().0)
        {
            *to = [*red, *green, *blue, *alpha];
        }
        samples = rgba;
    }
    let mut remarks = Vec::new();
    if stills.painter.depth > 8 {
        let depth = stills.painter.depth;
        remarks.push(format!("Samples of {depth} bits are scaled to 8, all by their whole range."));
    }
    if items.has_others() {
        remarks.push("Only the primary picture of several in the file is looked at.".into());
    }
    Ok(Still { header, samples, has_alpha: alpha.is_some(), remarks })
}

fn header(items: &Items<'_>, options: &ReadOptions) -> Result<StillHeader> {
    let size = items.size(items.primary)?;
    options.budget.check_pixels("", size[0], size[1])?;
    Ok(StillHeader { size, orientation: orientation(items)? })
}

/// How the file says that the picture is to be turned and then mirrored: ISO/IEC 23008-12, 6.5.10 and 6.5.12.
fn orientation(items: &Items<'_>) -> Result<u32> {
    let (mut quarters, mut mirror) = (0, None);
    for (kind, content) in items.properties(items.primary) {
        let low = content.first().copied().unwrap_or_default();
        match kind {
            b"clap" => return Err(unsupported("one that is cropped when it is shown (clap)")),
            b"irot" if mirror.is_some() => return Err(unsupported("one that is mirrored and then turned")),
            b"irot" => quarters += low & 3,
            b"imir" => mirror = Some(low & 1),
            _ => {}
        }
    }
    Ok(match (quarters % 4, mirror) {
        (0, None) => 1,
        (0, Some(1)) | (2, Some(0)) => 2,
        (2, None) => 3,
        (0, Some(_)) | (2, Some(_)) => 4,
        (1, Some(0)) | (3, Some(1)) => 5,
        // Turned to the left.
        (1, None) => 8,
        (_, None) => 6,
        _ => 7,
    })
}

/// Whether an item says how much another one can be seen through.
fn is_alpha(items: &Items<'_>, id: u32) -> bool {
    const NAMES: [&[u8]; 2] =
        [b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0", b"urn:mpeg:hevc:2015:auxid:1\0"];
    let kind = items.property(id, b"auxC").and_then(|content| content.get(4..));
    kind.is_some_and(|kind| NAMES.iter().any(|name| kind.starts_with(name)))
}

fn unsupported(got: &str) -> Error {
    Error::input("", "a HEIC or AVIF image of one picture or a grid, whole, in HEVC or AV1", got)
        .hint("convert it to PNG or JPEG")
}

/// Pictures of a file.
struct Stills<'a> {
    items: &'a Items<'a>,
    options: &'a ReadOptions,
    painter: Painter,
}

impl Stills<'_> {
    /// The pixels of an item of this size.
    fn rgb(&mut self, id: u32, size: [u32; 2]) -> Result<Vec<u8>> {
        match &self.items.kind(id)? {
            b"grid" => self.grid(id, size),
            _ => Ok(self.coded(id, size)?.samples().to_vec()),
        }
    }

    /// The pixels of a grid: ISO/IEC 23008-12, 6.6.2.3.
    fn grid(&mut self, id: u32, size: [u32; 2]) -> Result<Vec<u8>> {
        let content = self.items.content(id)?;
        let mut reader = Reader(&content);
        let grid = (|| {
            let [_, flags, rows, columns] = [(); 4].map(|()| reader.number(1));
            let wide = if flags? & 1 == 1 { 4 } else { 2 };
            let size = [reader.number(wide)? as u32, reader.number(wide)? as u32];
            Some((rows? as usize + 1, columns? as usize + 1, size))
        })();
        let tiles = self.items.referred(b"dimg", id);
        let Some((rows, columns, stated)) = grid else { return Err(damaged("a grid without a size")) };
        let tile = self.items.size(*tiles.first().ok_or_else(|| damaged("a grid without tiles"))?)?;
        let covers = |tile: u32, count: usize, side: u32| {
            let (tile, side) = (tile as usize, side as usize);
            tile > 0 && tile * count >= side && tile * (count - 1) < side
        };
        if stated != size
            || tiles.len() != rows * columns
            || !covers(tile[0], columns, size[0])
            || !covers(tile[1], rows, size[1])
        {
            return Err(damaged("a grid that its tiles do not fill"));
        }
        // The last column and row stand over, by less than a tile: what is decoded is bounded by what is looked at.
        self.options.budget.check_pixels("", tile[0] * columns as u32, tile[1] * rows as u32)?;
        let row = 3 * size[0] as usize;
        let mut canvas = zeros("", row * size[1] as usize)?;
        for (number, id) in tiles.iter().enumerate() {
            let (top, left) = (number / columns * tile[1] as usize, number % columns * tile[0] as usize);
            if self.items.kind(*id)? == *b"grid" {
                return Err(unsupported("a grid of grids"));
            }
            let decoded = self.coded(*id, tile)?;
            let width = (tile[0] as usize).min(size[0] as usize - left);
            for (to, from) in canvas[top * row..]
                .chunks_exact_mut(row)
                .zip(decoded.samples().chunks_exact(3 * tile[0] as usize))
            {
                to[3 * left..][..3 * width].copy_from_slice(&from[..3 * width]);
            }
        }
        Ok(canvas)
    }

    /// A picture that is coded by itself.
    fn coded(&mut self, id: u32, size: [u32; 2]) -> Result<Frame> {
        self.options.watch.check()?;
        let content = self.items.content(id)?;
        let (codec, stream) = match &self.items.kind(id)? {
            b"av01" => (codec::Id::AV1, content),
            b"hvc1" | b"hev1" => {
                let record = self.items.property(id, b"hvcC").unwrap_or_default();
                let stream = in_start_codes(record, &content).ok_or_else(|| damaged("a damaged stream"))?;
                (codec::Id::HEVC, stream)
            }
            kind => return Err(unsupported(&format!("one of the kind {}", kind.escape_ascii()))),
        };
        let mut frame = decoded(codec, &stream, u64::from(size[0]) * u64::from(size[1]))?;
        if [frame.width(), frame.height()] != size {
            let got = format!(
                "{}×{} pixels where its header says {}×{}",
                frame.width(),
                frame.height(),
                size[0],
                size[1]
            );
            return Err(damaged(got));
        }
        if let Some(colours) =
            self.items.property(id, b"colr").or_else(|| self.items.property(self.items.primary, b"colr"))
        {
            tag(&mut frame, colours);
        }
        if frame.color_space() == color::Space::Unspecified {
            frame.set_color_space(color::Space::SMPTE170M);
        }
        self.painter.paint(&frame, Provenance::default())
    }
}

/// Says of a frame by which matrix its colours were made, as the file says it: ISO/IEC 14496-12, 12.1.5.
fn tag(frame: &mut Video, colours: &[u8]) {
    let Some([_, _, _, _, 0, matrix, range, ..]) = colours.strip_prefix(b"nclx") else { return };
    match matrix {
        1 => frame.set_color_space(color::Space::BT709),
        5 | 6 => frame.set_color_space(color::Space::SMPTE170M),
        9 => frame.set_color_space(color::Space::BT2020NCL),
        _ => {}
    }
    frame.set_color_range(if range & 0x80 == 0 { color::Range::MPEG } else { color::Range::JPEG });
}

/// The one frame of a stream, of about so many pixels.
fn decoded(id: codec::Id, stream: &[u8], pixels: u64) -> Result<Video> {
    let name = id.name();
    let missing = || {
        Error::input("", format!("an FFmpeg that decodes {name}"), "one without")
            .hint("convert it to PNG or JPEG")
    };
    let broken =
        |error: ffmpeg::Error| damaged(format!("a stream of {name} that cannot be decoded: {error}"));
    let found = ffmpeg::decoder::find(id).ok_or_else(missing)?;
    let mut options = ffmpeg::Dictionary::new();
    // A stream that claims more than the header is not decoded. Coded sides are multiples of at most 64.
    options.set("max_pixels", &(2 * pixels + (1 << 16)).to_string());
    let opened = codec::Context::new_with_codec(found).decoder().open_as_with(found, options);
    let mut decoder = opened.and_then(|opened| opened.video()).map_err(broken)?;
    decoder.send_packet(&ffmpeg::Packet::copy(stream)).map_err(broken)?;
    decoder.send_eof().map_err(broken)?;
    let mut frame = Video::empty();
    decoder.receive_frame(&mut frame).map_err(broken)?;
    Ok(frame)
}

/// A stream of HEVC as decoders take it without a header beside it: the units of its configuration record (ISO/IEC 14496-15,
/// 8.3.3.1), then its own, each after a start code.
fn in_start_codes(record: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    const START: [u8; 4] = [0, 0, 0, 1];
    let mut reader = Reader(record);
    reader.take(21)?;
    let lengths = (reader.number(1)? & 3) as usize + 1;
    let mut stream = Vec::new();
    for _ in 0..reader.number(1)? {
        reader.number(1)?;
        for _ in 0..reader.number(2)? {
            let length = reader.number(2)? as usize;
            stream.extend([&START, reader.take(length)?].concat());
        }
    }
    let mut reader = Reader(content);
    while !reader.0.is_empty() {
        let length = usize::try_from(reader.number(lengths)?).ok()?;
        stream.extend_from_slice(&START);
        stream.extend_from_slice(reader.take(length)?);
    }
    Some(stream)
}
