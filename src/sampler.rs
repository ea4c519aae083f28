//! Logits to the next token: pure, and the same for the same seed.

mod mask;
mod candidates;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

use crate::decoder::{Best, Scores};
use crate::error::{Error, Result};
use crate::request::Sampling;
use candidates::{Candidate, likelier};
pub(crate) use mask::Mask;

/// A token and what the raw logits thought of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) id: u32,
    /// Its log-probability; none unless log-probabilities were asked for.
    pub(crate) logprob: Option<f32>,
    /// The likeliest ids and their log-probabilities, likeliest first.
    pub(crate) top: Vec<(u32, f32)>,
    /// How far behind the next likeliest logit was, bias, penalties and mask included. Infinite where nothing was
    /// compared: the token was drawn or given, or the only one.
    pub(crate) margin: f32,
}

/// Chooses the tokens of one reply.
///
/// From the logits of a step to its token, in this order, which is vLLM's:
///
/// 1. log-probabilities are taken, from the logits as the model gave them;
/// 2. the mask of a constraint: what it forbids takes no further part;
/// 3. logit bias;
/// 4. the repetition penalty (prompt and reply, as in Hugging Face's), then frequency and presence (reply only);
/// 5. at temperature 0 the largest logit wins, the lowest id among equals. Else:
/// 6. division by the temperature; 7. min-p; 8. top-k; 9. top-p, of what is left;
/// 10. one random number picks from what remains, each with its share of the probability.
///
/// Each choice takes one random number and a given token none, so that a reply does not depend on how its steps were
/// batched or guessed ahead.
#[derive(Clone)]
pub(crate) struct Sampler {
    sampling: Sampling,
    logprobs: Option<usize>,
    random: Pcg64,
    prompt: BTreeSet<u32>,
    /// How often each token stands in the reply.
    reply: BTreeMap<u32, u32>,
    /// The logits with bias and penalties; kept to spare the allocation.
    adjusted: Vec<f32>,
}

impl Sampler {
    /// A sampler for the reply to this prompt. `logprobs` asks for log-probabilities and that many of the likeliest.
    ///
    /// # Errors
    /// [`Error::Request`] for numbers out of range and for a bias on an id that the vocabulary lacks.
    pub(crate) fn new(
        sampling: &Sampling,
        logprobs: Option<usize>,
        prompt: &[i64],
        vocabulary: usize,
    ) -> Result<Self> {
        sampling.check()?;
        if let Some(id) = sampling.logit_bias.keys().find(|id| **id as usize >= vocabulary) {
            return Err(Error::request("logit-bias", format!("ids below {vocabulary}"), id)
                .hint("name a token of this vocabulary"));
        }
        Ok(Self {
            logprobs,
            random: Pcg64::seed_from_u64(sampling.seed),
            prompt: prompt.iter().filter_map(|&id| u32::try_from(id).ok()).collect(),
            reply: BTreeMap::new(),
            adjusted: Vec::new(),
            sampling: sampling.clone(),
        })
    }

    /// The sampler of the n-th reply to the same prompt: its random numbers start at the seed plus n.
    pub(crate) fn nth(&self, number: u64) -> Self {
        let seed = self.sampling.seed.wrapping_add(number);
        Self { random: Pcg64::seed_from_u64(seed), ..self.clone() }
    }

    /// The next token. It counts for the penalties only once it was [taken](Self::take).
    ///
    /// # Errors
    /// [`Error::Runtime`] if a logit is NaN or infinite: the numbers of the model overflowed; or if the mask allows no
    /// token.
    pub(crate) fn choose(&mut self, scores: &(impl Scores + ?Sized), mask: Option<&Mask>) -> Result<Chosen> {
        let greedy = self.sampling.temperature == 0.0;
        let plain = self.sampling.logit_bias.is_empty() && !self.penalises();
        if greedy
            && plain
            && mask.is_none()
            && let Some(Best { id, margin }) = self.best(scores)?
        {
            return Ok(Chosen { id, logprob: None, top: Vec::new(), margin });
        }
        let logits = scores.logits()?;
        check_finite(logits)?;
        if !plain {
            self.adjust(logits);
        }
        let logits_used = if plain { logits } else { &self.adjusted };
        let chosen = match greedy {
            true => candidates::largest(logits_used, mask),
            false => {
                // 53 bits: every multiple of 2⁻⁵³ in 0..1
                let uniform = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                candidates::draw(logits_used, mask, &self.sampling, uniform).map(|id| (id, f32::INFINITY))
            }
        };
        let (id, margin) =
            chosen.ok_or_else(|| Error::runtime("constraint", "a token that it allows", "none").report())?;
        Ok(Chosen { margin, ..self.report(id, logits) })
    }

