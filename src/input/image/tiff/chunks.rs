//! The strips or tiles of a TIFF picture, unpacked and put together.

use super::super::super::limits::Budget;
use super::super::super::reading::ReadOptions;
use super::super::ifd::{Ifd, Values};
use super::super::jpeg::scans;
use super::super::layout;
use super::super::picture::{Fault, checked, samples};
use super::jpeg::{self, Colours};
use super::tag;
use super::unpack::{Compression, Predictor};

/// Bytes that tiles may come to beyond a multiple of their picture: small pictures have tiles of the usual size. And packed
/// bytes that strips may share beyond a multiple of the file: those of empty tiles.
const MOST_SPARE: usize = 64 << 20;
/// Samples of one pixel that Pillow reads at most.
const MOST_SAMPLES: u32 = 6;
/// Rows by which the JPEG of the last strip may be longer than its part of the picture: a block of subsampled colours.
const SPARE_ROWS: usize = 15;

/// Where the samples are and how they are packed.
pub(super) struct Chunks<'a> {
    /// Width and height of the picture.
    pub(super) size: (u32, u32),
    /// Bits of each sample: 1, 2, 4, 8, 16, 32 or 64.
    pub(super) bits: u32,
    /// Samples of each pixel.
    pub(super) samples: usize,
    pub(super) compression: Compression,
    big_endian: bool,
    /// Whether all samples of a kind stand together.
    pub(super) planar: bool,
    /// Whether each byte's first pixel is in its lowest bits.
    pub(super) reversed: bool,
    predictor: Predictor,
    /// Width and height of a chunk in pixels.
    chunk: (usize, usize),
    /// Where each chunk begins.
    offsets: Values<'a>,
    lengths: Option<Values<'a>>,
    /// What the JPEGs of all chunks share.
    tables: &'a [u8],
    colours: Colours,
}

impl<'a> Chunks<'a> {
    pub(super) fn of(ifd: &Ifd<'a>, size: (u32, u32), budget: &Budget) -> Result<Self, Fault> {
        let (bits, samples) = depth(ifd)?;
        let compression = Compression::of(ifd)?;
        let planar = ifd.value(tag::PLANAR) == Some(2) && samples > 1;
        let reversed = ifd.value(tag::FILL_ORDER) == Some(2);
        if reversed && compression != Compression::None {
            return Err(Fault::unsupported("a compressed TIFF of reversed bits"));
        }
        if compression == Compression::Jpeg && (bits != 8 || planar) {
            return Err(Fault::unsupported(format!("a TIFF of JPEG compression and {bits} bits")));
        }
        let predictor = predictor(ifd, compression, bits)?;
        let (chunk, offsets, lengths) = places(ifd, size, budget)?;
        if chunk.0 != size.0 as usize && !(chunk.0 * bits as usize).is_multiple_of(8) {
            return Err(Fault::unsupported("a TIFF whose tiles begin inside a byte"));
        }
        let is_ycbcr = ifd.value(tag::PHOTOMETRIC) == Some(6);
        Ok(Self {
            size,
            bits,
            samples,
            compression,
            big_endian: ifd.is_big_endian(),
            planar,
            reversed,
            predictor,
            chunk,
            offsets,
            lengths,
            tables: ifd.stored(tag::JPEG_TABLES).unwrap_or_default(),
            colours: if is_ycbcr { Colours::YCbCr } else { Colours::Plain },
        })
    }

    /// Whether the samples stand in the file as they are, all together.
    pub(super) fn is_one_plain_piece(&self) -> bool {
        self.compression == Compression::None && self.offsets.len() == 1 && !self.planar && !self.reversed
    }

    /// Whether a row of a piece is not a row of the picture.
    pub(super) fn is_tiled(&self) -> bool {
        self.chunk.0 != self.size.0 as usize
    }

