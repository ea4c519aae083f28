//! The times of replies to requests that are asked at once.

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use crate::engine::{Counts, Engine};
use crate::error::Result;
use crate::frame::{Frame, Modality, Study};
use crate::request::{AskOptions, Event, Reply, Request, StudyInput};

/// One reply with its times.
#[derive(Debug)]
pub struct Sample {
    reply: Reply,
    /// From being asked to the logits of the first token.
    first_token_ms: f64,
    /// While steps were made, in seconds from the start of the round.
    decoding: [f64; 2],
}

/// Replies to requests that were asked at the same moment.
#[derive(Debug)]
pub struct Round {
    samples: Vec<Sample>,
    wall_s: f64,
}

/// Asks all of these at once and waits for all replies.
///
/// # Errors
/// The first of those of [`Engine::ask`].
pub fn round(engine: &Engine, requests: &[Request], options: &AskOptions) -> Result<Round> {
    let started = Instant::now();
    let samples = thread::scope(|scope| {
        let asked: Vec<_> = requests
            .iter()
            .map(|request| scope.spawn(move || sample(engine, request, options, started)))
            .collect();
        asked
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(Round { samples, wall_s: started.elapsed().as_secs_f64() })
}

fn sample(engine: &Engine, request: &Request, options: &AskOptions, started: Instant) -> Result<Sample> {
    let mut first = 0.0;
    let reply = engine.ask(request, options, &mut |event| {
        if matches!(event, Event::Prefilling { done, total } if done == total) {
            first = started.elapsed().as_secs_f64();
        }
    })?;
    // The events are delivered in time, but the end is taken from the engine's own clock.
    let decoding = [first, first + reply.timings.decode / 1e3];
    Ok(Sample { reply, first_token_ms: first * 1e3, decoding })
}

impl Sample {
    /// Tokens of the prompt that are no picture's.
    pub fn text_tokens(&self) -> usize {
        self.reply.usage.prompt_tokens - self.reply.usage.image_tokens
    }

    fn tiles(&self) -> usize {
        self.reply.frames.iter().map(|frame| frame.tiles).sum()
    }

    fn prefill_tokens(&self) -> usize {
        self.reply.usage.prompt_tokens - self.reply.usage.cached_tokens
    }

    /// Tokens that a step made; the first comes from the prefill.
    fn steps(&self) -> usize {
        self.reply.usage.completion_tokens.saturating_sub(1)
    }

    fn decode_tokens_per_s(&self) -> Option<f64> {
        rate(self.steps(), self.reply.timings.decode / 1e3)
    }

    /// The row of `--questions`.
    pub fn to_json(&self) -> Value {
        json!({
            "ttft_ms": self.first_token_ms,
            "vision_ms": self.reply.timings.vision,
            "prefill_ms": self.reply.timings.prefill,
            "prompt_tokens": self.reply.usage.prompt_tokens,
            "prefill_tokens": self.prefill_tokens(),
            "cached_tokens": self.reply.usage.cached_tokens,
            "new_tokens": self.reply.usage.completion_tokens,
            "decode_tokens_per_s": self.decode_tokens_per_s(),
        })
    }
}

impl Round {
    /// The reply to the first request.
    pub fn first(&self) -> Option<&Sample> {
        self.samples.first()
    }
}

/// A square picture of noise, the same for the same seed.
///
/// # Errors
/// Those of [`Frame::rgb`].
pub fn noise(size: u32, seed: u64) -> Result<StudyInput> {
    // Knuth's linear congruential generator; its high bits are random enough for a picture.
    let mut state = seed;
    let samples = (0..size * size * 3).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let frame = Frame::rgb(size, size, samples.collect())?;
    let (modality, source) = (Modality::Image, "noise".to_owned());
    Ok(StudyInput::Frames(Study { modality, source, frames: vec![frame], warnings: Vec::new() }))
}

/// What guessing ahead gained: rounds without it, each with the same round with it.
pub fn gain(pairs: &[(Round, Round)]) -> Value {
    let ratio = |(without, with): &(Round, Round)| Some(total_decode(with)? / total_decode(without)?);
    let ids =
        |round: &Round| -> Vec<_> { round.samples.iter().map(|s| s.reply.completion_ids.clone()).collect() };
    let sum = |count: &dyn Fn(&Sample) -> usize| -> usize {
        pairs.iter().flat_map(|(_, with)| &with.samples).map(count).sum()
    };
    json!({
        "decode_ratio": spread(pairs.iter().filter_map(ratio).collect()),
        "drafted_tokens": sum(&|sample| sample.reply.usage.drafted_tokens),
        "accepted_tokens": sum(&|sample| sample.reply.usage.accepted_tokens),
        "same_replies": pairs.iter().all(|(without, with)| ids(without) == ids(with)),
    })
}

/// The share of the time of plain steps that ONNX Runtime did not take; null if there were none.
pub fn overhead(before: &Counts, after: &Counts) -> Value {
    let took = (after.step_time - before.step_time).as_secs_f64();
    let ran = (after.step_run_time - before.step_run_time).as_secs_f64();
    if took > 0.0 { (1.0 - ran / took).into() } else { Value::Null }
}

/// Medians and spread of rounds with the same number of streams.
pub fn summary(rounds: &[&Round]) -> Value {
    let samples = || rounds.iter().flat_map(|round| &round.samples);
    let of_samples = |value: &dyn Fn(&Sample) -> Option<f64>| spread(samples().filter_map(value).collect());
    let of_rounds = |value: &dyn Fn(&Round) -> Option<f64>| {
        spread(rounds.iter().filter_map(|round| value(round)).collect())
    };
    let vision = |sample: &Sample| match sample.tiles() {
        0 => None,
        tiles => Some(sample.reply.timings.vision / tiles as f64),
    };
    json!({
        "vision_ms_per_tile": of_samples(&vision),
        "prefill_tokens_per_s": of_samples(&|s| rate(s.prefill_tokens(), s.reply.timings.prefill / 1e3)),
        "decode_tokens_per_s": of_samples(&Sample::decode_tokens_per_s),
        "ttft_ms": of_samples(&|sample| Some(sample.first_token_ms)),
        "total_decode_tokens_per_s": of_rounds(&total_decode),
        "wall_ms": of_rounds(&|round| Some(round.wall_s * 1e3)),
        "prompt_tokens": of_samples(&|sample| Some(sample.reply.usage.prompt_tokens as f64)),
        "cached_tokens": of_samples(&|sample| Some(sample.reply.usage.cached_tokens as f64)),
    })
}

/// Tokens of all streams over the time in which at least one of them was making steps.
fn total_decode(round: &Round) -> Option<f64> {
    let mut intervals: Vec<_> = round.samples.iter().map(|sample| sample.decoding).collect();
    intervals.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut end = f64::NEG_INFINITY;
    let mut seconds = 0.0;
    for [from, to] in intervals {
        seconds += (to - from.max(end)).max(0.0);
        end = end.max(to);
    }
    rate(round.samples.iter().map(Sample::steps).sum(), seconds)
}

fn rate(count: usize, seconds: f64) -> Option<f64> {
    (count > 0 && seconds > 0.0).then(|| count as f64 / seconds)
}

/// Median and extremes; null where nothing was measured.
fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    match (values.first(), values.last()) {
        (Some(min), Some(max)) => json!({"median": median(&values), "min": min, "max": max}),
        _ => Value::Null,
    }
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[half],
        _ => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_measurements() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), json!({"median": 2.0, "min": 1.0, "max": 3.0}));
        assert_eq!(spread(vec![4.0, 1.0])["median"], 2.5);
        assert_eq!(spread(Vec::new()), Value::Null);
    }
}
