//! Chooses the next token of a reply: sampling, the limit on its thought and the constraint on its answer.

mod progress;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use crate::answer::{State, Tags};
use crate::constraint::{Grammars, Matcher};
use crate::decoder::Scores;
use crate::draft;
use crate::error::Result;
use crate::package::PromptTemplate;
use crate::request::{AskOptions, Instruction};
use crate::sampler::{Chosen, Sampler};
use crate::tokenizer::Tokenizer;
use progress::{Beyond, Progress};

/// The parts of an engine that guides use.
#[derive(Clone, Copy)]
pub(crate) struct GuideContext<'a> {
    pub(crate) prompt: &'a PromptTemplate,
    /// How many logits there are.
    pub(crate) vocabulary: usize,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) grammars: &'a Grammars,
}

/// Chooses the tokens of one reply, one after the other. It owns the reply's state, so equal logits give equal tokens from
/// any kernel.
#[derive(Clone)]
pub(crate) struct Guide {
    sampler: Sampler,
    progress: Progress,
    thinking: Thinking,
    constraint: Option<Constrained>,
    /// Ids that come next, regardless of the logits.
    forced: VecDeque<u32>,
}

/// The limit on the thought.
#[derive(Clone)]
struct Thinking {
    /// Whether the instruction asks for the tags. If so, everything before the end of the thought or the start of the answer
    /// is thought, with or without an opening tag.
    asked: Asked,
    limit: Option<usize>,
    /// Tokens of thought so far.
    tokens: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Yes,
    No,
}

/// A constraint and where it is.
#[derive(Clone)]
struct Constrained {
    matcher: Matcher,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The answer's opening tag has not come yet.
    Before,
    /// In an answer that stands in tags; the closing tag is part of the grammar.
    Inside,
    /// In a reply that is nothing but the answer.
    Everywhere,
}

impl Guide {
    /// The guide of the reply to `prompt`.
    ///
    /// # Errors
    /// [`Error::Request`](crate::Error::Request) for options that cannot be met, a constraint that does not compile
    /// among them.
    pub(crate) fn new(
        parts: GuideContext<'_>,
        instruction: &Instruction,
        options: &AskOptions,
        prompt: &[i64],
    ) -> Result<Self> {
        options.check()?;
        let tags = Tags::from(parts.prompt);
        let text = parts.prompt.instruction(instruction).unwrap_or_default();
        let asked = if text.contains(&tags.answer[0]) { Asked::Yes } else { Asked::No };
        let (place, closing) = match asked {
            Asked::Yes => (Place::Before, Some(tags.answer[1].as_str())),
            Asked::No => (Place::Everywhere, None),
        };
        let compile = |constraint| parts.grammars.compile(parts.tokenizer, constraint, closing);
        let matcher = options.constraint.as_ref().map(compile).transpose()?;
        Ok(Self {
            sampler: Sampler::new(&options.sampling, options.logprobs, prompt, parts.vocabulary)?,
            progress: Progress::new(tags),
            thinking: Thinking { asked, limit: options.max_thinking_tokens, tokens: 0 },
            constraint: matcher.map(|matcher| Constrained { matcher, place }),
            forced: VecDeque::new(),
        })
    }

    /// The guide of the n-th reply to the same prompt, from 0; its random numbers start at the seed plus n. Call it before this
    /// guide has chosen a token.
    pub(crate) fn nth(&self, number: u64) -> Self {
        Self { sampler: self.sampler.nth(number), ..self.clone() }
    }

    /// Whether the reply is nothing but an answer, so that tags in it are text.
    pub(crate) fn is_untagged(&self) -> bool {
        self.constraint.as_ref().is_some_and(|constraint| constraint.place == Place::Everywhere)
    }

    /// Chooses the next token and adds it to the reply. If the runner-up is within `doubt`, returns None and changes nothing:
    /// logits with an error of half of `doubt` cannot decide between the two.
    ///
    /// # Errors
    /// [`Error::Runtime`](crate::Error::Runtime) for logits that are NaN or infinite,
    /// [`Error::Request`](crate::Error::Request) for a constraint that grew beyond its limits.
    pub(crate) fn choose(
        &mut self,
        tokenizer: &Tokenizer,
        scores: &(impl Scores + ?Sized),
        doubt: Option<f32>,
    ) -> Result<Option<Chosen>> {
        let forced = self.forced.clone();
        if self.forced.is_empty() && self.has_thought_enough() {
            self.open_answer(tokenizer)?;
        }
        let chosen = match self.forced.front() {
            Some(&id) => self.sampler.given(id, scores)?,
            None => self.choose_freely(tokenizer, scores)?,
        };
        if doubt.is_some_and(|doubt| chosen.margin <= doubt) {
            self.forced = forced;
            return Ok(None);
        }
        self.take(tokenizer, chosen.id)?;
        Ok(Some(chosen))
    }

