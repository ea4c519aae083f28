//! Samples of more than 8 bits, scaled to 8 bits by the range of all colours together.

use half::f16;

use super::picture::{Fault, Picture, Size};
use crate::frame::PixelMode;
use crate::words::counted;

/// The number type of samples, which are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    U16,
    I16,
    U32,
    I32,
    F16,
    F32,
    F64,
}

/// How pixels of wide samples are put together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wide {
    pub(super) number: Number,
    /// Bits of a sample that are in use.
    pub(super) bits: u32,
    /// Channels of colour, which come first.
    pub(super) colours: usize,
    /// Which channel is alpha. It counts from 0 to the highest number of its type, which has no sign.
    pub(super) alpha: Option<usize>,
    /// Channels in all; those that are neither colour nor alpha are left out.
    pub(super) samples: usize,
}

impl Wide {
    /// Pixels of unsigned 16-bit samples.
    pub(super) fn words(colours: usize, alpha: Option<usize>, samples: usize) -> Self {
        Self { number: Number::U16, bits: 16, colours, alpha, samples }
    }

    /// Channels that are kept.
    fn kept(&self) -> usize {
        self.colours + usize::from(self.alpha.is_some())
    }

    /// A picture of 8 bits a channel by the high bytes of 16-bit samples, as Pillow reads colour.
    pub(super) fn cut(&self, size: Size, mode: PixelMode, mut stored: Vec<u8>) -> Picture {
        self.each(&mut stored, |[_, high], _| high);
        Picture::new(size, mode, stored)
    }

    /// A picture of 8 bits a channel, scaled over the range of all colours that can be seen and rounded half up. Of one value
    /// throughout it is black.
    ///
    /// # Errors
    /// If a value is no finite number.
    pub(super) fn scaled(&self, size: Size, mode: PixelMode, mut stored: Vec<u8>) -> Result<Picture, Fault> {
        let samples = &mut stored;
        let [low, high] = match self.number {
            Number::U16 => self.whole(samples, |bytes| u16::from_le_bytes(bytes).into()),
            Number::I16 => self.whole(samples, |bytes| i16::from_le_bytes(bytes).into()),
            Number::U32 => self.whole(samples, |bytes| u32::from_le_bytes(bytes).into()),
            Number::I32 => self.whole(samples, |bytes| i32::from_le_bytes(bytes).into()),
            Number::F16 => self.real(samples, |bytes| f16::from_le_bytes(bytes).into())?,
            Number::F32 => self.real(samples, |bytes| f32::from_le_bytes(bytes).into())?,
            Number::F64 => self.real(samples, f64::from_le_bytes)?,
        };
        let mut picture = Picture::new(size, mode, stored);
        let (sign, float) = match self.number {
            Number::U16 | Number::U32 => ("", ""),
            Number::I16 | Number::I32 => ("signed ", ""),
            Number::F16 | Number::F32 | Number::F64 => ("", " floating-point"),
        };
        let bits = self.bits;
        picture
            .remarks
            .push(format!("The {sign}{bits}-bit{float} values {low} to {high} were scaled to 0 to 255."));
        Ok(picture)
    }

    /// Scales integers, and returns the lowest and the highest.
    fn whole<const N: usize>(&self, samples: &mut Vec<u8>, read: impl Fn([u8; N]) -> i64) -> [String; 2] {
        let (low, high) = self.range(samples, &read).unwrap_or((0, 0));
        let part = |value: i64, range: i64| ((value * 510 + range) / (2 * range)) as u8;
        // All bits of a sample without a sign.
        let most = (1 << (8 * N)) - 1;
        self.each(samples, |bytes, channel| match channel < self.colours {
            true => part(read(bytes).clamp(low, high) - low, (high - low).max(1)),
            false => part(read(bytes), most),
        });
        [low.to_string(), high.to_string()]
    }

    /// The same of floating-point numbers, none of which is alpha.
    fn real<const N: usize>(
        &self,
        samples: &mut Vec<u8>,
        read: impl Fn([u8; N]) -> f64,
    ) -> Result<[String; 2], Fault> {
        let values = samples.as_chunks::<N>().0.iter().map(|&bytes| read(bytes));
        let wrong = values.filter(|value| !value.is_finite()).count();
        if wrong > 0 {
            return Err(Fault {
                wanted: "an image of finite numbers".into(),
                got: format!("NaN or infinity in {}", counted(wrong, "place")),
                hint: "replace them before the image is saved".into(),
            });
        }
        let (low, high) = self.range(samples, &read).unwrap_or((0.0, 0.0));
        // Halved, since the range of finite numbers may be infinite.
        let range = high / 2.0 - low / 2.0;
        self.each(samples, |bytes, _| match range > 0.0 {
            true => ((read(bytes) / 2.0 - low / 2.0) / range * 255.0 + 0.5) as u8,
            false => 0,
        });
        Ok([low.to_string(), high.to_string()])
    }

    /// The lowest and the highest colour of pixels that are not wholly transparent; none if there is none.
    fn range<const N: usize, T: PartialOrd + Copy>(
        &self,
        stored: &[u8],
        read: impl Fn([u8; N]) -> T,
    ) -> Option<(T, T)> {
        let seen = |pixel: &&[[u8; N]]| self.alpha.is_none_or(|alpha| pixel[alpha] != [0; N]);
        let first = stored.as_chunks::<N>().0.chunks_exact(self.samples).find(seen)?;
        let (mut low, mut high) = (read(first[0]), read(first[0]));
        for pixel in stored.as_chunks::<N>().0.chunks_exact(self.samples) {
            if !seen(&pixel) {
                continue;
            }
            for &bytes in &pixel[..self.colours] {
                let value = read(bytes);
                if value < low {
                    low = value;
                }
                if value > high {
                    high = value;
                }
            }
        }
        Some((low, high))
    }

    /// Makes a byte of each sample of the channels that are kept, in place: there may be no memory for another picture.
    fn each<const N: usize>(&self, samples: &mut Vec<u8>, byte: impl Fn([u8; N], usize) -> u8) {
        if N == 2 {
            // What becomes of each number, as a colour and as alpha.
            let made = |channel| -> Vec<u8> {
                let of = |number: u16| {
                    let mut bytes = [0; N];
                    bytes.copy_from_slice(&number.to_le_bytes()[..N]);
                    byte(bytes, channel)
                };
                (0..=u16::MAX).map(of).collect()
            };
            let (colours, alphas) = (made(0), made(self.colours));
            return self.in_place(samples, |bytes: [u8; N], channel| {
                let table = if channel < self.colours { &colours } else { &alphas };
                table[usize::from(bytes[0]) | usize::from(bytes[N - 1]) << 8]
            });
        }
        self.in_place(samples, byte);
    }

    fn in_place<const N: usize>(&self, samples: &mut Vec<u8>, byte: impl Fn([u8; N], usize) -> u8) {
        let pixels = samples.len() / (N * self.samples);
        let kept = self.kept();
        for pixel in 0..pixels {
            for channel in 0..kept {
                let at = (pixel * self.samples + channel) * N;
                let Some(&bytes) = samples[at..].first_chunk() else { break };
                samples[pixel * kept + channel] = byte(bytes, channel);
            }
        }
        samples.truncate(pixels * kept);
        samples.shrink_to_fit();
    }
}
