//! The strips or tiles of a TIFF picture, unpacked and put together.

use std::io::Read;

use flate2::read::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::super::super::limits::Budget;
use super::super::ifd::Ifd;
use super::super::layout;
use super::super::picture::{Fault, checked, samples};
use super::tag;
use crate::watch::Watch;

/// Bytes that tiles may come to beyond a multiple of their picture: small pictures have tiles of the usual size.
const MOST_SPARE: usize = 64 << 20;
/// Samples of one pixel that Pillow reads at most.
const MOST_SAMPLES: u32 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
}

/// Where the samples are and how they are packed.
pub(super) struct Chunks {
    /// Width and height of the picture.
    pub(super) size: (u32, u32),
    /// Bits of each sample: 1, 2, 4, 8 or 16.
    pub(super) bits: u32,
    /// Samples of each pixel.
    pub(super) samples: usize,
    compression: Compression,
    big_endian: bool,
    /// Whether all samples of a kind stand together.
    pub(super) planar: bool,
    /// Whether each byte's first pixel is in its lowest bits.
    pub(super) reversed: bool,
    /// Whether each sample is stored as its difference to the one before.
    differences: bool,
    /// Width and height of a chunk in pixels.
    chunk: (usize, usize),
    /// Of each chunk, where it begins and, if known, its length.
    places: Vec<(usize, Option<usize>)>,
}

impl Chunks {
    pub(super) fn of(ifd: &Ifd<'_>, size: (u32, u32), budget: &Budget) -> Result<Self, Fault> {
        let (bits, samples) = depth(ifd)?;
        let compression = compression(ifd)?;
        let planar = ifd.value(tag::PLANAR) == Some(2) && samples > 1;
        let reversed = ifd.value(tag::FILL_ORDER) == Some(2);
        if reversed && compression != Compression::None {
            return Err(Fault::unsupported("a compressed TIFF of reversed bits"));
        }
        // Pillow looks at the predictor only where there is compression that defines it.
        let predictor = match compression {
            Compression::Lzw | Compression::Deflate => ifd.value(tag::PREDICTOR).unwrap_or(1),
            Compression::None | Compression::PackBits => 1,
        };
        if !(predictor == 1 || predictor == 2 && bits >= 8) {
            return Err(Fault::unsupported(format!("a TIFF of predictor {predictor} and {bits} bits")));
        }
        let (chunk, places) = places(ifd, size, budget)?;
        if chunk.0 != size.0 as usize && !(chunk.0 * bits as usize).is_multiple_of(8) {
            return Err(Fault::unsupported("a TIFF whose tiles begin inside a byte"));
        }
        let (big_endian, differences) = (ifd.is_big_endian(), predictor == 2);
        Ok(Self {
            size,
            bits,
            samples,
            compression,
            big_endian,
            planar,
            reversed,
            differences,
            chunk,
            places,
        })
    }

    /// Whether the samples stand in the file as they are, all together.
    pub(super) fn is_one_plain_piece(&self) -> bool {
        self.compression == Compression::None && self.places.len() == 1 && !self.planar && !self.reversed
    }

    /// Whether a row of a piece is not a row of the picture.
    pub(super) fn is_tiled(&self) -> bool {
        self.chunk.0 != self.size.0 as usize
    }

    /// All samples, pixel by pixel, each row beginning on a byte, 16-bit samples little-endian.
    pub(super) fn read(&self, bytes: &[u8], watch: &Watch) -> Result<Vec<u8>, Fault> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let planes = if self.planar { self.samples } else { 1 };
        let (across, down) = (width.div_ceil(self.chunk.0), height.div_ceil(self.chunk.1));
        if self.places.len() != across * down * planes {
            let got = format!("{} strips or tiles for {}", self.places.len(), across * down * planes);
            return Err(Fault::damaged("TIFF", got));
        }
        let plane_bytes = self.row_bytes(width) * height;
        self.check_work(plane_bytes * planes)?;
        let mut all = samples(plane_bytes * planes)?;
        for (plane, places) in all.chunks_exact_mut(plane_bytes).zip(self.places.chunks_exact(across * down))
        {
            for (index, &place) in places.iter().enumerate() {
                checked(watch)?;
                let origin = (index % across * self.chunk.0, index / across * self.chunk.1);
                self.put(plane, origin, bytes, place)?;
            }
        }
        if self.reversed {
            all.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        Ok(if planes == 1 { all } else { interleaved(&all, planes) })
    }

