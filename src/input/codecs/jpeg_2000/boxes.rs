//! The boxes of a JP2 file around its code stream (T.800 Annex I).

use super::super::markers::Fields;
use super::super::stream::{Colour, JPEG_2000, damaged, unsupported};
use crate::error::Result;

/// How a JP2 file begins.
pub(super) const SIGNATURE: [u8; 12] = *b"\0\0\0\x0cjP  \r\n\x87\n";

/// A code stream and what its boxes say of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boxed<'a> {
    pub(super) stream: &'a [u8],
    pub(super) colour: Colour,
}

impl<'a> Boxed<'a> {
    /// The code stream in `bytes`, which may stand alone.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if there is none, or if its samples are not the picture's own.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        if !bytes.starts_with(&SIGNATURE) {
            return Ok(Self { stream: bytes, colour: Colour::Unsaid });
        }
        let mut colour = Colour::Unsaid;
        let mut rest = bytes;
        while let Some((kind, body, after)) = next_box(rest)? {
            match &kind {
                b"jp2h" => colour = colour_of(body)?,
                b"jp2c" => return Ok(Self { stream: body, colour }),
                _ => {}
            }
            rest = after;
        }
        Err(damaged(JPEG_2000, "a file without a code stream"))
    }
}

/// The kind of the next box, what is in it and what is behind it.
type NextBox<'a> = ([u8; 4], &'a [u8], &'a [u8]);

fn next_box(bytes: &[u8]) -> Result<Option<NextBox<'_>>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let cut_off = || damaged(JPEG_2000, "a box that is cut off");
    let mut fields = Fields::new(JPEG_2000, bytes);
    let length = fields.long()?;
    let kind = *fields.bytes(4)?.first_chunk().ok_or_else(cut_off)?;
    let (header, length) = match length {
        // The last box goes on to the end of the file.
        0 => (8, bytes.len()),
        1 => {
            let (high, low) = (fields.long()?, fields.long()?);
            let length = u64::from(high) << 32 | u64::from(low);
            (16, usize::try_from(length).map_err(|_| cut_off())?)
        }
        length => (8, length as usize),
    };
    let (this, after) = bytes.split_at_checked(length).ok_or_else(cut_off)?;
    Ok(Some((kind, this.get(header..).ok_or_else(cut_off)?, after)))
}

/// What the header's boxes say of the samples.
fn colour_of(header: &[u8]) -> Result<Colour> {
    let (mut colour, mut rest) = (Colour::Unsaid, header);
    let mut said = false;
    while let Some((kind, body, after)) = next_box(rest)? {
        match (&kind, body) {
            (b"pclr", _) => return Err(unsupported(JPEG_2000, "colours without a palette", "one")),
            // The first one counts. Method 1 names a colour space by its number.
            (b"colr", [1, _, _, 0, 0, 0, number, ..]) if !said => {
                said = true;
                colour = match number {
                    16 => Colour::Rgb,
                    17 => Colour::Unsaid,
                    18 => Colour::Ycbcr,
                    number => {
                        let wanted = "grey, sRGB or sYCC";
                        return Err(unsupported(JPEG_2000, wanted, format!("colour space {number}")));
                    }
                };
            }
            (b"colr", _) => said = true,
            _ => {}
        }
        rest = after;
    }
    Ok(colour)
}
