//! How tokens are chosen, and what is known of the choice.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::limits::{NumberOption, OptionName, Real, Subject, Whole};

/// How the next token is chosen from the logits.
///
/// The default is greedy: the likeliest token. The steps apply in the order of the fields, from `logit_bias` on to
/// `top_p`, as in vLLM. (Hugging Face's `generate` applies `min_p` last.)
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// Added to the logits of these ids, from −100 to 100.
    pub logit_bias: BTreeMap<u32, f32>,
    /// Above 1, tokens of the prompt and of the reply become less likely: their logit is divided by this if positive,
    /// else multiplied. 1 changes nothing.
    pub repetition_penalty: f32,
    /// Taken from the logit for each time that a token stands in the reply, from −2 to 2.
    pub frequency_penalty: f32,
    /// Taken from the logit of tokens that stand in the reply, from −2 to 2.
    pub presence_penalty: f32,
    /// Logits are divided by this. 0 is greedy and ignores the fields below.
    pub temperature: f32,
    /// Only tokens with at least this share of the likeliest token's probability.
    pub min_p: f32,
    /// Only this many of the likeliest tokens.
    pub top_k: Option<usize>,
    /// Only the fewest of the likeliest tokens that together have this probability.
    pub top_p: f32,
    /// Where the random numbers start; the same seed gives the same reply.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            logit_bias: BTreeMap::new(),
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            temperature: 0.0,
            min_p: 0.0,
            top_k: None,
            top_p: 1.0,
            seed: 0,
        }
    }
}

const fn option(name: &'static str) -> OptionName {
    Subject::Generation.option(name)
}

/// The options, with what they may be.
impl Sampling {
    pub(crate) const LOGIT_BIAS: NumberOption<Real> = option("logit_bias").within(Real::new(-100.0, 100.0));
    pub(crate) const REPETITION_PENALTY: NumberOption<Real> =
        option("repetition_penalty").within(Real::above(0.0, 100.0));
    pub(crate) const FREQUENCY_PENALTY: NumberOption<Real> =
        option("frequency_penalty").within(Real::new(-2.0, 2.0));
    pub(crate) const PRESENCE_PENALTY: NumberOption<Real> =
        option("presence_penalty").within(Real::new(-2.0, 2.0));
    pub(crate) const TEMPERATURE: NumberOption<Real> = option("temperature").within(Real::new(0.0, 100.0));
    pub(crate) const MIN_P: NumberOption<Real> = option("min_p").within(Real::new(0.0, 1.0));
    pub(crate) const TOP_K: NumberOption<Whole> = option("top_k").whole(1, u32::MAX as u64);
    pub(crate) const TOP_P: NumberOption<Real> = option("top_p").within(Real::above(0.0, 1.0));
    pub(crate) const SEED: NumberOption<Whole> = option("seed").whole(0, u64::MAX);

    /// Checks that every number is in its range.
    ///
    /// # Errors
    /// [`Error::Request`](crate::Error::Request) naming the first that is not.
    pub fn check(&self) -> Result<()> {
        Self::TEMPERATURE.check([self.temperature])?;
        Self::TOP_P.check([self.top_p])?;
        Self::MIN_P.check([self.min_p])?;
        Self::REPETITION_PENALTY.check([self.repetition_penalty])?;
        Self::PRESENCE_PENALTY.check([self.presence_penalty])?;
        Self::FREQUENCY_PENALTY.check([self.frequency_penalty])?;
        Self::LOGIT_BIAS.check(self.logit_bias.values().copied())?;
        Self::TOP_K.check(self.top_k)
    }
}

/// A token and its log-probability by the raw logits: before bias, penalties, temperature, truncation and constraint.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub id: u32,
    /// The bytes it stands for; they need not be whole characters, and are none for tokens that leave no text.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// A generated token, and the likeliest tokens at its position.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprobs {
    /// The token that was generated.
    pub chosen: TokenLogprob,
    /// The likeliest tokens, likeliest first.
    pub top: Vec<TokenLogprob>,
}
