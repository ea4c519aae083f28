//! The frames of a volume in patient space, in each of their forms.

use super::block::Block;
use super::grid::Slices;
use super::number::Number;
use super::planes::Placing;
use super::trained::{Range, SHAPE, area, linear};
use super::window::{Scaled, Scaling, between};
use crate::error::Result;
use crate::frame::{PixelMode, Provenance};
use crate::study::Windowing;
use crate::view::Slab;

/// Slices as they are.
pub(super) struct Native {
    pub(super) placing: Placing,
    pub(super) block: Block<f32>,
    /// Which of the places in the list of slices the block holds.
    pub(super) places: Vec<usize>,
    /// The values that become black and white.
    pub(super) ends: [f64; 2],
    /// What was asked for in their place.
    pub(super) windowing: Option<Windowing>,
}

impl Slices for Native {
    fn number(&self) -> Number {
        Number::F32
    }

    fn each(
        &mut self,
        places: &[usize],
        scaling: &Scaling<'_>,
        take: &mut dyn FnMut(usize, Scaled) -> Result<()>,
    ) -> Result<()> {
        for &plane in places {
            let values = self.placing.planes.combine(plane, &self.block, &self.places);
            let scaled = match self.windowing {
                Some(windowing) => Scaling { windowing, ..*scaling }.scale(plane, &values)?,
                None => Scaled { grey: between(&values, self.ends), window: self.ends, wraps: false },
            };
            take(plane, scaled)?;
        }
        Ok(())
    }

    fn place(&self, place: usize, known: Provenance) -> Provenance {
        self.placing.provenance(place, known.window)
    }
}

/// Planes in the form of the training data.
pub(super) struct Trained {
    pub(super) placing: Placing,
    /// Values from 0 to 1.
    pub(super) block: Block<f32>,
    /// Which of the places in the list of slices the block holds.
    pub(super) places: Vec<usize>,
    pub(super) range: Range,
    /// First and end of the rows and columns that are kept.
    pub(super) crop: [[usize; 2]; 2],
    pub(super) slab: Slab,
    /// The lowest and the highest of the values, from 0 to 1.
    pub(super) extent: [f32; 2],
}

impl Trained {
    /// A plane of 256×256, from 0 to 1.
    fn plane(&self, plane: usize) -> Vec<f32> {
        let [_, height, width] = SHAPE;
        let slice = self.placing.planes.combine(plane, &self.block, &self.places);
        let [[top, bottom], [left, right]] = self.crop;
        let parts = if self.slab == Slab::Mean { area } else { linear };
        let columns: Vec<_> = (0..width).map(|to| parts(to, width, right - left)).collect();
        let mut resized = Vec::with_capacity(height * width);
        let mut row = vec![0.0; right - left];
        for to in 0..height {
            row.fill(0.0);
            for (from, part) in parts(to, height, bottom - top) {
                let stored = &slice[(top + from) * self.block.shape[2] + left..][..row.len()];
                row.iter_mut().zip(stored).for_each(|(sum, value)| *sum += value * part);
            }
            let value =
                |parts: &Vec<(usize, f32)>| parts.iter().map(|(from, part)| row[*from] * part).sum::<f32>();
            resized.extend(columns.iter().map(value));
        }
        let [low, high] = self.extent;
        if high > low {
            resized.iter_mut().for_each(|value| *value = (*value - low) / (high - low));
        }
        resized
    }

    /// The modality value of a share of the volume's extent.
    fn value(&self, share: f64) -> f64 {
        let [low, high] = self.extent.map(f64::from);
        self.range.value(low + share * (high - low))
    }
}

impl Slices for Trained {
    fn number(&self) -> Number {
        Number::F32
    }

    fn each(
        &mut self,
        places: &[usize],
        scaling: &Scaling<'_>,
        take: &mut dyn FnMut(usize, Scaled) -> Result<()>,
    ) -> Result<()> {
        for &plane in places {
            take(plane, scaling.scale(plane, &self.plane(plane))?)?;
        }
        Ok(())
    }

    fn place(&self, place: usize, known: Provenance) -> Provenance {
        let window = known.window.map(|shares| shares.map(|share| self.value(share)));
        self.placing.provenance(place, window)
    }
}

/// Slices in colour.
pub(super) struct Colours {
    pub(super) placing: Placing,
    pub(super) block: Block<[u8; 3]>,
    /// Which of the places in the list of slices the block holds.
    pub(super) places: Vec<usize>,
}

impl Slices for Colours {
    fn number(&self) -> Number {
        Number::U8
    }

    fn each(
        &mut self,
        places: &[usize],
        _: &Scaling<'_>,
        take: &mut dyn FnMut(usize, Scaled) -> Result<()>,
    ) -> Result<()> {
        for (held, &plane) in self.places.iter().enumerate().filter(|(_, place)| places.contains(place)) {
            let grey = self.block.slice(held).as_flattened().to_vec();
            take(plane, Scaled { grey, window: [0.0, 255.0], wraps: false })?;
        }
        Ok(())
    }

    fn mode(&self) -> PixelMode {
        PixelMode::Rgb
    }

    fn place(&self, place: usize, _: Provenance) -> Provenance {
        self.placing.provenance(place, None)
    }
}
