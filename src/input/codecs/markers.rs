//! The marker segments of which JPEG and JPEG-LS streams are made (ITU-T T.81 Annex B).

use super::stream::damaged;
use crate::error::Result;

pub(super) const SOI: u8 = 0xd8;
pub(super) const EOI: u8 = 0xd9;
pub(super) const SOS: u8 = 0xda;
pub(super) const DRI: u8 = 0xdd;
pub(super) const APP0: u8 = 0xe0;
#[cfg(feature = "jpeg-turbo")]
pub(super) const APP15: u8 = 0xef;
pub(super) const RST0: u8 = 0xd0;
pub(super) const RST7: u8 = 0xd7;

/// Walks over the segments of a stream.
pub(super) struct Segments<'a> {
    format: &'static str,
    pub(super) bytes: &'a [u8],
    /// Where the next marker is looked for.
    pub(super) at: usize,
}

/// A marker and what belongs to it.
pub(super) struct Segment<'a> {
    pub(super) marker: u8,
    /// Without marker and length.
    pub(super) body: &'a [u8],
}

impl<'a> Segments<'a> {
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the bytes do not begin as a stream does.
    pub(super) fn new(format: &'static str, bytes: &'a [u8]) -> Result<Self> {
        match bytes {
            [0xff, SOI, ..] => Ok(Self { format, bytes, at: 2 }),
            _ => Err(damaged(format, "other bytes at its start")),
        }
    }

    /// The next segment. Stray bytes before a marker are skipped. The end mark has no body, and neither has the end of bytes,
    /// which is taken for it: files do without.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the segment is cut off.
    pub(super) fn next(&mut self) -> Result<Segment<'a>> {
        let cut_off = || damaged(self.format, "a segment that is cut off");
        let Some((marker, start)) = next_marker(self.bytes, self.at) else {
            self.at = self.bytes.len();
            return Ok(Segment { marker: EOI, body: &[] });
        };
        if matches!(marker, EOI | SOI | RST0..=RST7) {
            self.at = start;
            return Ok(Segment { marker, body: &[] });
        }
        let length = self.bytes.get(start..).and_then(|rest| rest.first_chunk()).ok_or_else(cut_off)?;
        let end = start + usize::from(u16::from_be_bytes(*length)).max(2);
        let body = self.bytes.get(start + 2..end).ok_or_else(cut_off)?;
        self.at = end;
        Ok(Segment { marker, body })
    }

    /// Goes behind the restart marker that must stand here.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if another marker or none stands here.
    pub(super) fn restart(&mut self, number: usize) -> Result<()> {
        let wanted = RST0 + (number % 8) as u8;
        match next_marker(self.bytes, self.at) {
            Some((marker, start)) if marker == wanted => {
                self.at = start;
                Ok(())
            }
            _ => Err(damaged(self.format, format!("no restart marker {}", number % 8))),
        }
    }
}

/// The next marker from `at` on, and what is behind it. Fill bytes are none, and neither is what follows 0xFF inside a scan: zero
/// in JPEG, less than 0x80 in JPEG-LS.
fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let found = rest.windows(2).position(|pair| pair[0] == 0xff && (0xc0..0xff).contains(&pair[1]))?;
    Some((rest[found + 1], at + found + 2))
}

/// Reads numbers of a segment, most significant byte first.
pub(super) struct Fields<'a> {
    format: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(format: &'static str, rest: &'a [u8]) -> Self {
        Self { format, rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if there is no byte left.
    pub(super) fn byte(&mut self) -> Result<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if there are no two bytes left.
    pub(super) fn word(&mut self) -> Result<u16> {
        self.bytes(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if there are no four bytes left.
    pub(super) fn long(&mut self) -> Result<u32> {
        self.bytes(4).map(|bytes| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if there are not so many bytes left.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or_else(|| damaged(self.format, "a segment that is too short"))?;
        self.rest = rest;
        Ok(bytes)
    }
}
