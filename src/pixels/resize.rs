//! Resizing exactly as Pillow does it: a separable convolution whose filter widens when shrinking, in fixed point,
//! with the picture rounded to 8 bits between the horizontal and the vertical pass.

use super::convert::product;
use crate::frame::{Frame, values16};

/// Bits after the point of a filter weight.
const PRECISION: u32 = 22;
/// Reach of the bicubic kernel, in pixels of the coarser of the two grids.
const SUPPORT: f64 = 2.0;

/// Samples in rows without padding, interleaved.
pub(super) struct Raster {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) samples: Vec<u8>,
}

/// What one output pixel takes from its line: the first input pixel and a weight for each from there on.
struct Taps<T> {
    first: usize,
    weights: Vec<T>,
}

impl Raster {
    pub(super) fn of(frame: &Frame) -> Self {
        Self {
            width: frame.width() as usize,
            height: frame.height() as usize,
            samples: frame.samples().to_vec(),
        }
    }

    /// Colours multiplied by their alpha, so that transparent pixels weigh nothing; `N` channels, alpha last.
    pub(super) fn premultiplied<const N: usize>(mut self) -> Self {
        for pixel in self.samples.chunks_exact_mut(N) {
            let alpha = pixel[N - 1];
            pixel[..N - 1].iter_mut().for_each(|c| *c = product(*c, alpha));
        }
        self
    }

    /// Colours divided by the alpha that [`Self::premultiplied`] multiplied them with; `N` channels, alpha last.
    pub(super) fn unpremultiplied<const N: usize>(mut self) -> Vec<u8> {
        for pixel in self.samples.chunks_exact_mut(N) {
            let alpha = u32::from(pixel[N - 1]);
            if alpha != 0 && alpha != 255 {
                pixel[..N - 1].iter_mut().for_each(|c| *c = (255 * u32::from(*c) / alpha).min(255) as u8);
            }
        }
        self.samples
    }
}

/// Bicubic at `[width, height]`, `N` channels of 8 bits.
pub(super) fn bicubic<const N: usize>(raster: &Raster, [width, height]: [u32; 2]) -> Raster {
    let (width, height) = (width as usize, height as usize);
    let across = match width == raster.width {
        true => None,
        false => Some(horizontal::<N>(raster, width)),
    };
    let wide = across.as_ref().unwrap_or(raster);
    match height == raster.height {
        true => Raster { width, height, samples: wide.samples.clone() },
        false => vertical(wide, wide.width * N, height),
    }
}

fn horizontal<const N: usize>(raster: &Raster, width: usize) -> Raster {
    let taps = fixed(taps(raster.width, width));
    let mut samples = Vec::with_capacity(width * raster.height * N);
    for row in raster.samples.chunks_exact(raster.width * N) {
        for Taps { first, weights } in &taps {
            let mut sums = [1 << (PRECISION - 1); N];
            for (pixel, weight) in row[first * N..].as_chunks::<N>().0.iter().zip(weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*value) * weight;
                }
            }
            samples.extend(sums.map(rounded));
        }
    }
    Raster { width, height: raster.height, samples }
}

/// `stride` is the length of a row in samples.
fn vertical(raster: &Raster, stride: usize, height: usize) -> Raster {
    let mut samples = Vec::with_capacity(stride * height);
    let mut sums = vec![0; stride];
    for Taps { first, weights } in fixed(taps(raster.height, height)) {
        sums.fill(1 << (PRECISION - 1));
        for (row, weight) in raster.samples[first * stride..].chunks_exact(stride).zip(weights) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += i32::from(*value) * weight;
            }
        }
        samples.extend(sums.iter().map(|&sum| rounded(sum)));
    }
    Raster { width: raster.width, height, samples }
}

fn rounded(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// Bicubic of one channel of 16 bits, in double precision, rounded after each pass.
pub(super) fn bicubic16(raster: &Raster, [width, height]: [u32; 2]) -> Vec<u16> {
    let (width, height) = (width as usize, height as usize);
    let values: Vec<u16> = values16(&raster.samples).collect();
    let wide: Vec<u16> = match width == raster.width {
        true => values,
        false => {
            let taps = taps(raster.width, width);
            let rows = values.chunks_exact(raster.width);
            rows.flat_map(|row| taps.iter().map(|taps| weighted(taps, |at| row[at]))).collect()
        }
    };
    if height == raster.height {
        return wide;
    }
    let column = |taps: &Taps<f64>, x: usize| weighted(taps, |at| wide[at * width + x]);
    taps(raster.height, height).iter().flat_map(|taps| (0..width).map(move |x| column(taps, x))).collect()
}

fn weighted(taps: &Taps<f64>, value: impl Fn(usize) -> u16) -> u16 {
    let terms = taps.weights.iter().enumerate();
    let sum: f64 = terms.map(|(offset, weight)| f64::from(value(taps.first + offset)) * weight).sum();
    // Pillow clips the two bytes of the result one by one.
    let whole = sum.round() as i64;
    let (low, high) = ((whole % 256).clamp(0, 255), (whole >> 8).clamp(0, 255));
    (high * 256 + low) as u16
}

/// The nearest pixel of one channel of 8 bits.
pub(super) fn nearest(raster: &Raster, [width, height]: [u32; 2]) -> Raster {
    let (width, height) = (width as usize, height as usize);
    let columns = centres(raster.width, width);
    let rows = centres(raster.height, height).into_iter().map(|y| y * raster.width);
    let samples = rows.flat_map(|row| columns.iter().map(move |x| raster.samples[row + x])).collect();
    Raster { width, height, samples }
}

/// The input pixel under the centre of each output pixel. Pillow adds up the steps, and where a centre falls on a border
/// its rounding errors decide.
fn centres(from: usize, to: usize) -> Vec<usize> {
    let step = from as f64 / to as f64;
    let positions = std::iter::successors(Some(step * 0.5), |position| Some(position + step));
    positions.take(to).map(|position| (position as usize).min(from - 1)).collect()
}

/// The taps of every output pixel, normalised to a sum of one.
fn taps(from: usize, to: usize) -> Vec<Taps<f64>> {
    let scale = from as f64 / to as f64;
    // Shrinking, the kernel spans the input pixels that fall into an output pixel.
    let stretch = scale.max(1.0);
    let support = SUPPORT * stretch;
    let tap = |output: usize| {
        let centre = (output as f64 + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let kernel =
            (first..end).map(|input| bicubic_kernel((input as f64 - centre + 0.5) * (1.0 / stretch)));
        let mut weights: Vec<f64> = kernel.collect();
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Taps { first, weights }
    };
    (0..to).map(tap).collect()
}

/// Weights in fixed point, rounded half away from zero.
fn fixed(taps: Vec<Taps<f64>>) -> Vec<Taps<i32>> {
    let one = f64::from(1 << PRECISION);
    let fix = |taps: Taps<f64>| Taps {
        first: taps.first,
        weights: taps
            .weights
            .iter()
            .map(|weight| (weight * one + 0.5_f64.copysign(*weight)) as i32)
            .collect(),
    };
    taps.into_iter().map(fix).collect()
}

/// Keys' cubic convolution with a = −½.
fn bicubic_kernel(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}
