//! The shapes that an engine of TensorRT takes: told before it is built, and kept to.
//!
//! ONNX Runtime hands several profiles of a graph to TensorRT and then runs all on the first (its issue 23965), so a run
//! that only another one allows would fail. Two sessions, one for each profile, would hold the weights twice. So the
//! engine gets one profile that spans them all. Its kernels are chosen for the usual shape of the first, which for a
//! decoder is a chunk of a prompt: what is good for a chunk reads the weights once for a step too, while what is good
//! for a step would read them again for every token of a chunk.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::package::{Profile, Sizes};

/// The shapes of a graph's inputs that its engine takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranges {
    graph: String,
    inputs: BTreeMap<String, Sizes>,
}

impl Ranges {
    /// The range that spans the profiles of a graph.
    pub(crate) fn spanning(graph: &str, profiles: &[Profile]) -> Self {
        let mut inputs: BTreeMap<String, Sizes> = BTreeMap::new();
        for (name, sizes) in profiles.iter().flat_map(|profile| &profile.inputs) {
            let known = inputs.entry(name.clone()).or_insert_with(|| sizes.clone());
            stretch(&mut known.min, &sizes.min, i64::min);
            stretch(&mut known.max, &sizes.max, i64::max);
        }
        Self { graph: graph.into(), inputs }
    }

    /// The name of the graph's file without its ending.
    pub(super) fn stem(&self) -> &str {
        self.graph.strip_suffix(".onnx").unwrap_or(&self.graph)
    }

    /// What ONNX Runtime is told.
    pub(crate) fn settings(&self) -> [(String, String); 3] {
        let told = |shape: fn(&Sizes) -> &[i64]| {
            let shapes = self.inputs.iter().map(|(name, sizes)| format!("{name}:{}", by(shape(sizes), "x")));
            shapes.collect::<Vec<_>>().join(",")
        };
        [
            ("trt_profile_min_shapes".into(), told(|sizes| &sizes.min)),
            ("trt_profile_opt_shapes".into(), told(|sizes| &sizes.opt)),
            ("trt_profile_max_shapes".into(), told(|sizes| &sizes.max)),
        ]
    }

    /// Refuses a shape for which ONNX Runtime would fail, or build another engine while somebody waits.
    ///
    /// # Errors
    /// [`Error::Request`] naming the input, its range and the shape.
    pub(super) fn check(&self, input: &str, shape: &[i64]) -> Result<()> {
        let Some(sizes) = self.inputs.get(input) else { return Ok(()) };
        let within = sizes.min.len() == shape.len()
            && shape.iter().zip(&sizes.min).all(|(size, min)| size >= min)
            && shape.iter().zip(&sizes.max).all(|(size, max)| size <= max);
        if within {
            return Ok(());
        }
        let range =
            format!("{} to {}, for which its engine is built", by(&sizes.min, "×"), by(&sizes.max, "×"));
        Err(Error::request(format!("{}: {input}", self.graph), range, by(shape, "×"))
            .hint("ask for less at a time, use the cuda provider, or export with wider profiles"))
    }

    /// The largest size of an input along an axis.
    pub(crate) fn most(&self, input: &str, axis: usize) -> Option<usize> {
        usize::try_from(*self.inputs.get(input)?.max.get(axis)?).ok()
    }
}

fn stretch(known: &mut [i64], other: &[i64], choose: fn(i64, i64) -> i64) {
    for (known, other) in known.iter_mut().zip(other) {
        *known = choose(*known, *other);
    }
}

fn by(shape: &[i64], times: &str) -> String {
    shape.iter().map(i64::to_string).collect::<Vec<_>>().join(times)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::package::Package;

    fn ranges() -> [Ranges; 2] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/synthetic-tensorrt");
        assert!(folder.exists(), "{} is missing: `make test` makes it", folder.display());
        let package = Package::open(&folder).unwrap();
        let profiles = package.manifest().profiles.as_ref().unwrap();
        [
            Ranges::spanning("vision.onnx", &profiles.vision),
            Ranges::spanning("decoder.onnx", &profiles.decoder),
        ]
    }

    #[test]
    fn what_onnx_runtime_is_told_of_a_package() {
        let [vision, decoder] = ranges();
        let told = |key: &str, value: &str| (format!("trt_profile_{key}_shapes"), value.to_owned());
        assert_eq!(
            vision.settings(),
            [
                told("min", "pixel_values:1x3x448x448"),
                told("opt", "pixel_values:1x3x448x448"),
                told("max", "pixel_values:12x3x448x448"),
            ]
        );
        let cache = |batch: usize| {
            let kinds = ["key.0", "key.1", "value.0", "value.1"];
            kinds.map(|kind| format!("past_{kind}:{batch}x2x12288x16")).join(",")
        };
        let (one, eight) = (cache(1), cache(8));
        assert_eq!(
            decoder.settings(),
            [
                told(
                    "min",
                    &format!(
                        "image_embeds:1x64,input_ids:1x1,key_positions:1,logits_at:1,{one},seqlens_k:1,splice:1x1"
                    )
                ),
                told(
                    "opt",
                    &format!(
                        "image_embeds:512x64,input_ids:1x512,key_positions:2048,logits_at:1,{one},seqlens_k:1,splice:1x512"
                    )
                ),
                told(
                    "max",
                    &format!(
                        "image_embeds:12288x64,input_ids:8x512,key_positions:12288,logits_at:33,{eight},seqlens_k:8,splice:8x512"
                    )
                ),
            ]
        );
        assert_eq!((decoder.most("input_ids", 0), decoder.most("input_ids", 1)), (Some(8), Some(512)));
        assert_eq!((vision.most("pixel_values", 0), vision.most("input_ids", 0)), (Some(12), None));
    }

    #[test]
    fn a_shape_outside_is_told_with_its_range() {
        let [vision, decoder] = ranges();
        vision.check("pixel_values", &[12, 3, 448, 448]).unwrap();
        decoder.check("input_ids", &[8, 1]).unwrap();
        decoder.check("input_ids", &[1, 512]).unwrap();
        decoder.check("a fixed one", &[7]).unwrap();
        for (input, shape, parts) in [
            (
                "input_ids",
                &[9, 1][..],
                "decoder.onnx: input_ids: wanted 1×1 to 8×512, for which its engine is built, got 9×1",
            ),
            ("input_ids", &[1, 513], "got 1×513"),
            ("input_ids", &[0, 1], "got 0×1"),
            ("input_ids", &[1], "got 1 "),
            ("logits_at", &[34], "logits_at: wanted 1 to 33"),
        ] {
            let error = decoder.check(input, shape).unwrap_err();
            assert_eq!(error.code(), crate::ErrorCode::Request);
            assert!(error.to_string().contains(parts), "{error}");
        }
        let error = vision.check("pixel_values", &[13, 3, 448, 448]).unwrap_err().to_string();
        assert!(error.contains("vision.onnx: pixel_values: wanted 1×3×448×448 to 12×3×448×448"), "{error}");
        assert!(error.contains("use the cuda provider"), "{error}");
    }
}
