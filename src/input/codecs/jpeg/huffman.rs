//! The bits of a scan and their Huffman codes (T.81 Annex C and F).

use super::super::stream::{JPEG, damaged};
use crate::error::{Error, Result};

/// Codes up to this length are looked up at once.
const SHORT: u32 = 9;

/// A Huffman table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// By the next [`SHORT`] bits: length and symbol; length 0 for longer codes.
    short: Vec<(u8, u8)>,
    /// For each length: the first code behind those of that length, aligned to 16 bits.
    limits: [u32; 17],
    /// For each length: what is added to a code of that length to find its symbol.
    offsets: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// A table of `counts` codes of 1 to 16 bits.
    ///
    /// # Errors
    /// [`Error::Input`] if there are more codes than fit.
    pub(super) fn new(counts: &[u8], symbols: &[u8]) -> Result<Self> {
        let mut table = Self {
            short: vec![(0, 0); 1 << SHORT],
            limits: [0; 17],
            offsets: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, count) in (1..=16_u32).zip(counts) {
            let count = u32::from(*count);
            table.offsets[length as usize] = place as i32 - code as i32;
            if code + count > 1 << length {
                return Err(damaged(JPEG, "a Huffman table with too many codes"));
            }
            for symbol in symbols.iter().skip(place).take(count as usize) {
                if length <= SHORT {
                    let (start, width) = ((code << (SHORT - length)) as usize, 1 << (SHORT - length));
                    table.short[start..start + width].fill((length as u8, *symbol));
                }
                code += 1;
            }
            place += count as usize;
            table.limits[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }
}

pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to be taken.
    at: usize,
    /// The next bits, from the highest one down; zeros below.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, held: 0, count: 0 }
    }

    /// A place that is not behind the marker which ends these bits.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn refill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            // A byte 0xFF has a zero behind it, or begins a marker.
            if byte == 0xff {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    fn drop(&mut self, count: u32) -> Result<()> {
        if count > self.count {
            return Err(short());
        }
        self.held <<= count;
        self.count -= count;
        Ok(())
    }

    /// The symbol of the next code.
    ///
    /// # Errors
    /// [`Error::Input`] at the end of the scan or for a code that the table does not have.
    #[inline]
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8> {
        if self.count < 32 {
            self.refill();
        }
        let (length, symbol) = table.short[(self.held >> (64 - SHORT)) as usize];
        if length != 0 {
            self.drop(length.into())?;
            return Ok(symbol);
        }
        let next = (self.held >> 48) as u32;
        for length in SHORT + 1..=16 {
            if next < table.limits[length as usize] {
                let place = (next >> (16 - length)) as i32 + table.offsets[length as usize];
                self.drop(length)?;
                let symbol = usize::try_from(place).ok().and_then(|place| table.symbols.get(place));
                return symbol.copied().ok_or_else(|| damaged(JPEG, "a code without a meaning"));
            }
        }
        Err(if self.count < 16 { short() } else { damaged(JPEG, "a code without a meaning") })
    }

    /// Up to 16 bits.
    ///
    /// # Errors
    /// [`Error::Input`] at the end of the scan.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Result<u32> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.refill();
        }
        let value = (self.held >> (64 - count)) as u32;
        self.drop(count)?;
        Ok(value)
    }

    /// A number of `size` bits, 0 to 16, whose high half is positive (T.81 F.2.2.1, EXTEND).
    ///
    /// # Errors
    /// [`Error::Input`] at the end of the scan.
    #[inline]
    pub(super) fn number(&mut self, size: u32) -> Result<i32> {
        let value = self.take(size)? as i32;
        Ok(if size > 0 && value >> (size - 1) == 0 { value - (1 << size) + 1 } else { value })
    }
}

fn short() -> Error {
    damaged(JPEG, "a scan that ends before its pixels do")
}
