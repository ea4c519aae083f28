//! What a data set says of its pixels (PS3.3 C.7.6.3).

use std::fmt::Display;

use super::scan::PixelKind;
use super::tag;
use super::value::Item;
use crate::error::{Error, Result};

/// What the samples of a pixel are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    /// The lowest value is white.
    Monochrome1,
    /// The lowest value is black.
    Monochrome2,
    Palette,
    Rgb,
    YbrFull,
    /// Chroma of every second pixel of a row.
    YbrFull422,
    /// Undone by the decoder: RGB.
    YbrOfJpeg2000,
    /// Of video streams, whose decoder undoes it.
    YbrPartial,
}

/// Whether stored numbers have a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    None,
    TwosComplement,
}

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) kind: PixelKind,
    pub(super) rows: u32,
    pub(super) columns: u32,
    /// 1 or 3.
    pub(super) samples: usize,
    /// Bits that a sample takes: 1, 8, 16 or 32, of real numbers 32 or 64.
    pub(super) allocated: u32,
    /// Bits of them that count.
    pub(super) stored: u32,
    /// The highest of these, from 0.
    pub(super) high: u32,
    pub(super) sign: Sign,
    /// Whether all red comes before all green.
    pub(super) planar: bool,
    pub(super) photometric: Photometric,
    pub(super) frames: usize,
    /// Whether 0 frames were stated, which stand for one.
    pub(super) no_frames: bool,
}

impl Layout {
    /// Reads it.
    ///
    /// # Errors
    /// [`Error::Input`] naming the attribute that is missing or not lawful.
    pub(super) fn read(name: &str, set: &Item, kind: PixelKind) -> Result<Self> {
        let read = Attributes { name, set };
        let rows = read.within(tag::ROWS, "Rows", None, 1..=65_535)?;
        let columns = read.within(tag::COLUMNS, "Columns", None, 1..=65_535)?;
        let samples = read.one_of(tag::SAMPLES_PER_PIXEL, "SamplesPerPixel", Some(1), &[1, 3])?;
        let allocated = match kind {
            PixelKind::Integer => read.one_of(tag::BITS_ALLOCATED, "BitsAllocated", None, &[1, 8, 16, 32])?,
            PixelKind::Float => 32,
            PixelKind::Double => 64,
        };
        let is_real = kind != PixelKind::Integer;
        let stored = match is_real {
            true => allocated,
            false => read.within(tag::BITS_STORED, "BitsStored", Some(allocated), 1..=allocated)?,
        };
        let high = match is_real {
            true => allocated - 1,
            false => read.within(tag::HIGH_BIT, "HighBit", Some(stored - 1), stored - 1..=allocated - 1)?,
        };
        let sign = match read.within(tag::PIXEL_REPRESENTATION, "PixelRepresentation", Some(0), 0..=1)? {
            1 => Sign::TwosComplement,
            _ => Sign::None,
        };
        let planar = read.within(tag::PLANAR_CONFIGURATION, "PlanarConfiguration", Some(0), 0..=1)? == 1;
        let frames =
            read.within(tag::NUMBER_OF_FRAMES, "NumberOfFrames", Some(1), 0..=i64::from(u32::MAX))?;
        let layout = Self {
            kind,
            rows: rows as u32,
            columns: columns as u32,
            samples: samples as usize,
            allocated: allocated as u32,
            stored: stored as u32,
            high: high as u32,
            sign,
            planar: planar && samples > 1,
            photometric: read.photometric(samples)?,
            frames: frames.max(1) as usize,
            no_frames: frames == 0,
        };
        layout.check(name)
    }

    /// Refuses what contradicts itself.
    fn check(self, name: &str) -> Result<Self> {
        let is_grey = matches!(
            self.photometric,
            Photometric::Monochrome1 | Photometric::Monochrome2 | Photometric::Palette
        );
        if is_grey != (self.samples == 1) {
            let wanted = format!("a photometric interpretation of {} samples a pixel", self.samples);
            return Err(unlawful(name, "PhotometricInterpretation", (wanted, self.photometric.name())));
        }
        if self.samples == 3 && self.allocated == 1 {
            return Err(unlawful(name, "BitsAllocated", ("at least 8 bits of a colour", self.allocated)));
        }
        Ok(self)
    }

    /// Whether a pixel is a colour.
    pub(super) fn is_colour(&self) -> bool {
        self.samples == 3 || self.photometric == Photometric::Palette
    }

