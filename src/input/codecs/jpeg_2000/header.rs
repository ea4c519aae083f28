//! The main header of a code stream (T.800 Annex A).

use super::super::markers::Fields;
use super::super::stream::{Colour, JPEG_2000, StreamHeader, damaged, unsupported};
use crate::error::Result;

/// Start of stream, then the size.
const START: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];

/// What the size segment says, and the default coding style.
#[derive(Debug, Clone)]
pub(super) struct Main {
    /// Both in reference grid points: the end and the start of the picture.
    pub(super) end: [u32; 2],
    pub(super) start: [u32; 2],
    pub(super) tile: [u32; 2],
    pub(super) tile_start: [u32; 2],
    pub(super) components: usize,
    precision: u32,
    signed: bool,
}

impl Main {
    /// Reads the size segment, with which every stream begins. Returns where the next segment stands.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the stream is damaged, or its components differ in size or depth.
    pub(super) fn read(stream: &[u8]) -> Result<(Self, usize)> {
        if !stream.starts_with(&START) {
            return Err(damaged(JPEG_2000, "other bytes at its start"));
        }
        let mut fields = Fields::new(JPEG_2000, &stream[4..]);
        let length = usize::from(fields.word()?);
        fields.word()?;
        let mut pair = || -> Result<[u32; 2]> { Ok([fields.long()?, fields.long()?]) };
        let [end, start, tile, tile_start] = [pair()?, pair()?, pair()?, pair()?];
        let components = usize::from(fields.word()?);
        let placed = |at: usize| {
            start[at] < end[at]
                && tile[at] > 0
                && tile_start[at] <= start[at]
                && u64::from(tile_start[at]) + u64::from(tile[at]) > u64::from(start[at])
        };
        if !placed(0) || !placed(1) || length != 38 + 3 * components {
            return Err(damaged(JPEG_2000, "an impossible size"));
        }
        let mut depths = Vec::new();
        for _ in 0..components {
            let (depth, across, down) = (fields.byte()?, fields.byte()?, fields.byte()?);
            if (across, down) != (1, 1) {
                let got = format!("sampling {across}×{down}");
                return Err(unsupported(JPEG_2000, "components of the picture's size", got));
            }
            depths.push(depth);
        }
        let depth = depths.first().copied().ok_or_else(|| damaged(JPEG_2000, "no components"))?;
        if depths.iter().any(|other| *other != depth) {
            return Err(unsupported(JPEG_2000, "components of one depth", format!("{depths:?}")));
        }
        let (precision, signed) = (u32::from(depth & 0x7f) + 1, depth & 0x80 != 0);
        Ok((Self { end, start, tile, tile_start, components, precision, signed }, 4 + length))
    }

    /// What the stream says of itself; `transformed` if its first three components are coded as differences of colours.
    pub(super) fn header(&self, boxed: Colour, transformed: Transformed) -> StreamHeader {
        let side = |at: usize| self.end[at] - self.start[at];
        let colour = match (boxed, transformed, self.components) {
            (Colour::Unsaid, Transformed::Yes, 3..) => Colour::Rgb,
            (colour, ..) => colour,
        };
        StreamHeader {
            rows: side(1),
            columns: side(0),
            samples_per_pixel: self.components,
            precision: self.precision,
            signed: self.signed,
            colour,
        }
    }

    /// Tiles across and down.
    pub(super) fn tiles(&self) -> [u64; 2] {
        [0, 1].map(|at| u64::from(self.end[at] - self.tile_start[at]).div_ceil(u64::from(self.tile[at])))
    }
}

/// Whether a stream is coded as RCT or ICT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transformed {
    No,
    Yes,
}
