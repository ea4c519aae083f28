//! The logits of the next token, copied from the device only on demand.

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};
use crate::onnx::Tensor;

/// The logits of the next token.
pub(crate) trait Scores {
    /// All logits, `[vocabulary]`.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the device fails.
    fn logits(&self) -> Result<&[f32]>;

    /// The likeliest token, where the device has found it and all logits are finite.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the device fails.
    fn best(&self) -> Result<Option<Best>>;
}

/// The token with the largest logit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Best {
    /// The lowest id among equals.
    pub(crate) id: u32,
    /// How far the next largest logit is behind.
    pub(crate) margin: f32,
}

/// The logits after one token, where the run left them: good until the next run.
pub(crate) struct Logits {
    run: Arc<Outputs>,
    row: usize,
}

/// The outputs of a run, `[rows, vocabulary]` and `[rows, 2 × candidates + 1]`.
pub(super) struct Outputs {
    /// On the device; none where the host computes.
    device: Option<Tensor>,
    host: OnceLock<Tensor>,
    /// Of each row the largest logits, their ids, and the sum of all.
    best: Option<Tensor>,
    rows: usize,
}

impl Outputs {
    /// Logits that the host holds.
    pub(super) fn on_host(logits: Tensor, rows: usize) -> Self {
        Self { device: None, host: OnceLock::from(logits), best: None, rows }
    }

    /// Logits that are left on a device, and what the host holds of them.
    pub(super) fn on_device(logits: Tensor, best: Tensor, rows: usize) -> Self {
        Self { device: Some(logits), host: OnceLock::new(), best: Some(best), rows }
    }

    /// Row by row.
    pub(super) fn split(self) -> Vec<Logits> {
        let (rows, run) = (self.rows, Arc::new(self));
        (0..rows).map(|row| Logits { run: Arc::clone(&run), row }).collect()
    }

    /// All logits in the host's memory, copied on first use: a vocabulary is large.
    fn host(&self) -> Result<&Tensor> {
        if let (None, Some(device)) = (self.host.get(), &self.device) {
            let copy = device.on_host()?;
            return Ok(self.host.get_or_init(|| copy));
        }
        self.host.get().ok_or_else(|| Error::runtime("logits", "an output of the run", "none").report())
    }

    /// One of the rows of equal length that the numbers are.
    fn row<'a>(&self, numbers: &'a [f32], row: usize) -> Result<&'a [f32]> {
        let length = numbers.len() / self.rows.max(1);
        let found = numbers.get(row * length..(row + 1) * length);
        found.ok_or_else(|| Error::runtime("logits", "a row for each position", "fewer").report())
    }
}

impl Scores for Logits {
    fn logits(&self) -> Result<&[f32]> {
        self.run.row(self.run.host()?.numbers()?, self.row)
    }

    fn best(&self) -> Result<Option<Best>> {
        let Some(best) = &self.run.best else { return Ok(None) };
        Ok(likeliest(self.run.row(best.numbers()?, self.row)?))
    }
}

/// The likeliest of candidates: their logits in descending order, their ids, and the sum of all logits. None where that
/// is no finite number, and where there may be more equals than candidates.
fn likeliest(row: &[f32]) -> Option<Best> {
    let (sum, candidates) = row.split_last()?;
    let (logits, ids) = candidates.split_at(candidates.len() / 2);
    let (first, last) = (*logits.first()?, *logits.last()?);
    if !sum.is_finite() || first == last {
        return None;
    }
    let equals = logits.iter().zip(ids).take_while(|(logit, _)| **logit == first);
    let id = equals.map(|(_, id)| *id as u32).min()?;
    Some(Best { id, margin: first - logits.get(1)? })
}

#[cfg(test)]
impl<T: AsRef<[f32]> + ?Sized> Scores for T {
    fn logits(&self) -> Result<&[f32]> {
        Ok(self.as_ref())
    }

    fn best(&self) -> Result<Option<Best>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_of_candidates() {
        let best = |id, margin| Some(Best { id, margin });
        assert_eq!(likeliest(&[9.0, 7.5, 7.0, 30.0, 2.0, 5.0, 100.0]), best(30, 1.5));
        // a device does not say in which order equals come
        assert_eq!(likeliest(&[9.0, 9.0, 7.0, 30.0, 2.0, 5.0, 100.0]), best(2, 0.0));
        // there may be one more, with a lower id
        assert_eq!(likeliest(&[9.0, 9.0, 9.0, 30.0, 2.0, 5.0, 100.0]), None);
        for sum in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(likeliest(&[9.0, 7.0, 1.0, 2.0, sum]), None);
        }
        assert_eq!(likeliest(&[]), None);
    }
}