    /// Pixels of a frame.
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Bits of a frame of numbers that are not compressed.
    pub(super) fn frame_bits(&self) -> u64 {
        let samples = match self.photometric {
            // Two of luminance and one of each chroma for two pixels.
            Photometric::YbrFull422 => 2,
            _ => self.samples as u64,
        };
        self.pixels() * samples * u64::from(self.allocated)
    }

    /// Bytes of all frames; `None` if no machine has as many.
    pub(super) fn bytes(&self) -> Option<u64> {
        self.frame_bits().checked_mul(self.frames as u64).map(|bits| bits.div_ceil(8))
    }

    /// What the header promises, for a message.
    pub(super) fn promise(&self) -> String {
        format!(
            "Rows {} × Columns {} × SamplesPerPixel {} × BitsAllocated {} × NumberOfFrames {}",
            self.rows, self.columns, self.samples, self.allocated, self.frames
        )
    }
}

impl Photometric {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "MONOCHROME1" => Photometric::Monochrome1,
            "MONOCHROME2" => Photometric::Monochrome2,
            "PALETTE COLOR" => Photometric::Palette,
            "RGB" => Photometric::Rgb,
            "YBR_FULL" => Photometric::YbrFull,
            "YBR_FULL_422" => Photometric::YbrFull422,
            "YBR_ICT" | "YBR_RCT" => Photometric::YbrOfJpeg2000,
            "YBR_PARTIAL_420" | "YBR_PARTIAL_422" => Photometric::YbrPartial,
            _ => return None,
        })
    }

    /// The name in the standard.
    pub(super) fn name(self) -> &'static str {
        match self {
            Photometric::Monochrome1 => "MONOCHROME1",
            Photometric::Monochrome2 => "MONOCHROME2",
            Photometric::Palette => "PALETTE COLOR",
            Photometric::Rgb => "RGB",
            Photometric::YbrFull => "YBR_FULL",
            Photometric::YbrFull422 => "YBR_FULL_422",
            Photometric::YbrOfJpeg2000 => "YBR_ICT or YBR_RCT",
            Photometric::YbrPartial => "YBR_PARTIAL_420 or YBR_PARTIAL_422",
        }
    }
}

/// The refusal of an attribute: what was wanted of it, and what it is.
fn unlawful(name: &str, attribute: &str, (wanted, got): (impl Display, impl Display)) -> Error {
    Error::input(format!("{name}: {attribute}"), wanted, got).hint("export the file again, or leave it out")
}

/// Attributes that must be right before a pixel can be.
struct Attributes<'a> {
    name: &'a str,
    set: &'a Item,
}

impl Attributes<'_> {
    /// A whole number within bounds; an absent one is the usual, if there is one.
    fn within(
        &self,
        tag: u32,
        attribute: &str,
        usual: Option<i64>,
        range: std::ops::RangeInclusive<i64>,
    ) -> Result<i64> {
        let refuse = |got: String| {
            let wanted = format!("a number from {} to {}", range.start(), range.end());
            Err(unlawful(self.name, attribute, (wanted, got)))
        };
        match (self.set.bytes(tag).map(|_| self.set.whole(tag)), usual) {
            (Some(Some(number)), _) if range.contains(&number) => Ok(number),
            (Some(Some(number)), _) => refuse(number.to_string()),
            (Some(None), _) => refuse("something else".into()),
            (None, Some(usual)) => Ok(usual),
            (None, None) => refuse("none".into()),
        }
    }

    fn one_of(&self, tag: u32, attribute: &str, usual: Option<i64>, numbers: &[i64]) -> Result<i64> {
        let number = self.within(tag, attribute, usual, 0..=65_535)?;
        match numbers.contains(&number) {
            true => Ok(number),
            false => {
                let numbers: Vec<_> = numbers.iter().map(i64::to_string).collect();
                Err(unlawful(self.name, attribute, (numbers.join(" or "), number)))
            }
        }
    }

    fn photometric(&self, samples: i64) -> Result<Photometric> {
        match (self.set.word(tag::PHOTOMETRIC_INTERPRETATION), samples) {
            (Some(word), _) => Photometric::of(word).ok_or_else(|| {
                let wanted = "MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB or one of the YBR";
                let got: String = word.chars().take(16).collect();
                unlawful(self.name, "PhotometricInterpretation", (wanted, got))
            }),
            (None, 1) => Ok(Photometric::Monochrome2),
            (None, _) => Ok(Photometric::Rgb),
        }
    }
}
