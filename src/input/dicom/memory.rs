//! A grey picture that the caller already has, shown as one of a file.

use super::super::reading::{Chosen, Header, Measured, ReadOptions};
use super::frames::Unpacked;
use super::grey::{Shown, Values, not_measured};
use super::layout::{Layout, Photometric, Sign};
use super::modality::Rescale;
use super::samples::Samples;
use super::scan::PixelKind;
use super::shown::usual;
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, PixelMode, Provenance, Study};
use crate::limits::OptionName;
use crate::study::{Look, NumberForm, RawPicture, Voxels, Windowing};

/// A picture of measured values in memory.
///
/// # Errors
/// [`Error::Input`] if it contradicts itself.
pub(in crate::input) fn open(picture: RawPicture) -> Result<Box<dyn Header>> {
    picture.check()?;
    Ok(Box::new(Memory { picture, windowing: None }))
}

struct Memory {
    picture: RawPicture,
    windowing: Option<Windowing>,
}

impl Header for Memory {
    fn modality(&self) -> Modality {
        Modality::Image
    }

    fn takes(&self) -> &'static [OptionName] {
        &[Look::WINDOW]
    }

    fn choose(mut self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        let name = &self.picture.source;
        look.every_of(name, 1)?;
        // It has no window of its own.
        self.windowing = match look.window {
            Some(Windowing::File(number)) if !look.is_shared() => {
                let thing = format!("{name}: window");
                let got = format!("file:{number} of a picture in memory, which has none");
                return Err(Error::request(thing, "a centre and a width", got).hint("name them"));
            }
            Some(Windowing::File(_)) => None,
            other => other,
        };
        Ok(self)
    }
}

impl Chosen for Memory {
    fn measured(&self) -> Measured {
        // What is longer was refused.
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Measured { modality: Modality::Image, sizes: vec![self.picture.size.map(side)], count: 1 }
    }

    fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        options.watch.check()?;
        let Measured { sizes, .. } = self.measured();
        let Self { picture, windowing } = *self;
        let layout = layout(&picture, sizes[0]);
        let rescale = match picture.rescale.is_identity() {
            true => Rescale::Identity,
            false => Rescale::Linear { slope: picture.rescale.slope, intercept: picture.rescale.intercept },
        };
        let samples = Samples { bytes: bytes(&picture.values), layout };
        let frame = Unpacked { samples, colour: Photometric::Monochrome2 };
        let values = Values { frame: &frame, rescale: &rescale, padding: None, inverse: picture.inverse };
        let mut warnings = not_measured([&values]);
        let way = match windowing {
            Some(Windowing::Window(window)) => Some(Shown::Window(window)),
            Some(_) => None,
            None => usual(&layout, &rescale),
        };
        let way = way.unwrap_or_else(|| {
            let [low, high] = values.range().unwrap_or_default();
            if windowing.is_none() {
                warnings
                    .push(format!("The picture has no window: its values from {low} to {high} are shown."));
            }
            Shown::Range([low, high])
        });
        let (grey, window) = values.grey(&way);
        let provenance = Provenance { window, ..Provenance::default() };
        let frame = Frame::new(layout.columns, layout.rows, PixelMode::Grey, grey, provenance)?;
        Ok(Study { modality: Modality::Image, source: picture.source, frames: vec![frame], warnings })
    }
}

/// How the numbers lie in their bytes.
fn layout(picture: &RawPicture, [columns, rows]: [u32; 2]) -> Layout {
    let (allocated, form) = picture.values.form();
    let stored = picture.bits.unwrap_or(allocated);
    Layout {
        kind: match (form, allocated) {
            (NumberForm::Real, 64) => PixelKind::Double,
            (NumberForm::Real, _) => PixelKind::Float,
            _ => PixelKind::Integer,
        },
        rows,
        columns,
        samples: 1,
        allocated,
        stored,
        high: stored - 1,
        sign: if form == NumberForm::Signed { Sign::TwosComplement } else { Sign::None },
        planar: false,
        photometric: Photometric::Monochrome2,
        frames: 1,
        no_frames: false,
    }
}

/// The numbers as a file has them: little-endian.
fn bytes(values: &Voxels) -> Vec<u8> {
    match values {
        Voxels::I8(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Voxels::U8(values) => values.to_vec(),
        Voxels::I16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Voxels::U16(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Voxels::I32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Voxels::U32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Voxels::I64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Voxels::U64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Voxels::F32(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Voxels::F64(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    }
}

#[cfg(test)]
mod tests;
