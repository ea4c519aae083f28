//! Which input pixels an output pixel takes, and how much of each, as Pillow computes it.

use std::ops::Range;

/// Bits after the point of a filter weight.
const PRECISION: u32 = 22;
/// Reach of the bicubic kernel, in pixels of the coarser of the two grids.
const SUPPORT: f64 = 2.0;

/// What one output pixel takes from its line: the first input pixel and a weight for each from there on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taps<W> {
    pub(super) first: usize,
    pub(super) weights: Vec<W>,
}

impl<W> Taps<W> {
    /// The weights of these input pixels, as far as they are taken.
    pub(super) fn of(&self, inputs: Range<usize>) -> &[W] {
        let place = |input: usize| input.saturating_sub(self.first).min(self.weights.len());
        &self.weights[place(inputs.start)..place(inputs.end)]
    }
}

/// A number of a picture, and how weighted ones are added up.
pub(super) trait Sample: Copy {
    type Weight: Copy + PartialEq;
    type Sum: Copy;
    /// A sum of nothing.
    const NOTHING: Self::Sum;

    fn weight(exact: f64) -> Self::Weight;

    /// The weight of several equal samples together. Only for rows that [`repeat`](super::rows::Rows::repeats).
    fn together(weights: &[Self::Weight]) -> Self::Weight;

    fn add(sum: &mut Self::Sum, value: Self, weight: Self::Weight);

    fn of(sum: Self::Sum) -> Self;
}

/// In fixed point.
impl Sample for u8 {
    type Weight = i32;
    type Sum = i32;
    /// A half, to round.
    const NOTHING: i32 = 1 << (PRECISION - 1);

    fn weight(exact: f64) -> i32 {
        // Rounded half away from zero.
        (exact * f64::from(1 << PRECISION) + 0.5_f64.copysign(exact)) as i32
    }

    fn together(weights: &[i32]) -> i32 {
        weights.iter().sum()
    }

    fn add(sum: &mut i32, value: u8, weight: i32) {
        *sum += i32::from(value) * weight;
    }

    fn of(sum: i32) -> u8 {
        (sum >> PRECISION).clamp(0, 255) as u8
    }
}

/// In double precision.
impl Sample for u16 {
    type Weight = f64;
    type Sum = f64;
    const NOTHING: f64 = 0.0;

    fn weight(exact: f64) -> f64 {
        exact
    }

    fn together(weights: &[f64]) -> f64 {
        weights.iter().sum()
    }

    fn add(sum: &mut f64, value: u16, weight: f64) {
        *sum += f64::from(value) * weight;
    }

    fn of(sum: f64) -> u16 {
        // Pillow clips the two bytes of the result one by one.
        let whole = sum.round() as i64;
        let (low, high) = ((whole % 256).clamp(0, 255), (whole >> 8).clamp(0, 255));
        (high * 256 + low) as u16
    }
}

/// A line of `from` pixels that becomes one of `to`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Scale {
    fn step(self) -> f64 {
        self.from as f64 / self.to as f64
    }

    /// Shrinking, the kernel spans the input pixels that fall into an output pixel.
    fn stretch(self) -> f64 {
        self.step().max(1.0)
    }

    fn centre(self, output: usize) -> f64 {
        (output as f64 + 0.5) * self.step()
    }

    /// The input pixels that an output pixel takes.
    pub(super) fn span(self, output: usize) -> Range<usize> {
        let (centre, support) = (self.centre(output), SUPPORT * self.stretch());
        let first = (centre - support + 0.5).max(0.0) as usize;
        first..((centre + support + 0.5) as usize).min(self.from)
    }

    /// What an output pixel takes. Before they become the weights of the samples, the weights sum to one.
    pub(super) fn taps<S: Sample>(self, output: usize) -> Taps<S::Weight> {
        let (centre, stretch, span) = (self.centre(output), self.stretch(), self.span(output));
        let first = span.start;
        let kernel = span.map(|input| bicubic((input as f64 - centre + 0.5) * (1.0 / stretch)));
        let exact: Vec<f64> = kernel.collect();
        let sum: f64 = exact.iter().sum();
        Taps { first, weights: exact.into_iter().map(|weight| S::weight(weight / sum)).collect() }
    }
}

/// Keys' cubic convolution with a = −½.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

/// The input pixel under the centre of each output pixel. Pillow adds up the steps, and where a centre falls on a border
/// its rounding errors decide.
pub(super) fn centres(from: usize, to: usize) -> Vec<usize> {
    let step = from as f64 / to as f64;
    let positions = std::iter::successors(Some(step * 0.5), |position| Some(position + step));
    positions.take(to).map(|position| (position as usize).min(from - 1)).collect()
}
