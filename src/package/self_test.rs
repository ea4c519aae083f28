//! Questions with the answers that the exporter got, for `self_test.rs` to ask again.

use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};

/// A few fixed questions about drawn pictures, and what each stage made of them where the package was exported.
#[derive(Debug, Clone, Deserialize)]
pub struct SelfTest {
    /// Of the format and of the drawing.
    pub(crate) version: u64,
    pub(crate) cases: Vec<TestCase>,
    pub(crate) runs: Vec<TestRun>,
}

/// A question, and what must be the same everywhere.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TestCase {
    pub name: String,
    pub question: String,
    pub instruction: TestInstruction,
    /// Width and height of each.
    pub pictures: Vec<[u32; 2]>,
    /// SHA-256 of the prompt's ids as 32-bit numbers, little-endian, in lower-case hex.
    pub ids_sha256: String,
    /// SHA-256 of the normalised pixels; nothing without pictures.
    pub pixels_sha256: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TestInstruction {
    Direct,
    Reasoning,
}

/// The answers of one implementation to all cases.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TestRun {
    /// Name and version of what ran.
    pub by: String,
    /// Of the weights that it ran with.
    pub precision: String,
    pub answers: Vec<TestAnswer>,
}

/// One answer, stage by stage.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TestAnswer {
    /// Nothing without pictures.
    pub embeddings: Option<RecordedTensor>,
    /// Before the first token.
    pub logits: RecordedTensor,
    /// The likeliest, one after the other.
    pub tokens: Vec<u32>,
    /// By how much the logit of each was above the next.
    pub margins: Vec<f64>,
}

/// Statistics of a tensor, and a few of its values.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RecordedTensor {
    /// Values in all.
    pub count: usize,
    pub mean: f64,
    /// From the mean, the square root of the mean square.
    pub deviation: f64,
    /// The largest absolute value.
    pub largest: f64,
    /// The n-th of `values` stands at n × `stride`, counted round and round.
    pub stride: usize,
    pub values: Vec<f64>,
    /// Places and values of the largest, where they matter.
    #[serde(default)]
    pub top: Vec<(usize, f64)>,
}

impl SelfTest {
    /// The version of the format that this code knows, and draws the pictures of.
    pub(crate) const VERSION: u64 = 1;
}

impl RecordedTensor {
    /// The values on record, each with its place.
    pub(crate) fn recorded(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let spread = self.values.iter().enumerate().map(|(n, &value)| (n * self.stride % self.count, value));
        spread.chain(self.top.iter().copied())
    }
}

/// Sides of a picture, tokens of an answer, values of a tensor: more is no self-test.
const MOST: [usize; 3] = [4096, 64, 4096];

/// Refuses a self-test that contradicts itself or asks for work without bounds. One of another version is left alone.
pub(super) fn check(path: &Path, test: &SelfTest) -> Result<()> {
    if test.version != SelfTest::VERSION {
        return Ok(());
    }
    let complain = |wanted: String, got: String| {
        Err(Error::package(format!("{}: self_test", path.display()), wanted, got)
            .hint("`python -m fleming_export self-test` makes it anew"))
    };
    let [sides, tokens, values] = MOST;
    let mut all_sides = test.cases.iter().flat_map(|case| &case.pictures).flatten();
    if let Some(side) = all_sides.find(|&&side| side == 0 || side as usize > sides) {
        return complain(format!("pictures of 1 to {sides} pixels a side"), side.to_string());
    }
    for run in &test.runs {
        if run.answers.len() != test.cases.len() {
            return complain(
                format!("{} answers by {}", test.cases.len(), run.by),
                run.answers.len().to_string(),
            );
        }
        for answer in &run.answers {
            let [made, margins] = [answer.tokens.len(), answer.margins.len()];
            if made == 0 || made > tokens || margins != made {
                return complain(
                    format!("1 to {tokens} tokens, each with a margin"),
                    format!("{made}, {margins}"),
                );
            }
            for tensor in answer.embeddings.iter().chain([&answer.logits]) {
                let sound = tensor.count > 0
                    && tensor.values.len().max(tensor.top.len()) <= values
                    && tensor.stride <= tensor.count
                    && tensor.top.iter().all(|(place, _)| *place < tensor.count);
                if !sound {
                    let (listed, top) = (tensor.values.len(), tensor.top.len());
                    return complain(
                        "values that lie in their tensor".into(),
                        format!(
                            "{listed} values and {top} top ones of {}, stride {}",
                            tensor.count, tensor.stride
                        ),
                    );
                }
            }
        }
    }
    Ok(())
}