    /// A token that is not chosen but given, with its log-probability. It takes no random number.
    pub(crate) fn given(&self, id: u32, scores: &(impl Scores + ?Sized)) -> Result<Chosen> {
        if self.best(scores)?.is_some() {
            return Ok(Chosen { id, logprob: None, top: Vec::new(), margin: f32::INFINITY });
        }
        let logits = scores.logits()?;
        check_finite(logits)?;
        Ok(self.report(id, logits))
    }

    /// The likeliest token without a look at all logits, where it is known and nothing else is asked of them.
    fn best(&self, scores: &(impl Scores + ?Sized)) -> Result<Option<Best>> {
        match self.logprobs {
            None => scores.best(),
            Some(_) => Ok(None),
        }
    }

    /// Counts a token as part of the reply.
    pub(crate) fn take(&mut self, id: u32) {
        *self.reply.entry(id).or_default() += 1;
    }

    fn penalises(&self) -> bool {
        let Sampling { repetition_penalty, frequency_penalty, presence_penalty, .. } = self.sampling;
        repetition_penalty != 1.0 || frequency_penalty != 0.0 || presence_penalty != 0.0
    }

    /// Bias and penalties.
    fn adjust(&mut self, logits: &[f32]) {
        let Self { sampling, adjusted, .. } = self;
        adjusted.clear();
        adjusted.extend_from_slice(logits);
        for (&id, bias) in &sampling.logit_bias {
            adjusted[id as usize] += bias;
        }
        if sampling.repetition_penalty != 1.0 {
            let seen = self.prompt.iter().chain(self.reply.keys().filter(|id| !self.prompt.contains(id)));
            for &id in seen {
                if let Some(logit) = adjusted.get_mut(id as usize) {
                    let penalty = sampling.repetition_penalty;
                    *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
                }
            }
        }
        for (&id, &count) in &self.reply {
            if let Some(logit) = adjusted.get_mut(id as usize) {
                *logit -= count as f32 * sampling.frequency_penalty + sampling.presence_penalty;
            }
        }
    }

    fn report(&self, id: u32, logits: &[f32]) -> Chosen {
        let Some(count) = self.logprobs else {
            return Chosen { id, logprob: None, top: Vec::new(), margin: f32::INFINITY };
        };
        let normaliser = log_sum_exp(logits);
        let logprob = |id: u32| (f64::from(logits[id as usize]) - normaliser) as f32;
        let mut all: Vec<Candidate> = candidates::all(logits, None).collect();
        candidates::keep_likeliest(&mut all, count);
        all.sort_unstable_by(likelier);
        let top = all.iter().map(|candidate| (candidate.id, logprob(candidate.id))).collect();
        Chosen { id, logprob: Some(logprob(id)), top, margin: f32::INFINITY }
    }
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).sum();
    largest + sum.ln()
}

fn check_finite(logits: &[f32]) -> Result<()> {
    // All of them before any: a search that may end early looks at one after the other.
    if logits.iter().fold(true, |finite, logit| finite & logit.is_finite()) {
        return Ok(());
    }
    match logits.iter().position(|logit| !logit.is_finite()) {
        None => Ok(()),
        Some(id) => {
            let got = format!("{} for token {id}", logits[id]);
            Err(Error::runtime("decoder logits", "finite numbers", got)
                .hint("this precision overflows: export with --precision bf16, or int8 and int4 with --activations bf16"))
        }
    }
}