    /// Refuses tiles that come to far more than a picture of so many bytes: each is unpacked as a whole.
    fn check_work(&self, picture: usize) -> Result<(), Fault> {
        let rows = self.chunk.1.min(self.size.1 as usize);
        let unpacked = self.row_bytes(self.chunk.0).saturating_mul(rows).saturating_mul(self.places.len());
        match unpacked > picture.saturating_mul(8).saturating_add(MOST_SPARE) {
            true => Err(Fault::unsupported(format!(
                "a picture of {}×{} pixels in tiles of {}×{}",
                self.size.0, self.size.1, self.chunk.0, self.chunk.1
            ))),
            false => Ok(()),
        }
    }

    /// Unpacks one chunk into the plane at `origin`, in pixels.
    fn put(
        &self,
        plane: &mut [u8],
        origin: (usize, usize),
        bytes: &[u8],
        (start, length): (usize, Option<usize>),
    ) -> Result<(), Fault> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        // A last tile has more rows, but nobody needs them.
        let rows = self.chunk.1.min(height - origin.1);
        let stride = self.row_bytes(self.chunk.0);
        let mut unpacked = samples(stride * rows)?;
        let damaged = || Fault::damaged("TIFF", "a strip or tile that is cut off or broken");
        let end = match length {
            Some(length) if self.compression != Compression::None => start.checked_add(length),
            _ => start.checked_add(unpacked.len()),
        };
        let packed = end.and_then(|end| bytes.get(start..end)).ok_or_else(damaged)?;
        unpack(self.compression, packed, &mut unpacked).ok_or_else(damaged)?;
        if self.bits == 16 && self.big_endian {
            layout::swap16(&mut unpacked);
        }
        if self.differences {
            unpacked.chunks_exact_mut(stride).for_each(|row| self.add_up(row));
        }
        let used = self.row_bytes(self.chunk.0.min(width - origin.0));
        let left = self.row_bytes(origin.0);
        let plane_stride = self.row_bytes(width);
        for (row, line) in unpacked.chunks_exact(stride).enumerate() {
            let to = (origin.1 + row) * plane_stride + left;
            plane[to..to + used].copy_from_slice(&line[..used]);
        }
        Ok(())
    }

    /// Samples of a pixel that stand side by side.
    fn side_by_side(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    fn row_bytes(&self, pixels: usize) -> usize {
        (pixels * self.side_by_side() * self.bits as usize).div_ceil(8)
    }

    /// Differences to values, along a row of 8-bit or little-endian 16-bit samples.
    fn add_up(&self, row: &mut [u8]) {
        let step = self.side_by_side();
        if self.bits == 8 {
            for index in step..row.len() {
                row[index] = row[index].wrapping_add(row[index - step]);
            }
            return;
        }
        for index in (2 * step..row.len().saturating_sub(1)).step_by(2) {
            let value = |at: usize| u16::from_le_bytes([row[at], row[at + 1]]);
            let sum = value(index).wrapping_add(value(index - 2 * step)).to_le_bytes();
            row[index..index + 2].copy_from_slice(&sum);
        }
    }
}

/// Bits of a sample and samples of a pixel.
fn depth(ifd: &Ifd<'_>) -> Result<(u32, usize), Fault> {
    let samples = ifd.value(tag::SAMPLES).unwrap_or(1);
    if !(1..=MOST_SAMPLES).contains(&samples) {
        return Err(Fault::unsupported(format!("a TIFF of {samples} samples a pixel")));
    }
    let depths = ifd.values(tag::BITS).unwrap_or_else(|| vec![1]);
    // One value may stand for all samples; values beyond the samples count for nothing.
    let depths = &depths[..depths.len().min(samples as usize)];
    match depths {
        [bits @ (1 | 2 | 4 | 8 | 16), rest @ ..]
            if rest.iter().all(|other| other == bits)
                && (rest.is_empty() || depths.len() == samples as usize) =>
        {
            Ok((*bits, samples as usize))
        }
        _ => Err(Fault::unsupported(format!("a TIFF of {depths:?} bits a sample"))),
    }
}

