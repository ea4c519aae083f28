//! Whether a plan agrees with another provider: the cosine between their outputs for the same inputs.

use std::sync::Arc;

use ndarray::{Array2, Array4};

use crate::decoder::{Chunk, Decoder, Next, Scores};
use crate::error::{Error, Result};
use crate::onnx::Tensor;
use crate::package::Manifest;
use crate::vision::VisionTower;

/// The outputs of a graph for fixed inputs, run by run.
pub(super) type SampleOutputs = Vec<Vec<f32>>;

/// The least cosine of outputs that agree. Kernels of 16 bits that sum in another order are above it; a fusion that was
/// compiled wrong is far below.
const LEAST: f64 = 0.999;

/// Tokens of the fixed prompt, and how many of them are a picture's.
const PROMPT: usize = 24;
const ROWS: usize = 8;

/// The embeddings of one tile of noise.
pub(super) fn of_vision(tower: &mut VisionTower, manifest: &Manifest) -> Result<SampleOutputs> {
    let side = manifest.vision.image_size as usize;
    let mut noise = noise(1.0);
    let pixels = Array4::from_shape_simple_fn((1, 3, side, side), || noise.next().unwrap_or_default());
    tower.encode(pixels)?.iter().map(|tile| tile.to_vec()).collect()
}

/// The logits after a fixed prompt with a picture in it, and after one more token.
pub(super) fn of_decoder(decoder: &mut Decoder, manifest: &Manifest) -> Result<SampleOutputs> {
    let capacity = decoder.arena().shape().capacity;
    let length = PROMPT.min(capacity.saturating_sub(1)).max(2);
    let vocabulary = manifest.tokens.vocabulary as i64;
    // a prime stride, so that ids do not repeat in any vocabulary
    let ids: Vec<_> = (0..=length as i64).map(|place| (place * 7919 + 1009) % vocabulary).collect();
    let rows = ROWS.min(manifest.vision.tokens_per_tile).min(length - 1);
    let splice = (0..length).map(|place| if place < rows { place as i64 } else { -1 }).collect();
    let mut noise = noise(0.05);
    let sizes = (manifest.vision.tokens_per_tile, manifest.vision.hidden_size);
    let tile = Array2::from_shape_simple_fn(sizes, || noise.next().unwrap_or_default());
    let chunk = Chunk { ids: &ids[..length], splice, tiles: vec![Arc::new(Tensor::new(tile)?)] };
    let prefilled = decoder.prefill(0, 0, chunk)?.logits()?.to_vec();
    let stepped = decoder.step(0, &[Next { id: ids[length] as u32, position: length }])?;
    let stepped = stepped.first().ok_or_else(|| Error::runtime("logits", "a row", "none").report())?;
    Ok(vec![prefilled, stepped.logits()?.to_vec()])
}

/// Refuses outputs that do not agree with those of the provider of that name. Returns the least cosine.
///
/// # Errors
/// [`Error::Runtime`] with the cosine.
pub(super) fn check(
    graph: &str,
    found: &SampleOutputs,
    wanted: &SampleOutputs,
    provider: &str,
) -> Result<f64> {
    let pairs = found.iter().zip(wanted);
    let all = pairs.map(|(found, wanted)| cosine(found, wanted)).collect::<Option<Vec<_>>>();
    let least = all
        .filter(|_| found.len() == wanted.len())
        .and_then(|all| all.into_iter().reduce(f64::min))
        .unwrap_or(f64::NAN);
    match least >= LEAST {
        true => Ok(least),
        false => Err(Error::runtime(
            format!("{graph}: its new plan"),
            format!("a cosine of at least {LEAST} with what the {provider} provider computes"),
            format!("{least:.6}"),
        )
        .hint(
            "the plan was thrown away: try another trt_builder_optimization_level or version of TensorRT, or the cuda \
             provider",
        )),
    }
}

/// The cosine between two rows of numbers; `None` if their lengths differ, if one is all zeros, or if one holds a number that
/// is not finite.
fn cosine(one: &[f32], other: &[f32]) -> Option<f64> {
    let dot = |one: &[f32], other: &[f32]| -> f64 {
        one.iter().zip(other).map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
    };
    let cosine = dot(one, other) / (dot(one, one).sqrt() * dot(other, other).sqrt());
    (one.len() == other.len() && cosine.is_finite()).then_some(cosine)
}

/// Numbers from −`most` to `most`, the same in every run and on every machine.
fn noise(most: f32) -> impl Iterator<Item = f32> {
    let mut state = 0x2545_f491_u32;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * most)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines() {
        let close = |one: &[f32], other: &[f32], wanted: f64| {
            let found = cosine(one, other).unwrap();
            assert!((found - wanted).abs() < 1e-12, "{found}");
        };
        close(&[1.0, 2.0, -3.0], &[2.0, 4.0, -6.0], 1.0);
        close(&[1.0, 0.0], &[0.0, 5.0], 0.0);
        close(&[1.0, 1.0], &[-1.0, -1.0], -1.0);
        close(&[1.0, 0.0], &[1.0, 1.0], 0.5_f64.sqrt());
        // beyond the range of 32 bits
        close(&[3e30, 3e30], &[3e30, 3e30], 1.0);
        for (one, other) in [
            (&[0.0, 0.0][..], &[1.0, 1.0][..]),
            (&[f32::NAN, 1.0], &[1.0, 1.0]),
            (&[1.0, f32::INFINITY], &[1.0, 1.0]),
            (&[1.0], &[1.0, 1.0]),
            (&[], &[]),
        ] {
            assert_eq!(cosine(one, other), None, "{one:?} {other:?}");
        }
    }

    #[test]
    fn the_error_gives_the_bar_and_the_figure() {
        let right = vec![vec![1.0, 2.0, 3.0], vec![-1.0, 0.5, 0.25]];
        assert!(check("decoder.onnx", &right, &right, "cpu").unwrap() > 0.999_999);
        let near = vec![vec![1.01, 2.0, 3.0], vec![-1.0, 0.5, 0.25]];
        check("decoder.onnx", &near, &right, "cpu").unwrap();
        // one run is right, the other is not
        let wrong = vec![vec![1.0, 2.0, 3.0], vec![-1.0, -0.5, 0.25]];
        let error = check("decoder.onnx", &wrong, &right, "cuda").unwrap_err().to_string();
        for part in
            ["decoder.onnx: its new plan", "at least 0.999 with what the cuda", "got 0.619048", "thrown away"]
        {
            assert!(error.contains(part), "{part}: {error}");
        }
        for wrong in [vec![], vec![right[0].clone()], vec![right[0].clone(), vec![f32::NAN; 3]]] {
            let error = check("decoder.onnx", &wrong, &right, "cpu").unwrap_err().to_string();
            assert!(error.contains("got NaN"), "{error}");
        }
    }

    #[test]
    fn noise_is_the_same_and_around_zero() {
        let all: Vec<_> = noise(0.5).take(10_000).collect();
        assert!(all.iter().all(|number| (-0.5..=0.5).contains(number)));
        assert!((all.iter().sum::<f32>() / 10_000.0).abs() < 0.01);
        assert!(noise(0.5).take(10_000).eq(all));
    }
}
