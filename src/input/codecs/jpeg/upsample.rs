//! Rows of subsampled components to rows of the picture: libjpeg's `jdsample.c` with its triangle filters, to the last bit.

use super::super::stream::{JPEG, unsupported};
use crate::error::Result;

/// How a component becomes as large as the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// Weights 3 and 1, across.
    Across,
    /// Weights 3 and 1, down.
    Down,
    /// Both.
    Both,
    /// Each sample so often across and down; once for a component that is as large already.
    Repeat(usize, usize),
}

impl Filter {
    /// The filter for a component of `width` samples, of which one is `across` × `down` pixels.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for factors that are no whole numbers.
    pub(super) fn new(factors: [usize; 2], most: [usize; 2], width: usize) -> Result<Self> {
        let ([across, down], [most_across, most_down]) = (factors, most);
        if most_across % across != 0 || most_down % down != 0 {
            let got = format!("sampling {across}×{down} of {most_across}×{most_down}");
            return Err(unsupported(JPEG, "whole sampling factors", got));
        }
        Ok(match (most_across / across, most_down / down) {
            (2, 1) if width > 2 => Self::Across,
            (1, 2) => Self::Down,
            (2, 2) if width > 2 => Self::Both,
            (across, down) => Self::Repeat(across, down),
        })
    }

    /// The row of the component that lies under row `y` of the picture, and the next nearest one.
    pub(super) fn rows(self, y: usize, height: usize) -> (usize, usize) {
        match self {
            Self::Across => (y, y),
            Self::Down | Self::Both if y.is_multiple_of(2) => (y / 2, (y / 2).saturating_sub(1)),
            Self::Down | Self::Both => (y / 2, (y / 2 + 1).min(height - 1)),
            Self::Repeat(_, down) => (y / down, y / down),
        }
    }

    /// Row `y` of the picture into `row`, from the component's rows `near` and `far`.
    pub(super) fn apply(self, y: usize, near: &[u16], far: &[u16], row: &mut Vec<u16>) {
        row.clear();
        let sum = |(near, far): (&u16, &u16)| 3 * u32::from(*near) + u32::from(*far);
        match self {
            Self::Repeat(across, _) => {
                row.extend(near.iter().flat_map(|value| std::iter::repeat_n(*value, across)));
            }
            Self::Down => {
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                row.extend(near.iter().zip(far).map(|pair| ((sum(pair) + bias) >> 2) as u16));
            }
            Self::Across => {
                triangle(near.iter().map(|value| u32::from(*value)), [0, 0, 1, 2], 2, row);
            }
            Self::Both => triangle(near.iter().zip(far).map(sum), [8, 7, 8, 7], 4, row),
        }
    }
}

/// Two values for each one, three parts of it and one of its neighbour. `bias` rounds: the first value, the last one, left
/// and right ones. Values are shifted by `bits`.
fn triangle(values: impl Iterator<Item = u32>, bias: [u32; 4], bits: u32, row: &mut Vec<u16>) {
    let [first, last, left, right] = bias;
    let (mut before, mut values) = (None, values.peekable());
    while let Some(value) = values.next() {
        let beside = |other: Option<u32>, end, inside| match other {
            Some(other) => (3 * value + other + inside) >> bits,
            None => (4 * value + end) >> bits,
        };
        row.push(beside(before, first, left) as u16);
        row.push(beside(values.peek().copied(), last, right) as u16);
        before = Some(value);
    }
}
