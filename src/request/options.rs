//! How a request is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::constraint::Constraint;
use super::sampling::Sampling;
use crate::error::{Error, Result};
use crate::limits::{NumberOption, OptionName, Real, Subject, Whole};
use crate::study::Preprocessing;
use crate::watch::{Cancel, Watch};

/// When generation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StopRule {
    /// At the end-of-turn token or at the length limit.
    #[default]
    EndOfTurn,
    /// Only at the length limit: for measuring and comparing.
    LengthOnly,
}

/// What is kept of the way from input to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tracing {
    /// Nothing.
    #[default]
    Off,
    /// The pictures that the model saw, in [`Reply::pixels`].
    Pixels,
    /// The tensors of every stage, in [`Reply::trace`].
    Tensors,
}

/// How to answer.
#[derive(Debug, Clone, Default)]
pub struct AskOptions {
    /// Most tokens to generate, the end-of-turn token included; the package's default if absent.
    pub max_new_tokens: Option<usize>,
    /// When to stop.
    pub stop: StopRule,
    /// Texts that end the reply where they first occur in it, thought and tags included. They are not part of the reply.
    pub stop_strings: Vec<String>,
    /// How each token is chosen.
    pub sampling: Sampling,
    /// What the answer must look like; the thought before it stays free.
    pub constraint: Option<Constraint>,
    /// Most tokens of thought; then the thought is closed and the answer opened.
    pub max_thinking_tokens: Option<usize>,
    /// Report the log-probability of each token, and of this many likeliest tokens at the same position.
    pub logprobs: Option<usize>,
    /// Most tokens to guess ahead, 1 to 32, from what was written before, and to verify in one run: for replies that repeat
    /// the prompt or themselves. A greedy reply of an f32 package is the same with it.
    pub speculation: Option<usize>,
    /// How many answers to make from one prefill; one if absent. The n-th is sampled with the seed plus n.
    pub answers: Option<usize>,
    /// How faithfully the reference's input handling is followed.
    pub preprocessing: Preprocessing,
    /// Most tiles a single image is cut into; absent or 1 means none, as in the reference script.
    pub max_tiles: Option<usize>,
    /// What to keep for inspection.
    pub tracing: Tracing,
    /// Whose request it is, as any bytes. Memory of one scope is never reused for another, nor between a request with a scope
    /// and one without. So neither `cached_tokens` nor the times of a reply reveal what others asked.
    pub scope: Option<Arc<[u8]>>,
    /// Stops the answer from elsewhere.
    pub cancel: Cancel,
    /// Most time from submission to the end of the answer, reading included. The reply then holds the text so far.
    pub timeout: Option<Duration>,
}

const fn option(name: &'static str) -> OptionName {
    Subject::Generation.option(name)
}

/// The options, with what they may be.
impl AskOptions {
    /// Tokens; what the context has no room for is not generated.
    pub(crate) const MAX_NEW_TOKENS: NumberOption<Whole> = option("max_new_tokens").whole(1, u32::MAX as u64);
    pub(crate) const IGNORE_EOS: OptionName = option("ignore_eos");
    pub(crate) const STOP: OptionName = option("stop");
    const STOP_STRINGS: Whole = Whole::new(0, 64);
    pub(crate) const MAX_THINKING_TOKENS: NumberOption<Whole> =
        option("max_thinking_tokens").whole(0, u32::MAX as u64);
    pub(crate) const LOGPROBS: NumberOption<Whole> = option("logprobs").whole(0, 20);
    pub(crate) const SPECULATION: NumberOption<Whole> = option("speculation").whole(1, 32);
    pub(crate) const ANSWERS: NumberOption<Whole> = option("answers").whole(1, 128);
    pub(crate) const MAX_TILES: NumberOption<Whole> = option("max_tiles").whole(1, 256);
    /// Seconds, from some text or file: at most some 30 years. A duration that a program sets has no bound.
    pub(crate) const TIMEOUT: NumberOption<Real> = option("timeout").within(Real::above(0.0, 1e9));
}