    /// Up to `most` tokens that are likely or certain to come next, to be verified in one run by [`choose`](Self::choose) for
    /// each of them in turn. `history` holds the prompt and the reply so far.
    pub(crate) fn draft(&self, history: &[u32], most: usize) -> Vec<u32> {
        match self.forced.is_empty() {
            true => draft::draft(history, most),
            false => self.forced.iter().take(most).copied().collect(),
        }
    }

    fn is_thinking(&self) -> bool {
        match self.progress.state() {
            State::Open => self.thinking.asked == Asked::Yes,
            State::Thinking => !self.is_untagged(),
            _ => false,
        }
    }

    fn has_thought_enough(&self) -> bool {
        let spent = self.thinking.limit.is_some_and(|limit| self.thinking.tokens >= limit);
        spent && self.is_thinking() && self.progress.is_between_characters()
    }

    fn open_answer(&mut self, tokenizer: &Tokenizer) -> Result<()> {
        self.forced = tokenizer.encode(&self.progress.opening())?.into();
        Ok(())
    }

    fn choose_freely(&mut self, tokenizer: &Tokenizer, scores: &(impl Scores + ?Sized)) -> Result<Chosen> {
        let Self { sampler, progress, constraint, .. } = self;
        let Some(Constrained { matcher, place }) = constraint else {
            return sampler.choose(scores, None);
        };
        if *place != Place::Before {
            return choose_within(matcher, sampler, scores, |id| {
                // The closing tag as text inside the answer would end it for every reader.
                *place == Place::Inside && progress.after(tokenizer.bytes(id)).0 == State::Answered
            });
        }
        let chosen = sampler.choose(scores, None)?;
        // No turn ends without an answer, and no token holds the answer's first letters, which the grammar would miss.
        let oversteps = match progress.after(tokenizer.bytes(chosen.id)) {
            (State::Answering, beyond) => beyond == Beyond::Yes,
            (state, _) => state == State::Answered,
        };
        if chosen.id != tokenizer.eos() && !oversteps {
            return Ok(chosen);
        }
        self.open_answer(tokenizer)?;
        match self.forced.front() {
            // Whether the answer is opened now depended on the choice.
            Some(&id) => Ok(Chosen { margin: chosen.margin, ..self.sampler.given(id, scores)? }),
            None => Ok(chosen),
        }
    }

    fn take(&mut self, tokenizer: &Tokenizer, id: u32) -> Result<()> {
        let was_forced = self.forced.pop_front().is_some();
        self.sampler.take(id);
        if !was_forced && self.is_thinking() {
            self.thinking.tokens += 1;
        }
        self.progress.push(tokenizer.bytes(id));
        let Some(Constrained { matcher, place }) = &mut self.constraint else {
            return Ok(());
        };
        match (*place, self.progress.state()) {
            (Place::Before, State::Answering) => *place = Place::Inside,
            (Place::Before, State::Thought) if self.forced.is_empty() => self.open_answer(tokenizer)?,
            (Place::Before, _) => {}
            _ if id == tokenizer.eos() => {}
            _ => {
                matcher.take(id)?;
                if matcher.is_complete() {
                    self.forced.push_back(tokenizer.eos());
                }
            }
        }
        Ok(())
    }
}

/// A token that the constraint allows. A token for which `closes` is true must complete the answer.
fn choose_within(
    matcher: &mut Matcher,
    sampler: &mut Sampler,
    scores: &(impl Scores + ?Sized),
    closes: impl Fn(u32) -> bool,
) -> Result<Chosen> {
    let mut mask = matcher.mask()?;
    loop {
        let chosen = sampler.choose(scores, Some(&mask))?;
        if !closes(chosen.id) || matcher.completes(chosen.id)? {
            return Ok(chosen);
        }
        mask.forbid(chosen.id);
    }
}
