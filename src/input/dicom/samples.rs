//! Stored numbers, as the header means them (PS3.5 8.1.1).

use super::layout::{Layout, Sign};
use super::scan::PixelKind;
use super::value::each;

/// The bytes of a frame: little-endian samples, those of one pixel together, one bit in a byte of its own.
pub(super) struct Samples {
    pub(super) bytes: Vec<u8>,
    pub(super) layout: Layout,
}

impl Samples {
    /// Something for each sample. Bits that do not count are masked off, a sign is extended.
    pub(super) fn map<T>(&self, of: impl Fn(f64) -> T) -> Vec<T> {
        let Layout { kind, allocated, stored, high, sign, .. } = self.layout;
        if (kind, allocated) == (PixelKind::Integer, 16) {
            // The usual case, in vectors.
            let number = narrowed(16, stored, high, sign);
            return each(&self.bytes, u16::from_le_bytes).map(|word| of(number(u32::from(word)))).collect();
        }
        let mut values = Vec::with_capacity(self.bytes.len() / (allocated as usize / 8).max(1));
        self.each(|value| values.push(of(value)));
        values
    }

    /// Hands over each sample.
    pub(super) fn each(&self, mut take: impl FnMut(f64)) {
        let Layout { kind, allocated, stored, high, sign, .. } = self.layout;
        let bytes = &self.bytes;
        match (kind, allocated) {
            (PixelKind::Float, _) => each(bytes, f32::from_le_bytes).for_each(|value| take(f64::from(value))),
            (PixelKind::Double, _) => each(bytes, f64::from_le_bytes).for_each(take),
            (PixelKind::Integer, 1 | 8) => {
                let number = narrowed(8, stored, high.min(7), sign);
                bytes.iter().for_each(|byte| take(number(u32::from(*byte))));
            }
            (PixelKind::Integer, 16) => {
                let number = narrowed(16, stored, high, sign);
                each(bytes, u16::from_le_bytes).for_each(|word| take(number(u32::from(word))));
            }
            (PixelKind::Integer, _) => {
                let number = narrowed(32, stored, high, sign);
                each(bytes, u32::from_le_bytes).for_each(|word| take(number(word)));
            }
        }
    }
}

/// From the bits of a sample to its number: those from `high` downwards count, `stored` of them.
fn narrowed(allocated: u32, stored: u32, high: u32, sign: Sign) -> impl Fn(u32) -> f64 {
    debug_assert!(stored <= high + 1 && high < allocated);
    // Everything above the highest bit is shifted out, and then everything below the lowest.
    let (left, right) = (31 - high, 32 - stored);
    move |word| {
        let top = word << left;
        if sign == Sign::TwosComplement { f64::from(top as i32 >> right) } else { f64::from(top >> right) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::Photometric;
    use super::*;

    fn layout(allocated: u32, stored: u32, high: u32) -> Layout {
        Layout {
            kind: PixelKind::Integer,
            rows: 1,
            columns: 2,
            samples: 1,
            allocated,
            stored,
            high,
            sign: Sign::None,
            planar: false,
            photometric: Photometric::Monochrome2,
            frames: 1,
            no_frames: false,
        }
    }

    #[test]
    fn bits_that_do_not_count_are_masked_and_signs_extended() {
        let rows: [(Layout, &[u8], [f64; 2]); 7] = [
            (layout(16, 12, 11), &[0xFF, 0xFF, 0x01, 0xF0], [4095.0, 1.0]),
            (
                Layout { sign: Sign::TwosComplement, ..layout(16, 12, 11) },
                &[0xFF, 0x0F, 0x00, 0x08],
                [-1.0, -2048.0],
            ),
            (layout(16, 12, 15), &[0x1F, 0x00, 0xF0, 0xFF], [1.0, 4095.0]),
            (
                Layout { sign: Sign::TwosComplement, ..layout(16, 16, 15) },
                &[0xFF, 0xFF, 0x00, 0x80],
                [-1.0, -32768.0],
            ),
            (layout(8, 8, 7), &[255, 7], [255.0, 7.0]),
            (layout(32, 32, 31), &[255, 255, 255, 255, 1, 0, 0, 0], [4_294_967_295.0, 1.0]),
            (
                Layout { sign: Sign::TwosComplement, ..layout(32, 32, 31) },
                &[255, 255, 255, 255, 1, 0, 0, 0],
                [-1.0, 1.0],
            ),
        ];
        for (layout, bytes, wanted) in rows {
            let samples = Samples { bytes: bytes.into(), layout };
            assert_eq!(samples.map(|value| value), wanted, "{layout:?}");
        }
        let real = Layout { kind: PixelKind::Float, ..layout(32, 32, 31) };
        let bytes = [1.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat();
        assert_eq!(Samples { bytes, layout: real }.map(|value| value), [1.5, -2.0]);
    }
}
