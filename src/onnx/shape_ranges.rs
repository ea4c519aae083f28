//! The shapes that a graph's plan takes: handed to TensorRT before the build, and enforced on every input.
//!
//! ONNX Runtime hands several optimization profiles of a graph to TensorRT, but then runs every shape on the first one (its
//! issue 23965), so a shape that only another profile allows would fail. Two sessions with one profile each would hold the
//! weights twice. So a plan gets a single profile that spans those of the package. TensorRT chooses kernels for its usual
//! (`opt`) shape. For the decoder that is a chunk of a prompt: a kernel that is good for a chunk still reads the weights
//! once in a step, while a kernel that is good for a step would read them again for every token of a chunk.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::package::{Profile, ShapeRange};

/// The shapes that the inputs of a graph may have on its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShapeRanges {
    graph: String,
    inputs: BTreeMap<String, ShapeRange>,
}

impl ShapeRanges {
    /// The ranges that span the profiles of the graph in the file `graph`. The usual shapes are those of the first profile.
    pub(crate) fn spanning(graph: &str, profiles: &[Profile]) -> Self {
        let mut inputs: BTreeMap<String, ShapeRange> = BTreeMap::new();
        for (name, range) in profiles.iter().flat_map(|profile| &profile.inputs) {
            let known = inputs.entry(name.clone()).or_insert_with(|| range.clone());
            stretch(&mut known.min, &range.min, i64::min);
            stretch(&mut known.max, &range.max, i64::max);
        }
        Self { graph: graph.into(), inputs }
    }

    /// The name of the graph's file without its ending.
    pub(super) fn stem(&self) -> &str {
        self.graph.strip_suffix(".onnx").unwrap_or(&self.graph)
    }

    /// The ranges as options of ONNX Runtime's TensorRT provider.
    pub(crate) fn settings(&self) -> [(String, String); 3] {
        let listed = |shape: fn(&ShapeRange) -> &[i64]| {
            let shapes =
                self.inputs.iter().map(|(name, range)| format!("{name}:{}", joined(shape(range), "x")));
            shapes.collect::<Vec<_>>().join(",")
        };
        [
            ("trt_profile_min_shapes".into(), listed(|range| &range.min)),
            ("trt_profile_opt_shapes".into(), listed(|range| &range.opt)),
            ("trt_profile_max_shapes".into(), listed(|range| &range.max)),
        ]
    }

    /// Refuses a shape outside the ranges: ONNX Runtime would fail on it, or build another plan during the request.
    ///
    /// # Errors
    /// [`Error::Request`] naming the input, its range and the shape.
    pub(super) fn check(&self, input: &str, shape: &[i64]) -> Result<()> {
        let Some(range) = self.inputs.get(input) else { return Ok(()) };
        let within = range.min.len() == shape.len()
            && shape.iter().zip(&range.min).all(|(size, min)| size >= min)
            && shape.iter().zip(&range.max).all(|(size, max)| size <= max);
        if within {
            return Ok(());
        }
        let (min, max) = (joined(&range.min, "×"), joined(&range.max, "×"));
        let wanted = format!("{min} to {max}, for which its plan is built");
        Err(Error::request(format!("{}: {input}", self.graph), wanted, joined(shape, "×"))
            .hint("ask for less at a time, use the cuda provider, or export with wider profiles"))
    }

    /// The largest size of an input along an axis, or `None` for an input without a range.
    pub(crate) fn max(&self, input: &str, axis: usize) -> Option<usize> {
        usize::try_from(*self.inputs.get(input)?.max.get(axis)?).ok()
    }
}

fn stretch(known: &mut [i64], other: &[i64], choose: fn(i64, i64) -> i64) {
    for (known, other) in known.iter_mut().zip(other) {
        *known = choose(*known, *other);
    }
}

fn joined(shape: &[i64], times: &str) -> String {
    shape.iter().map(i64::to_string).collect::<Vec<_>>().join(times)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Prompts, steps and guesses of a small decoder whose cache holds 64 tokens in each of 4 slots.
    fn decoder() -> ShapeRanges {
        let range = |min: &[i64], opt: &[i64], max: &[i64]| json!({"min": min, "opt": opt, "max": max});
        let profiles = json!([
            {"name": "prefill", "inputs": {
                "input_ids": range(&[1, 1], &[1, 16], &[1, 32]),
                "past_key.0": range(&[1, 2, 64, 8], &[1, 2, 64, 8], &[1, 2, 64, 8]),
                "logits_at": range(&[1], &[1], &[9]),
            }},
            {"name": "step", "inputs": {
                "input_ids": range(&[1, 1], &[4, 1], &[4, 1]),
                "past_key.0": range(&[1, 2, 64, 8], &[4, 2, 64, 8], &[4, 2, 64, 8]),
                "logits_at": range(&[1], &[1], &[1]),
            }},
        ]);
        let profiles: Vec<Profile> = serde_json::from_value(profiles).unwrap();
        ShapeRanges::spanning("decoder.onnx", &profiles)
    }

    #[test]
    fn one_profile_spans_all_and_is_written_as_options() {
        let option = |key: &str, value: &str| (format!("trt_profile_{key}_shapes"), value.to_owned());
        let wanted = [
            option("min", "input_ids:1x1,logits_at:1,past_key.0:1x2x64x8"),
            option("opt", "input_ids:1x16,logits_at:1,past_key.0:1x2x64x8"),
            option("max", "input_ids:4x32,logits_at:9,past_key.0:4x2x64x8"),
        ];
        assert_eq!(decoder().settings(), wanted);
        let max = [("input_ids", 0), ("input_ids", 1), ("input_ids", 2), ("pixel_values", 0)]
            .map(|(input, axis)| decoder().max(input, axis));
        assert_eq!(max, [Some(4), Some(32), None, None]);
    }

    #[test]
    fn a_shape_outside_is_refused_with_its_range() {
        let decoder = decoder();
        decoder.check("input_ids", &[4, 1]).unwrap();
        decoder.check("input_ids", &[1, 32]).unwrap();
        decoder.check("an input without a range", &[7]).unwrap();
        for (input, shape, part) in [
            (
                "input_ids",
                &[5, 1][..],
                "decoder.onnx: input_ids: wanted 1×1 to 4×32, for which its plan is built, got 5×1",
            ),
            ("input_ids", &[1, 33], "got 1×33"),
            ("input_ids", &[0, 1], "got 0×1"),
            ("input_ids", &[1], "got 1 "),
            ("logits_at", &[10], "logits_at: wanted 1 to 9"),
        ] {
            let error = decoder.check(input, shape).unwrap_err();
            assert_eq!(error.code(), crate::ErrorCode::Request);
            assert!(error.to_string().contains(part), "{error}");
            assert!(error.to_string().contains("use the cuda provider"), "{error}");
        }
    }
}