impl AskOptions {
    /// What ends work for these options early: the caller's switch, and the deadline of what began at `since`.
    pub(crate) fn watch(&self, since: Instant) -> Watch {
        let watch = Watch::default().switch(&self.cancel);
        match self.timeout.and_then(|timeout| since.checked_add(timeout)) {
            Some(deadline) => watch.deadline(deadline),
            None => watch,
        }
    }

    /// Checks every option on its own and that they do not contradict one another.
    ///
    /// # Errors
    /// [`Error::Request`] naming the first that cannot be met.
    pub fn check(&self) -> Result<()> {
        self.sampling.check()?;
        self.constraint.as_ref().map_or(Ok(()), Constraint::check)?;
        Self::MAX_NEW_TOKENS.check(self.max_new_tokens)?;
        Self::MAX_THINKING_TOKENS.check(self.max_thinking_tokens)?;
        Self::MAX_TILES.check(self.max_tiles)?;
        Self::LOGPROBS.check(self.logprobs)?;
        Self::SPECULATION.check(self.speculation)?;
        Self::ANSWERS.check(self.answers)?;
        Self::STOP_STRINGS.check("stop texts", self.stop_strings.len())?;
        if self.stop_strings.iter().any(String::is_empty) {
            return Err(
                Error::request(Self::STOP, "a text", "an empty one").hint("write it out, or leave it out")
            );
        }
        if self.stop == StopRule::LengthOnly && (self.constraint.is_some() || !self.stop_strings.is_empty()) {
            let name = if self.constraint.is_some() { "a constraint" } else { "a stop string" };
            return Err(Error::request(Self::IGNORE_EOS, "a reply that only its length ends", name)
                .hint("leave one of them out"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Row<'a> = (&'a str, fn(&mut AskOptions));

    #[test]
    fn what_is_out_of_range_is_named() {
        let table: [Row; 24] = [
            ("temperature", |o| o.sampling.temperature = f32::NAN),
            ("temperature", |o| o.sampling.temperature = -0.1),
            ("temperature", |o| o.sampling.temperature = f32::INFINITY),
            ("top-p", |o| o.sampling.top_p = 0.0),
            ("top-p", |o| o.sampling.top_p = 1.1),
            ("top-p", |o| o.sampling.top_p = f32::NAN),
            ("min-p", |o| o.sampling.min_p = -0.1),
            ("min-p", |o| o.sampling.min_p = f32::NAN),
            ("top-k", |o| o.sampling.top_k = Some(0)),
            ("repetition-penalty", |o| o.sampling.repetition_penalty = 0.0),
            ("repetition-penalty", |o| o.sampling.repetition_penalty = f32::NAN),
            ("presence-penalty", |o| o.sampling.presence_penalty = 2.1),
            ("frequency-penalty", |o| o.sampling.frequency_penalty = f32::NEG_INFINITY),
            ("logit-bias", |o| o.sampling.logit_bias = BTreeMap::from([(0, f32::NAN)])),
            ("logit-bias", |o| o.sampling.logit_bias = BTreeMap::from([(0, 101.0)])),
            ("logprobs", |o| o.logprobs = Some(21)),
            ("speculation", |o| o.speculation = Some(0)),
            ("answers", |o| o.answers = Some(0)),
            ("stop", |o| o.stop_strings = vec![String::new()]),
            ("stop texts", |o| o.stop_strings = vec!["a".into(); 65]),
            ("max-new-tokens", |o| o.max_new_tokens = Some(0)),
            ("max-tiles", |o| o.max_tiles = Some(257)),
            ("ignore-eos", |o| {
                o.stop = StopRule::LengthOnly;
                o.stop_strings = vec!["a".into()];
            }),
            ("ignore-eos", |o| {
                o.stop = StopRule::LengthOnly;
                o.constraint = Some(Constraint::Regex("a".into()));
            }),
        ];
        for (name, spoil) in table {
            let mut options = AskOptions::default();
            options.check().unwrap();
            spoil(&mut options);
            let error = options.check().unwrap_err();
            assert_eq!((error.code(), error.facts().thing.as_str()), (crate::ErrorCode::Request, name));
        }
    }
}
