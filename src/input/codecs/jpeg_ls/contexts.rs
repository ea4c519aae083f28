//! What a scan has learnt of its errors: one context for each shape of the neighbourhood (T.87 A.3 to A.7).

use super::super::stream::{JPEG_LS, damaged};
use super::bits::Bits;
use super::header::Parameters;
use crate::error::Result;

/// No error of 16-bit samples is larger.
const MOST_ERROR: u32 = 65535;

/// Contexts of single samples: nine levels of three gradients, of which half are the other half's mirror.
pub(super) const REGULAR: usize = 365;

pub(super) struct Contexts {
    regular: Vec<Context>,
    /// The two kinds of a run's end.
    run: [RunContext; 2],
}

#[derive(Clone, Copy)]
struct Context {
    /// Sum of absolute errors, sum of errors, count: A, B, N.
    sum: u32,
    bias: i32,
    count: u32,
    /// C, the correction of the prediction.
    correction: i32,
}

#[derive(Clone, Copy)]
struct RunContext {
    sum: u32,
    count: u32,
    /// Negative errors, Nn.
    negative: u32,
}

impl Contexts {
    pub(super) fn new(parameters: &Parameters) -> Self {
        let sum = ((parameters.range as u32 + 32) / 64).max(2);
        Self {
            regular: vec![Context { sum, bias: 0, count: 1, correction: 0 }; REGULAR],
            run: [RunContext { sum, count: 1, negative: 0 }; 2],
        }
    }

    /// The sample whose neighbourhood is context `number` (mirrored if `sign` is −1), and was predicted as `predicted`.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the code is damaged.
    #[inline]
    pub(super) fn sample(
        &mut self,
        bits: &mut Bits<'_>,
        parameters: &Parameters,
        (number, sign): (usize, i32),
        predicted: i32,
    ) -> Result<u16> {
        let Some(context) = self.regular.get_mut(number) else {
            return Err(damaged(JPEG_LS, "an impossible context"));
        };
        let predicted = (predicted + sign * context.correction).clamp(0, parameters.maximum);
        let k = golomb_parameter(context.count, context.sum);
        let mapped = golomb(bits, k, parameters.limit, parameters.qbpp)?;
        let inverted = parameters.near == 0 && k == 0 && 2 * context.bias <= -(context.count as i32);
        let magnitude = (mapped >> 1) as i32;
        let error = match (mapped & 1 == 1, inverted) {
            (false, false) => magnitude,
            (true, false) => -magnitude - 1,
            (true, true) => magnitude,
            (false, true) => -magnitude - 1,
        };
        context.learn(error, parameters);
        Ok(parameters.rebuild(predicted, sign * error))
    }

    /// The error at the end of a run. `kind` is 1 if the run's value and the one above are alike.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) if the code is damaged.
    pub(super) fn run_end(
        &mut self,
        bits: &mut Bits<'_>,
        parameters: &Parameters,
        kind: usize,
        run_bits: u32,
    ) -> Result<i32> {
        let context = &mut self.run[kind & 1];
        let kind = (kind & 1) as u32;
        let sum = context.sum + kind * (context.count >> 1);
        let k = golomb_parameter(context.count, sum);
        let mapped = golomb(bits, k, parameters.limit - run_bits - 1, parameters.qbpp)?;
        let shifted = mapped + kind;
        let odd = shifted & 1 == 1;
        let magnitude = shifted.div_ceil(2) as i32;
        let mostly_negative = 2 * context.negative >= context.count;
        let error = if (k != 0 || mostly_negative) == odd { -magnitude } else { magnitude };
        context.negative += u32::from(error < 0);
        context.sum += (mapped + 1 - kind) >> 1;
        if context.count == parameters.reset as u32 {
            context.sum >>= 1;
            context.count >>= 1;
            context.negative >>= 1;
        }
        context.count += 1;
        Ok(error)
    }
}

impl Context {
    /// T.87 A.6.
    fn learn(&mut self, error: i32, parameters: &Parameters) {
        self.bias += error * (2 * parameters.near + 1);
        self.sum += error.unsigned_abs();
        if self.count == parameters.reset as u32 {
            self.sum >>= 1;
            self.bias >>= 1;
            self.count >>= 1;
        }
        self.count += 1;
        let count = self.count as i32;
        if self.bias <= -count {
            self.bias = (self.bias + count).max(1 - count);
            self.correction = (self.correction - 1).max(-128);
        } else if self.bias > 0 {
            self.bias = (self.bias - count).min(0);
            self.correction = (self.correction + 1).min(127);
        }
    }
}

impl Parameters {
    /// The sample that an error makes of a prediction.
    #[inline]
    pub(super) fn rebuild(&self, predicted: i32, error: i32) -> u16 {
        let step = 2 * self.near + 1;
        let mut value = predicted + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.maximum + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.maximum) as u16
    }
}

/// The least k at which `count` · 2^k reaches `sum`.
#[inline]
fn golomb_parameter(count: u32, sum: u32) -> u32 {
    let (count, sum, mut k) = (u64::from(count), u64::from(sum), 0);
    while count << k < sum {
        k += 1;
    }
    k
}

/// A mapped error (T.87 A.5.3).
#[inline]
fn golomb(bits: &mut Bits<'_>, k: u32, limit: u32, qbpp: u32) -> Result<u32> {
    let most = limit.saturating_sub(qbpp + 1);
    let zeros = bits.zeros(most)?;
    let mapped = if zeros < most {
        u64::from(zeros) << k | u64::from(bits.take(k)?)
    } else {
        u64::from(bits.take(qbpp)?) + 1
    };
    match mapped <= u64::from(2 * MOST_ERROR) {
        true => Ok(mapped as u32),
        false => Err(damaged(JPEG_LS, "an error larger than any sample")),
    }
}
