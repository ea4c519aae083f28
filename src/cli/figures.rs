//! The figures of `fleming bench`: what each is called, where the report has it, and which way is faster.

use serde_json::Value;

/// Which way a figure is better.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Better {
    Higher,
    Lower,
}

/// A number of a report, or of one of its rows.
pub(super) struct Figure {
    pub(super) name: &'static str,
    /// Where the number is, from the field on.
    path: &'static [&'static str],
    /// Absent from a size that is neither fast nor slow.
    pub(super) better: Option<Better>,
    /// What one unit of the table is in the report.
    unit: f64,
}

impl Figure {
    const fn new(name: &'static str, path: &'static [&'static str], better: Option<Better>) -> Self {
        Self { name, path, better, unit: 1.0 }
    }

    const fn unit(self, unit: f64) -> Self {
        Self { unit, ..self }
    }

    /// The field of the row.
    pub(super) fn field(&self) -> &'static str {
        self.path.first().copied().unwrap_or_default()
    }

    /// The number, if there is one.
    pub(super) fn of(&self, row: &Value) -> Option<f64> {
        self.path.iter().fold(row, |value, field| &value[field]).as_f64()
    }

    /// A number as the table has it.
    pub(super) fn shown(&self, number: f64) -> f64 {
        number / self.unit
    }

    /// How much better now than in the kept run: above 1 if it is better, whichever way that is.
    pub(super) fn ratio(&self, now: f64, kept: f64) -> Option<f64> {
        let ratio = match self.better? {
            Better::Higher => now / kept,
            Better::Lower => kept / now,
        };
        (now > 0.0 && kept > 0.0).then_some(ratio)
    }
}

const HIGHER: Option<Better> = Some(Better::Higher);
const LOWER: Option<Better> = Some(Better::Lower);

/// What a run has once.
pub(super) const RUN: [Figure; 4] = [
    Figure::new("loading, ms", &["load_ms"], LOWER),
    Figure::new("first token, ms", &["first_token", "ms"], LOWER),
    Figure::new("memory once loaded, MiB", &["loaded_memory_bytes"], LOWER).unit(MIB),
    Figure::new("most memory, MiB", &["peak_memory_bytes"], LOWER).unit(MIB),
];

/// What each number of streams has, as medians.
pub(super) const STAGES: [Figure; 8] = [
    Figure::new("vision, ms a tile", &["vision_ms_per_tile", "median"], LOWER),
    Figure::new("prefill, tokens/s", &["prefill_tokens_per_s", "median"], HIGHER),
    Figure::new("decoding, tokens/s a stream", &["decode_tokens_per_s", "median"], HIGHER),
    Figure::new("decoding, tokens/s in all", &["total_decode_tokens_per_s", "median"], HIGHER),
    Figure::new("time to first token, ms", &["ttft_ms", "median"], LOWER),
    Figure::new("round, ms", &["wall_ms", "median"], LOWER),
    Figure::new("prompt, tokens", &["prompt_tokens", "median"], None),
    Figure::new("of them cached", &["cached_tokens", "median"], None),
];

/// What each question has.
pub(super) const ANSWERS: [Figure; 2] = [
    Figure::new("time to first token, ms", &["ttft_ms"], LOWER),
    Figure::new("decoding, tokens/s", &["decode_tokens_per_s"], HIGHER),
];

/// Of all streams.
pub(super) const OVERHEAD: Figure =
    Figure::new("outside ONNX Runtime, % of a step", &["overhead"], LOWER).unit(0.01);

/// Of all streams, or of a question.
pub(super) const GUESSES: Figure =
    Figure::new("what guessing ahead gains", &["speculation", "gain", "decode_ratio", "median"], HIGHER);

const MIB: f64 = 1_048_576.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_above_one_is_better_either_way() {
        let [faster, slower] = [STAGES[1].ratio(30.0, 20.0), STAGES[1].ratio(20.0, 40.0)];
        assert_eq!((faster, slower), (Some(1.5), Some(0.5)));
        let [faster, slower] = [STAGES[0].ratio(20.0, 30.0), STAGES[0].ratio(40.0, 20.0)];
        assert_eq!((faster, slower), (Some(1.5), Some(0.5)));
        assert_eq!(
            (STAGES[6].ratio(1.0, 1.0), STAGES[0].ratio(0.0, 1.0), OVERHEAD.ratio(1.0, 0.0)),
            (None, None, None)
        );
    }
}
