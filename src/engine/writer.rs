//! Token ids to the reply's text and its parts.

use crate::answer::{Splitter, Tags, strip};
use crate::package::PromptTemplate;
use crate::request::{AskOptions, Event, Finish, Preprocessing, ReplyPart, TokenLogprob, TokenLogprobs};
use crate::sampler::Chosen;
use crate::stop::Spoken;
use crate::tokenizer::Tokenizer;

/// Writes a reply while its tokens arrive.
pub(super) struct ReplyWriter {
    spoken: Spoken,
    splitter: Splitter,
    /// A splitter for the text as a whole.
    whole: Splitter,
    stop: String,
    tagging: Tagging,
    mode: Preprocessing,
    ids: Vec<u32>,
    text: String,
    logprobs: Option<Vec<TokenLogprobs>>,
    /// Whether there was text of the thought, and of the answer.
    thought_began: bool,
    answer_began: bool,
    /// Tokens before the answer began.
    tokens_before_answer: usize,
}

/// Whether a reply has thought and answer in tags, or all of it is the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tagging {
    Tagged,
    Untagged,
}

/// A finished reply.
#[derive(Default)]
pub(super) struct WrittenReply {
    pub(super) ids: Vec<u32>,
    pub(super) text: String,
    pub(super) thought: Option<String>,
    pub(super) answer: String,
    pub(super) truncated: Option<ReplyPart>,
    pub(super) warnings: Vec<String>,
    pub(super) logprobs: Option<Vec<TokenLogprobs>>,
    /// Tokens of the thought, its tags included.
    pub(super) thinking_tokens: usize,
}

impl ReplyWriter {
    pub(super) fn new(prompt: &PromptTemplate, options: &AskOptions, tagging: Tagging) -> Self {
        let splitter = || match tagging {
            Tagging::Tagged => Splitter::new(Tags::from(prompt)),
            Tagging::Untagged => Splitter::untagged(Tags::from(prompt)),
        };
        Self {
            spoken: Spoken::new(&options.stop_strings),
            splitter: splitter(),
            whole: splitter(),
            stop: prompt.stop.clone(),
            tagging,
            mode: options.preprocessing,
            ids: Vec::new(),
            text: String::new(),
            logprobs: options.logprobs.map(|_| Vec::new()),
            thought_began: false,
            answer_began: false,
            tokens_before_answer: 0,
        }
    }

    /// Takes the next token and tells what text became complete with it.
    pub(super) fn push(
        &mut self,
        tokenizer: &Tokenizer,
        chosen: &Chosen,
        on_event: &mut dyn FnMut(Event<'_>),
    ) {
        self.ids.push(chosen.id);
        self.keep_logprobs(tokenizer, chosen);
        let text = self.spoken.push(tokenizer.bytes(chosen.id));
        self.say(&text, on_event);
        self.tokens_before_answer += usize::from(!self.answer_began);
    }

    fn keep_logprobs(&mut self, tokenizer: &Tokenizer, chosen: &Chosen) {
        let known = |id: u32, logprob: f32| TokenLogprob { id, bytes: tokenizer.bytes(id).to_vec(), logprob };
        if let (Some(all), Some(logprob)) = (&mut self.logprobs, chosen.logprob) {
            let top = chosen.top.iter().map(|&(id, logprob)| known(id, logprob)).collect();
            all.push(TokenLogprobs { chosen: known(chosen.id, logprob), top });
        }
    }

    fn say(&mut self, text: &str, on_event: &mut dyn FnMut(Event<'_>)) {
        let Self { splitter, thought_began, answer_began, .. } = self;
        splitter.push(text, |part, text| {
            match part {
                ReplyPart::Thought => *thought_began = true,
                ReplyPart::Answer => *answer_began = true,
            }
            on_event(Event::Text { part, text });
        });
        self.text += text;
    }

    /// Ends the reply. Its text is what stands before the stop string, without white space around it.
    pub(super) fn finish(mut self, finish: Finish, on_event: &mut dyn FnMut(Event<'_>)) -> WrittenReply {
        // The reference decodes half a character to U+FFFD, and knows no tags.
        let is_cut = finish != Finish::Stop && self.mode == Preprocessing::Clinical;
        let rest = if is_cut { self.spoken.cut() } else { self.spoken.finish() };
        self.say(&rest, on_event);
        let say = |part, text: &str| on_event(Event::Text { part, text });
        let _ = if is_cut { self.splitter.cut(say) } else { self.splitter.finish(say) };

        let before_stop = self.text.split(&self.stop).next().unwrap_or_default();
        let text = match self.tagging {
            Tagging::Tagged => strip(before_stop).to_owned(),
            // The form says what the text is, white space included.
            Tagging::Untagged => before_stop.to_owned(),
        };
        self.whole.push(&text, |_, _| ());
        let parts = if is_cut { self.whole.cut(|_, _| ()) } else { self.whole.finish(|_, _| ()) };
        let truncated = match finish {
            // A turn that the model ended itself is whole, unless it never came to an answer.
            Finish::Stop => parts.open.filter(|part| *part == ReplyPart::Thought),
            Finish::Length | Finish::Cancelled | Finish::TimedOut => parts.open,
        };
        let warnings = match (truncated, finish) {
            (Some(ReplyPart::Thought), Finish::Stop) if !self.spoken.is_stopped() => {
                vec!["the model ended its turn while still thinking".into()]
            }
            (Some(ReplyPart::Thought), _) => {
                vec!["the reply ended while the model was still thinking".into()]
            }
            _ => Vec::new(),
        };
        WrittenReply {
            ids: self.ids,
            text,
            thought: parts.thought,
            answer: parts.answer,
            truncated,
            warnings,
            logprobs: self.logprobs,
            thinking_tokens: if self.thought_began { self.tokens_before_answer } else { 0 },
        }
    }
}
