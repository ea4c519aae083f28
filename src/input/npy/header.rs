//! What stands before the numbers of an array.

use std::io::{self, Read};

use ndarray_npy::npy::header::{Header, ReadHeaderError};

use super::super::source::unreadable;
use super::super::volume::{ByteOrder, Number};
use super::cube::Order;
use crate::error::{Error, Result, shortened};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
const SHAPES: &str = "an array of shape (depth, height, width) or (1, depth, height, width)";
/// Bytes of a header, which holds three or four numbers and a type.
const MOST_BYTES: usize = 1 << 20;

/// How the numbers of a volume lie in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) number: Number,
    pub(super) order: ByteOrder,
    pub(super) layout: Order,
    /// Lengths of the three axes; not 0.
    pub(super) shape: [usize; 3],
    /// Offset of the first number in bytes.
    pub(super) start: u64,
}

impl Layout {
    /// Reads the header of an array of `length` bytes and makes sure, before anything is allocated, that there are as many
    /// numbers as it promises.
    ///
    /// # Errors
    /// [`Error::Input`] if it is damaged, of another type or shape, or longer than the file.
    pub(super) fn read(name: &str, bytes: &mut dyn Read, length: u64) -> Result<Self> {
        let (header, start) = parse(name, bytes)?;
        let descriptor = header.type_descriptor.as_string().map(String::as_str).unwrap_or("a structure");
        let (order, number) = Number::of(descriptor).ok_or_else(|| {
            Error::input(name, "an array of integers or floating-point numbers", format!("type {descriptor}"))
                .hint("save it as one of int8 to int64, uint8 to uint64, float16 to float64")
        })?;
        let shape = volume(name, &header.shape)?;
        let there = length.saturating_sub(start);
        let promised = shape.iter().try_fold(number.size(), |bytes, &size| bytes.checked_mul(size));
        if promised.is_none_or(|bytes| bytes as u64 > there) {
            let promised = promised.map_or("more bytes than can be counted".into(), |n| format!("{n} bytes"));
            return Err(cut_short(name, format!("{promised} of data for shape {shape:?}"), there));
        }
        Ok(Self {
            number,
            order,
            layout: if header.layout.is_fortran() { Order::Fortran } else { Order::C },
            shape,
            start,
        })
    }
}

/// The lengths of the axes of a volume.
fn volume(name: &str, shape: &[usize]) -> Result<[usize; 3]> {
    let refuse =
        |hint: &str| Err(Error::input(name, SHAPES, shortened(&format!("shape {shape:?}"), 80)).hint(hint));
    match *shape {
        // Colours of a picture are 3 or 4; no volume is so narrow.
        [_, height, width, 3 | 4] if height > 4 && width > 4 => refuse(
            "its last axis looks like colours: save one of them, array[..., 0], or array.mean(axis=-1)",
        ),
        [_, _, _, 1] => refuse("drop its last axis: save array[..., 0]"),
        [depth, height, width] | [1, depth, height, width] => Ok([depth, height, width]),
        [_, _] => refuse("save a single picture as PNG, or as a volume of one slice: array[None]"),
        [_, _, _, _] => refuse("save one volume at a time: array[0]"),
        _ => refuse("save one volume of three axes"),
    }
}

/// The header, and the offset of what follows it.
fn parse(name: &str, mut bytes: &mut dyn Read) -> Result<(Header, u64)> {
    let damaged = || {
        Error::input(name, "a NumPy array", "a file with a damaged header")
            .hint("save it again with numpy.save")
    };
    let unread = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => unreadable(name, error),
    };
    // The magic, two bytes of version and the header's length, of 2 bytes in version 1 and of 4 later.
    let mut first = [0; 12];
    bytes.read_exact(&mut first).map_err(unread)?;
    let [.., version, minor, a, b, c, d] = first;
    let (before, length) = match version {
        0 | 4.. => {
            let got = format!("version {version}.{minor}");
            return Err(Error::input(name, "NumPy's format 1.0, 2.0 or 3.0", got)
                .hint("save it again with numpy.save"));
        }
        1 => (10, usize::from(u16::from_le_bytes([a, b]))),
        _ => (12, u32::from_le_bytes([a, b, c, d]) as usize),
    };
    // The parser would take as much memory as that.
    if length > MOST_BYTES {
        return Err(damaged());
    }
    match Header::from_reader(&mut first.chain(&mut bytes)) {
        Ok(header) => Ok((header, (before + length) as u64)),
        Err(ReadHeaderError::Io(error)) => Err(unread(error)),
        // The parser's own words go over several lines.
        Err(ReadHeaderError::Parse(_)) => Err(damaged()),
    }
}

/// A file that holds less than it promises.
pub(super) fn cut_short(name: &str, promised: String, there: u64) -> Error {
    Error::input(name, promised, format!("{there} bytes")).hint("the file was cut short")
}