fn compression(ifd: &Ifd<'_>) -> Result<Compression, Fault> {
    match ifd.value(tag::COMPRESSION).unwrap_or(1) {
        1 => Ok(Compression::None),
        5 => Ok(Compression::Lzw),
        8 | 32946 => Ok(Compression::Deflate),
        32773 => Ok(Compression::PackBits),
        other => {
            let name = match other {
                2..=4 => "fax",
                6 | 7 => "JPEG",
                _ => "unusual",
            };
            Err(Fault::unsupported(format!("a TIFF of {name} compression ({other})")))
        }
    }
}

type Places = ((usize, usize), Vec<(usize, Option<usize>)>);

/// The size of a chunk in pixels, and where the chunks are.
fn places(ifd: &Ifd<'_>, (width, height): (u32, u32), budget: &Budget) -> Result<Places, Fault> {
    let (chunk, offsets, lengths) = if let Some(offsets) = ifd.values(tag::STRIP_OFFSETS) {
        let rows = ifd.value(tag::ROWS_PER_STRIP).unwrap_or(height).min(height);
        ((width, rows), offsets, ifd.values(tag::STRIP_LENGTHS))
    } else {
        let offsets =
            ifd.values(tag::TILE_OFFSETS).ok_or_else(|| Fault::damaged("TIFF", "no strips and no tiles"))?;
        let side = |tag| ifd.value(tag).unwrap_or(0);
        ((side(tag::TILE_WIDTH), side(tag::TILE_HEIGHT)), offsets, ifd.values(tag::TILE_LENGTHS))
    };
    budget.check_pixels("", chunk.0, chunk.1)?;
    let places = offsets
        .iter()
        .enumerate()
        .map(|(index, &offset)| {
            let length = lengths.as_ref().and_then(|lengths| lengths.get(index));
            (offset as usize, length.map(|&length| length as usize))
        })
        .collect();
    Ok(((chunk.0 as usize, chunk.1 as usize), places))
}

/// Fills `out` exactly; `None` if `packed` holds less or is broken.
fn unpack(compression: Compression, packed: &[u8], out: &mut [u8]) -> Option<()> {
    match compression {
        Compression::None => out.copy_from_slice(packed.get(..out.len())?),
        Compression::Deflate => ZlibDecoder::new(packed).read_exact(out).ok()?,
        Compression::Lzw => unpack_lzw(packed, out)?,
        Compression::PackBits => unpack_bits(packed, out)?,
    }
    Some(())
}

fn unpack_lzw(mut packed: &[u8], mut out: &mut [u8]) -> Option<()> {
    let mut decoder = Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
    while !out.is_empty() {
        let progress = decoder.decode_bytes(packed, out);
        packed = packed.get(progress.consumed_in..)?;
        out = out.get_mut(progress.consumed_out..)?;
        match progress.status {
            Ok(LzwStatus::Ok) if progress.consumed_in + progress.consumed_out > 0 => {}
            _ if out.is_empty() => {}
            _ => return None,
        }
    }
    Some(())
}

fn unpack_bits(packed: &[u8], out: &mut [u8]) -> Option<()> {
    let (mut from, mut to) = (0, 0);
    while to < out.len() {
        let control = *packed.get(from)? as i8;
        from += 1;
        let rest = out.len() - to;
        if control >= 0 {
            let length = (control as usize + 1).min(rest);
            out[to..to + length].copy_from_slice(packed.get(from..from + length)?);
            from += length;
            to += length;
        } else if control != i8::MIN {
            let length = (control.unsigned_abs() as usize + 1).min(rest);
            out[to..to + length].fill(*packed.get(from)?);
            from += 1;
            to += length;
        }
    }
    Some(())
}

/// Planes one after another to pixels.
fn interleaved(all: &[u8], planes: usize) -> Vec<u8> {
    let length = all.len() / planes;
    (0..length).flat_map(|index| (0..planes).map(move |plane| all[plane * length + index])).collect()
}
