//! Whether a code stream is whole, and how much work it asks for, before it is decoded.
//!
//! A stream of a few bytes can name millions of tiles, layers and precincts. Each tile has at least a header and each packet at
//! least a byte, so a stream that names more than it has bytes cannot be whole. Code blocks may be empty, but a decoder makes a place
//! for each, so more than a small picture has need a byte each too.

use super::super::markers::Fields;
use super::super::stream::{JPEG_2000, damaged};
use super::header::{Main, Transformed};
use crate::error::Result;
use crate::watch::Watch;

/// Says that a part of the standard beyond the first is needed: for all we read, HTJ2K.
const CAP: u8 = 0x50;
const COD: u8 = 0x52;
const COC: u8 = 0x53;
const SOT: u8 = 0x90;
const SOD: u8 = 0x93;
const EOC: u8 = 0xd9;

/// Bytes of a tile-part without data: its first segment and the mark behind the last one.
const TILE_PART: usize = 14;

/// Code blocks that may all be empty: those of 8 megapixels in blocks of 8 × 8.
const EMPTY_BLOCKS: u64 = 1 << 17;

/// The parts of a coding style that say how many packets and code blocks there are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Style {
    /// Wavelet levels.
    levels: u32,
    reversible: bool,
    /// Logarithms of a code block's sides.
    block: [u32; 2],
    /// Logarithms of the precincts' sides for each level, the smallest picture first; none for the largest ones.
    precincts: Vec<[u32; 2]>,
}

/// How code blocks are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    HighThroughput,
}

/// What the headers of a whole stream say beyond its size.
pub(super) struct Guard<'a> {
    stream: &'a [u8],
    main: &'a Main,
    layers: u64,
    pub(super) transformed: Transformed,
    pub(super) coding: Coding,
    default: Option<Style>,
    /// Whether all is coded without loss, as far as it has been read.
    pub(super) reversible: bool,
    /// Styles of single components, in the main header.
    single: Vec<(usize, Style)>,
}

impl<'a> Guard<'a> {
    /// Reads the main header, whose segments begin at `at`. Returns where the first tile-part stands.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if it is damaged.
    pub(super) fn main(stream: &'a [u8], main: &'a Main, mut at: usize) -> Result<(Self, usize)> {
        let mut guard = Self {
            stream,
            main,
            layers: 1,
            transformed: Transformed::No,
            coding: Coding::Plain,
            default: None,
            reversible: true,
            single: Vec::new(),
        };
        loop {
            let (marker, body, next) = segment(stream, at)?;
            match marker {
                SOT => break,
                CAP => guard.coding = Coding::HighThroughput,
                COD => guard.default = Some(guard.style(body)?),
                COC => {
                    let (component, style) = guard.single_style(body)?;
                    guard.single.retain(|(other, _)| *other != component);
                    guard.single.push((component, style));
                }
                _ => {}
            }
            at = next;
        }
        match guard.default {
            Some(_) => Ok((guard, at)),
            None => Err(damaged(JPEG_2000, "no coding style")),
        }
    }

    /// Walks over the tile-parts from `at` on.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if one is cut off, if tiles are missing, or if they name more packets or code blocks
    /// than there are bytes.
    pub(super) fn tile_parts(&mut self, mut at: usize, watch: &Watch) -> Result<()> {
        let [across, down] = self.main.tiles();
        let count = usize::try_from(across * down).unwrap_or(usize::MAX);
        if count > 65535 || count.saturating_mul(TILE_PART) > self.stream.len() {
            return Err(damaged(JPEG_2000, format!("{count} tiles in {} bytes", self.stream.len())));
        }
        let (mut seen, mut packets, mut blocks) = (vec![false; count], 0, 0);
        while let (SOT, body, next) = segment(self.stream, at)? {
            watch.check()?;
            let mut fields = Fields::new(JPEG_2000, body);
            let (tile, length) = (usize::from(fields.word()?), fields.long()? as usize);
            let end = if length == 0 { self.stream.len() } else { at.saturating_add(length) };
            let cut_off = || damaged(JPEG_2000, "a tile-part that is cut off");
            let part = self.stream.get(..end).ok_or_else(cut_off)?;
            let (tile_packets, tile_blocks) = self.tile_header(tile, part, next)?;
            match seen.get_mut(tile) {
                Some(seen) if !*seen => {
                    *seen = true;
                    packets = tile_packets.saturating_add(packets);
                    blocks = tile_blocks.saturating_add(blocks);
                }
                Some(_) => {}
                None => return Err(damaged(JPEG_2000, format!("tile {tile} of {count}"))),
            }
            if packets > self.stream.len() as u64 {
                return Err(damaged(JPEG_2000, format!("{packets} packets in {} bytes", self.stream.len())));
            }
            if blocks > EMPTY_BLOCKS.max(self.stream.len() as u64) {
                return Err(damaged(
                    JPEG_2000,
                    format!("{blocks} code blocks in {} bytes", self.stream.len()),
                ));
            }
            at = end;
            // Streams do without the end mark.
            if self.stream.len() - at < 2 {
                break;
            }
        }
        match seen.iter().position(|seen| !seen) {
            None => Ok(()),
            Some(tile) => Err(damaged(JPEG_2000, format!("no tile {tile} of {count}"))),
        }
    }

