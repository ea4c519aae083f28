//! How the bytes of a strip or tile are packed.

use std::io::Read;

use flate2::read::ZlibDecoder;
use weezl::{BitOrder, LzwStatus, decode::Decoder};

use super::super::ifd::Ifd;
use super::super::picture::Fault;
use super::tag;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Jpeg,
}

impl Compression {
    /// What a directory says.
    pub(super) fn of(ifd: &Ifd<'_>) -> Result<Self, Fault> {
        match ifd.value(tag::COMPRESSION).unwrap_or(1) {
            1 => Ok(Compression::None),
            5 => Ok(Compression::Lzw),
            7 => Ok(Compression::Jpeg),
            8 | 32946 => Ok(Compression::Deflate),
            32773 => Ok(Compression::PackBits),
            other => {
                let name = match other {
                    2..=4 => "fax",
                    6 => "old-style JPEG",
                    34712 | 33003 | 33005 => "JPEG 2000",
                    50000 | 34926 => "zstd",
                    50001 | 34927 => "WebP",
                    _ => "unusual",
                };
                Err(Fault::unsupported(format!("a TIFF of {name} compression ({other})")))
            }
        }
    }

    /// Fills `out` exactly; none if `packed` holds less or is broken. A JPEG is no row of bytes: see [`super::jpeg`].
    pub(super) fn unpack(self, packed: &[u8], out: &mut [u8]) -> Option<()> {
        match self {
            Compression::None => out.copy_from_slice(packed.get(..out.len())?),
            Compression::Deflate => ZlibDecoder::new(packed).read_exact(out).ok()?,
            Compression::Lzw => unpack_lzw(packed, out)?,
            Compression::PackBits => unpack_bits(packed, out)?,
            Compression::Jpeg => return None,
        }
        Some(())
    }
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

/// What stands in place of the samples of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    /// Nothing: the samples.
    None,
    /// Of each sample its difference to the one before of the same kind.
    Difference,
    /// Of all samples their highest bytes, then the next ones, and of each byte its difference to the one before.
    Float,
}

impl Predictor {
    /// Samples of `size` bytes, little-endian, out of a row; `step` samples of a pixel stand side by side. The samples of
    /// [`Predictor::Float`] are stored the same in both byte orders.
    pub(super) fn undo(self, row: &mut [u8], size: usize, step: usize) {
        match (self, size) {
            (Predictor::None, _) => {}
            (Predictor::Difference, 1) => add_up::<1>(row, step, |a, b| [a[0].wrapping_add(b[0])]),
            (Predictor::Difference, 2) => add_up::<2>(row, step, |a, b| {
                u16::from_le_bytes(a).wrapping_add(u16::from_le_bytes(b)).to_le_bytes()
            }),
            (Predictor::Difference, 4) => add_up::<4>(row, step, |a, b| {
                u32::from_le_bytes(a).wrapping_add(u32::from_le_bytes(b)).to_le_bytes()
            }),
            (Predictor::Difference, _) => add_up::<8>(row, step, |a, b| {
                u64::from_le_bytes(a).wrapping_add(u64::from_le_bytes(b)).to_le_bytes()
            }),
            (Predictor::Float, _) => {
                add_up::<1>(row, step, |a, b| [a[0].wrapping_add(b[0])]);
                let bytes = row.to_vec();
                let count = bytes.len() / size;
                for (index, sample) in row.chunks_exact_mut(size).enumerate() {
                    let byte = |place: usize| bytes[place * count + index];
                    sample.iter_mut().rev().enumerate().for_each(|(place, to)| *to = byte(place));
                }
            }
        }
    }
}

/// Adds to each number of `N` bytes the one that stands `step` numbers before it.
fn add_up<const N: usize>(row: &mut [u8], step: usize, sum: fn([u8; N], [u8; N]) -> [u8; N]) {
    let numbers = row.as_chunks_mut::<N>().0;
    for index in step..numbers.len() {
        numbers[index] = sum(numbers[index], numbers[index - step]);
    }
}