    /// All samples, pixel by pixel, each row beginning on a byte, wide samples little-endian.
    pub(super) fn read(&self, bytes: &[u8], options: &ReadOptions) -> Result<Vec<u8>, Fault> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let planes = if self.planar { self.samples } else { 1 };
        let (across, down) = (width.div_ceil(self.chunk.0), height.div_ceil(self.chunk.1));
        if self.offsets.len() != across * down * planes {
            let got = format!("{} strips or tiles for {}", self.offsets.len(), across * down * planes);
            return Err(Fault::damaged("TIFF", got));
        }
        let count = self.row_bytes(width) * height * planes;
        options.budget.check_samples("", count as u64)?;
        self.check_work(count, bytes, &options.budget)?;
        let mut all = Vec::new();
        for index in 0..self.offsets.len() {
            checked(&options.watch)?;
            let place = index % (across * down);
            let origin = (place % across * self.chunk.0, place / across * self.chunk.1);
            // A last tile has more rows, but nobody needs them.
            let rows = self.chunk.1.min(height - origin.1);
            let packed = self.packed(index, bytes).ok_or_else(broken)?;
            let unpacked = self.rows(packed, rows, &options.budget)?;
            if self.offsets.len() == 1 && !self.is_tiled() {
                // The picture itself: there may be no memory for another.
                all = unpacked;
                all.truncate(count);
                break;
            }
            if all.is_empty() {
                all = samples(count)?;
            }
            match self.planar {
                true => self.scatter(&mut all, index / (across * down), origin, &unpacked),
                false => self.put(&mut all, origin, &unpacked),
            }
        }
        if self.reversed {
            all.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        Ok(all)
    }

    /// Refuses tiles that come to far more than a picture of so many bytes, since each is unpacked as a whole, and those that
    /// together take far more packed bytes than the file has.
    fn check_work(&self, picture: usize, bytes: &[u8], budget: &Budget) -> Result<(), Fault> {
        let rows = self.chunk.1.min(self.size.1 as usize);
        let unpacked = self.row_bytes(self.chunk.0).saturating_mul(rows).saturating_mul(self.offsets.len());
        let allowed = |of: usize| of.saturating_mul(8).saturating_add(MOST_SPARE);
        if unpacked > allowed(picture) {
            return Err(Fault::unsupported(format!(
                "a picture of {}×{} pixels in tiles of {}×{}",
                self.size.0, self.size.1, self.chunk.0, self.chunk.1
            )));
        }
        if self.compression == Compression::None {
            return Ok(());
        }
        let (mut packed, mut passes): (usize, u64) = (0, 0);
        for index in 0..self.offsets.len() {
            let piece = self.packed(index, bytes).ok_or_else(broken)?;
            packed = packed.saturating_add(piece.len());
            if packed > allowed(bytes.len()) {
                return Err(Fault::unsupported("a TIFF whose strips or tiles share their bytes"));
            }
            if self.compression == Compression::Jpeg {
                passes = passes.saturating_add(scans(piece));
            }
        }
        let pixels = (self.chunk.0 as u64).saturating_mul(self.chunk.1 as u64);
        Ok(budget.check_scans("", passes, pixels)?)
    }