    /// Reads a tile-part's segments from `at` on. Returns how many packets and code blocks its tile has.
    fn tile_header(&mut self, tile: usize, part: &[u8], mut at: usize) -> Result<(u64, u64)> {
        let (main_layers, mut default, mut single) = (self.layers, self.default.clone(), self.single.clone());
        loop {
            let (marker, body, next) = segment(part, at)?;
            match marker {
                SOD => break,
                COD => (default, single) = (Some(self.style(body)?), Vec::new()),
                COC => single.push(self.single_style(body)?),
                _ => {}
            }
            at = next;
        }
        let layers = std::mem::replace(&mut self.layers, main_layers);
        let area = self.tile_area(tile as u64);
        let (mut precincts, mut blocks) = (0_u64, 0_u64);
        for component in 0..self.main.components {
            let own = single.iter().rev().find(|(other, _)| *other == component).map(|(_, style)| style);
            if let Some(style) = own.or(default.as_ref()) {
                precincts = precincts.saturating_add(style.precinct_count(area));
                blocks = blocks.saturating_add(style.block_count(area));
            }
        }
        Ok((precincts.saturating_mul(layers), blocks))
    }

    /// Where a tile begins and ends.
    fn tile_area(&self, tile: u64) -> [[u64; 2]; 2] {
        let [across, _] = self.main.tiles();
        let place = [tile % across, tile / across];
        [0, 1].map(|at| {
            let side = u64::from(self.main.tile[at]);
            let start = u64::from(self.main.tile_start[at]) + place[at] * side;
            [start.max(self.main.start[at].into()), (start + side).min(self.main.end[at].into())]
        })
    }

    fn style(&mut self, body: &[u8]) -> Result<Style> {
        let mut fields = Fields::new(JPEG_2000, body);
        let flags = fields.byte()?;
        fields.byte()?;
        self.layers = fields.word()?.into();
        self.transformed = if fields.byte()? == 0 { Transformed::No } else { Transformed::Yes };
        let style = Style::read(&mut fields, flags)?;
        self.reversible &= style.reversible;
        Ok(style)
    }

    fn single_style(&mut self, body: &[u8]) -> Result<(usize, Style)> {
        let mut fields = Fields::new(JPEG_2000, body);
        let component =
            if self.main.components < 257 { fields.byte()?.into() } else { fields.word()?.into() };
        let flags = fields.byte()?;
        let style = Style::read(&mut fields, flags)?;
        self.reversible &= style.reversible;
        Ok((component, style))
    }
}

impl Style {
    fn read(fields: &mut Fields<'_>, flags: u8) -> Result<Self> {
        let levels = u32::from(fields.byte()?);
        if levels > 32 {
            return Err(damaged(JPEG_2000, format!("{levels} wavelet levels")));
        }
        let block = [u32::from(fields.byte()? & 15) + 2, u32::from(fields.byte()? & 15) + 2];
        // How blocks are coded.
        fields.byte()?;
        let reversible = fields.byte()? == 1;
        let mut precincts = Vec::new();
        for _ in 0..if flags & 1 == 0 { 0 } else { levels + 1 } {
            let sides = fields.byte()?;
            precincts.push([u32::from(sides & 15), u32::from(sides >> 4)]);
        }
        Ok(Self { levels, reversible, block, precincts })
    }

    /// Code blocks of the largest resolution of a tile's component, those that a place cuts through included.
    fn block_count(&self, area: [[u64; 2]; 2]) -> u64 {
        let counts = [0, 1].map(|at| area[at][1].saturating_sub(area[at][0]).div_ceil(1 << self.block[at]));
        counts[0].saturating_mul(counts[1])
    }

    /// Precincts of all resolutions of a tile's component (T.800 B.6).
    fn precinct_count(&self, area: [[u64; 2]; 2]) -> u64 {
        let resolution = |number: u32| {
            let step = 1_u64 << (self.levels - number);
            let sides = self.precincts.get(number as usize).copied().unwrap_or([15, 15]);
            let counts = [0, 1].map(|at| {
                let [start, end] = area[at].map(|edge| edge.div_ceil(step));
                let side = 1_u64 << sides[at];
                if start < end { end.div_ceil(side) - start / side } else { 0 }
            });
            counts[0].saturating_mul(counts[1])
        };
        (0..=self.levels).map(resolution).fold(0, u64::saturating_add)
    }
}

/// The segment at `at`: its marker, what belongs to it, and where the next one stands. Marks without a length have no body.
fn segment(stream: &[u8], at: usize) -> Result<(u8, &[u8], usize)> {
    let cut_off = || damaged(JPEG_2000, "a header that is cut off");
    let Some(&[0xff, marker]) = stream.get(at..).and_then(|rest| rest.first_chunk()) else {
        return Err(cut_off());
    };
    if matches!(marker, SOD | EOC) {
        return Ok((marker, &[], at + 2));
    }
    let length = stream.get(at + 2..).and_then(|rest| rest.first_chunk()).ok_or_else(cut_off)?;
    let end = at + 2 + usize::from(u16::from_be_bytes(*length)).max(2);
    let body = stream.get(at + 4..end).ok_or_else(cut_off)?;
    Ok((marker, body, end))
}
