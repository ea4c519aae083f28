//! The bits of a scan. Behind a byte 0xFF, the next byte has seven.

use super::super::stream::{JPEG_LS, damaged};
use crate::error::{Error, Result};

pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to be taken.
    at: usize,
    /// The next bits, from the highest one down; zeros below.
    held: u64,
    count: u32,
    after_ff: bool,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, held: 0, count: 0, after_ff: false }
    }

    /// A place that is not behind the marker which ends these bits.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn refill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            // 0xFF before a byte with its high bit set is a marker.
            if byte == 0xff && self.bytes.get(self.at + 1).is_none_or(|next| *next >= 0x80) {
                return;
            }
            let width = if self.after_ff { 7 } else { 8 };
            self.held |= u64::from(byte) << (64 - width - self.count);
            self.count += width;
            self.after_ff = byte == 0xff;
            self.at += 1;
        }
    }

    fn drop(&mut self, count: u32) {
        self.held = self.held.checked_shl(count).unwrap_or(0);
        self.count -= count;
    }

    /// # Errors
    /// [`Error::Input`] at the end of the scan.
    pub(super) fn bit(&mut self) -> Result<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    /// Up to 32 bits.
    ///
    /// # Errors
    /// [`Error::Input`] at the end of the scan.
    pub(super) fn take(&mut self, count: u32) -> Result<u32> {
        if count == 0 {
            return Ok(0);
        }
        if self.count < count {
            self.refill();
            if self.count < count {
                return Err(short());
            }
        }
        let value = (self.held >> (64 - count)) as u32;
        self.drop(count);
        Ok(value)
    }

    /// The number of zeros before the next one, which is taken too.
    ///
    /// # Errors
    /// [`Error::Input`] if there are more than `most`, or at the end of the scan.
    pub(super) fn zeros(&mut self, most: u32) -> Result<u32> {
        let mut zeros = 0;
        loop {
            let here = self.held.leading_zeros();
            if here < self.count {
                self.drop(here + 1);
                zeros += here;
                return if zeros <= most {
                    Ok(zeros)
                } else {
                    Err(damaged(JPEG_LS, "a code that is too long"))
                };
            }
            zeros += self.count;
            self.drop(self.count);
            self.refill();
            if self.count == 0 {
                return Err(short());
            }
            if zeros > most {
                return Err(damaged(JPEG_LS, "a code that is too long"));
            }
        }
    }
}

fn short() -> Error {
    damaged(JPEG_LS, "a scan that ends before its pixels do")
}