    /// The packed bytes of a chunk, if they are in the file.
    fn packed<'b>(&self, index: usize, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let start = usize::try_from(self.offsets.get(index)?).ok()?;
        let length = self.lengths.and_then(|lengths| lengths.get(index));
        match length {
            Some(length) if self.compression != Compression::None => {
                bytes.get(start..start.checked_add(usize::try_from(length).ok()?)?)
            }
            // Packed bytes are hardly more than what they hold.
            _ => {
                let rest = bytes.get(start..)?;
                Some(&rest[..rest.len().min(self.row_bytes(self.chunk.0).saturating_mul(self.chunk.1))])
            }
        }
    }

    /// So many rows of a chunk, unpacked.
    fn rows(&self, packed: &[u8], rows: usize, budget: &Budget) -> Result<Vec<u8>, Fault> {
        if self.compression == Compression::Jpeg {
            let whole = jpeg::whole(self.tables, packed, self.colours)?;
            let most = self.chunk.1.max(rows + SPARE_ROWS);
            return jpeg::samples(&whole, (self.chunk.0, rows..=most), self.samples, budget);
        }
        let stride = self.row_bytes(self.chunk.0);
        let mut unpacked = samples(stride * rows)?;
        self.compression.unpack(packed, &mut unpacked).ok_or_else(broken)?;
        let size = self.bits as usize / 8;
        if self.big_endian && size > 1 && self.predictor != Predictor::Float {
            layout::swap(&mut unpacked, size);
        }
        let step = self.side_by_side();
        unpacked.chunks_exact_mut(stride).for_each(|row| self.predictor.undo(row, size, step));
        Ok(unpacked)
    }

    /// Copies the rows of a chunk to their place at `origin`, in pixels.
    fn put(&self, all: &mut [u8], origin: (usize, usize), unpacked: &[u8]) {
        let (width, stride) = (self.size.0 as usize, self.row_bytes(self.size.0 as usize));
        let used = self.row_bytes(self.chunk.0.min(width - origin.0));
        let left = self.row_bytes(origin.0);
        let rows = all.chunks_exact_mut(stride).skip(origin.1);
        for (row, line) in rows.zip(unpacked.chunks_exact(self.row_bytes(self.chunk.0))).take(self.chunk.1) {
            row[left..left + used].copy_from_slice(&line[..used]);
        }
    }

    /// Copies the samples of one plane to their pixels.
    fn scatter(&self, all: &mut [u8], plane: usize, origin: (usize, usize), unpacked: &[u8]) {
        let (width, size) = (self.size.0 as usize, (self.bits as usize / 8).max(1));
        let used = self.chunk.0.min(width - origin.0);
        let pixel = self.samples * size;
        let rows = all.chunks_exact_mut(width * pixel).skip(origin.1);
        for (row, line) in rows.zip(unpacked.chunks_exact(self.row_bytes(self.chunk.0))).take(self.chunk.1) {
            let pixels = row[origin.0 * pixel..].chunks_exact_mut(pixel).take(used);
            for (to, from) in pixels.zip(line.chunks_exact(size)) {
                to[plane * size..][..size].copy_from_slice(from);
            }
        }
    }

    /// Samples of a pixel that stand side by side.
    fn side_by_side(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    fn row_bytes(&self, pixels: usize) -> usize {
        (pixels * self.side_by_side() * self.bits as usize).div_ceil(8)
    }
}

fn broken() -> Fault {
    Fault::damaged("TIFF", "a strip or tile that is cut off or broken")
}

/// Bits of a sample and samples of a pixel.
fn depth(ifd: &Ifd<'_>) -> Result<(u32, usize), Fault> {
    let samples = ifd.value(tag::SAMPLES).unwrap_or(1);
    if !(1..=MOST_SAMPLES).contains(&samples) {
        return Err(Fault::unsupported(format!("a TIFF of {samples} samples a pixel")));
    }
    let depths = ifd.few(tag::BITS).unwrap_or_else(|| vec![1]);
    // One value may stand for all samples; values beyond the samples count for nothing.
    let depths = &depths[..depths.len().min(samples as usize)];
    match depths {
        [bits @ (1 | 2 | 4 | 8 | 16 | 32 | 64), rest @ ..]
            if rest.iter().all(|other| other == bits)
                && (rest.is_empty() || depths.len() == samples as usize) =>
        {
            Ok((*bits, samples as usize))
        }
        _ => Err(Fault::unsupported(format!("a TIFF of {depths:?} bits a sample"))),
    }
}

/// Pillow looks at the predictor only where there is a compression that defines it.
fn predictor(ifd: &Ifd<'_>, compression: Compression, bits: u32) -> Result<Predictor, Fault> {
    let number = match compression {
        Compression::Lzw | Compression::Deflate => ifd.value(tag::PREDICTOR).unwrap_or(1),
        Compression::None | Compression::PackBits | Compression::Jpeg => 1,
    };
    let is_float = ifd.value(tag::SAMPLE_FORMAT) == Some(3);
    match number {
        1 => Ok(Predictor::None),
        2 if bits >= 8 => Ok(Predictor::Difference),
        3 if bits >= 16 && is_float => Ok(Predictor::Float),
        _ => Err(Fault::unsupported(format!("a TIFF of predictor {number} and {bits} bits"))),
    }
}

type Places<'a> = ((usize, usize), Values<'a>, Option<Values<'a>>);

/// The size of a chunk in pixels, where the chunks are, and how long.
fn places<'a>(ifd: &Ifd<'a>, (width, height): (u32, u32), budget: &Budget) -> Result<Places<'a>, Fault> {
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
    Ok(((chunk.0 as usize, chunk.1 as usize), offsets, lengths))
}
