//! One line of a scan (T.87 A.2 to A.7). A pixel is `N` samples that are coded together: one, unless samples are interleaved.

use super::super::stream::{JPEG_LS, damaged};
use super::bits::Bits;
use super::contexts::Contexts;
use super::header::Parameters;
use crate::error::Result;

/// The length of a run in bits, by how long runs have been.
const RUN_BITS: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// A line with a pixel more at either end.
pub(super) type Line<const N: usize> = Vec<[u16; N]>;

pub(super) struct Scan<'a> {
    pub(super) bits: Bits<'a>,
    pub(super) parameters: Parameters,
    contexts: Contexts,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bits: Bits<'a>, parameters: Parameters) -> Self {
        Self { bits, parameters, contexts: Contexts::new(&parameters) }
    }

    /// Decodes `line` below `above`; both have two pixels more than the picture. `run` is how long runs have been.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the scan is damaged.
    pub(super) fn line<const N: usize>(
        &mut self,
        above: &mut Line<N>,
        line: &mut Line<N>,
        run: &mut usize,
    ) -> Result<()> {
        let end = line.len() - 1;
        above[end] = above[end - 1];
        line[0] = above[1];
        let mut x = 1;
        while x < end {
            let around = [line[x - 1], above[x - 1], above[x], above[x + 1]];
            let contexts: [_; N] =
                std::array::from_fn(|sample| self.context(around.map(|pixel| pixel[sample])));
            if contexts.iter().any(|(number, _)| *number != 0) {
                line[x] = self.pixel(around, contexts)?;
                x += 1;
                continue;
            }
            let length = self.run(end - x, run)?;
            let value = line[x - 1];
            line[x..x + length].fill(value);
            x += length;
            if x < end {
                line[x] = self.run_end(value, above[x], RUN_BITS[*run])?;
                *run = run.saturating_sub(1);
                x += 1;
            }
        }
        Ok(())
    }

    /// The context of a neighbourhood left, above left, above, above right, and the sign of its mirror; 0 if all are alike.
    #[inline]
    fn context(&self, around: [u16; 4]) -> (usize, i32) {
        let [a, c, b, d] = around.map(i32::from);
        let [q1, q2, q3] = [d - b, b - c, c - a].map(|gradient| self.level(gradient));
        let number = 81 * q1 + 9 * q2 + q3;
        if number < 0 { (-number as usize, -1) } else { (number as usize, 1) }
    }

    #[inline]
    fn level(&self, gradient: i32) -> i32 {
        let Parameters { near, thresholds: [t1, t2, t3], .. } = self.parameters;
        let size = gradient.abs();
        let level = if size <= near {
            0
        } else if size < t1 {
            1
        } else if size < t2 {
            2
        } else if size < t3 {
            3
        } else {
            4
        };
        level * gradient.signum()
    }

    #[inline]
    fn pixel<const N: usize>(
        &mut self,
        around: [[u16; N]; 4],
        contexts: [(usize, i32); N],
    ) -> Result<[u16; N]> {
        let mut pixel = [0; N];
        for (sample, context) in contexts.into_iter().enumerate() {
            let [a, c, b, _] = around.map(|pixel| i32::from(pixel[sample]));
            let predicted = if c >= a.max(b) {
                a.min(b)
            } else if c <= a.min(b) {
                a.max(b)
            } else {
                a + b - c
            };
            pixel[sample] = self.contexts.sample(&mut self.bits, &self.parameters, context, predicted)?;
        }
        Ok(pixel)
    }

    /// The length of a run, of at most `most` pixels.
    fn run(&mut self, most: usize, run: &mut usize) -> Result<usize> {
        let mut length = 0;
        while self.bits.bit()? {
            let step = 1 << RUN_BITS[*run];
            if length + step <= most {
                *run = (*run + 1).min(RUN_BITS.len() - 1);
            }
            length += step;
            if length >= most {
                return Ok(most);
            }
        }
        length += self.bits.take(RUN_BITS[*run])? as usize;
        match length <= most {
            true => Ok(length),
            false => Err(damaged(JPEG_LS, "a run beyond its line")),
        }
    }

    /// The pixel that ends a run of `value`, below `above`.
    fn run_end<const N: usize>(
        &mut self,
        value: [u16; N],
        above: [u16; N],
        run_bits: u32,
    ) -> Result<[u16; N]> {
        let Self { bits, parameters, contexts } = self;
        let mut pixel = [0; N];
        for sample in 0..N {
            let (a, b) = (i32::from(value[sample]), i32::from(above[sample]));
            // Samples that are coded together know only one kind.
            let alike = N == 1 && (a - b).abs() <= parameters.near;
            let error = contexts.run_end(bits, parameters, usize::from(alike), run_bits)?;
            pixel[sample] = match (alike, a > b) {
                (true, _) => parameters.rebuild(a, error),
                (false, true) => parameters.rebuild(b, -error),
                (false, false) => parameters.rebuild(b, error),
            };
        }
        Ok(pixel)
    }
}
