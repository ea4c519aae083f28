//! Logits to the next token.

use crate::error::{Error, Result};

/// The id with the largest logit; the lowest id among equals.
///
/// # Errors
/// [`Error::Runtime`] if a logit is NaN or infinite: the numbers of the model overflowed.
pub(crate) fn greedy(logits: &[f32]) -> Result<u32> {
    let mut best = (f32::NEG_INFINITY, 0);
    for (id, &logit) in logits.iter().enumerate() {
        if !logit.is_finite() {
            return Err(Error::runtime(
                "decoder logits",
                "finite numbers",
                format!("{logit} for token {id}"),
            )
            .hint("this precision overflows on this provider: use another package"));
        }
        if logit > best.0 {
            best = (logit, id);
        }
    }
    Ok(best.1 as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_logit_wins() {
        assert_eq!(greedy(&[0.0, 3.0, -1.0, 3.0]).unwrap(), 1);
        assert_eq!(greedy(&[-5.0]).unwrap(), 0);
        assert!(greedy(&[0.0, f32::NAN]).is_err());
        assert!(greedy(&[f32::INFINITY]).is_err());
    }
}
