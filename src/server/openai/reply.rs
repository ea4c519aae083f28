//! What a client gets: a reply at once, or its chunks.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::package::Package;
use crate::request::{AskOptions, Finish, Reply, ReplyPart, TokenLogprob, TokenLogprobs};
use crate::wire;

/// What all parts of an answer have in common.
#[derive(Debug, Clone)]
pub(in crate::server) struct Head {
    pub(in crate::server) id: String,
    /// Seconds since 1970.
    pub(in crate::server) created: u64,
    pub(in crate::server) model: String,
    /// Names the package.
    pub(in crate::server) fingerprint: String,
}

/// A reply at once.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct ChatCompletion {
    id: String,
    /// `chat.completion`
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    model: String,
    system_fingerprint: String,
    choices: Vec<Choice>,
    usage: Usage,
    /// What the model saw, warnings, times and the package.
    #[schema(value_type = Object)]
    fleming: Value,
}

/// One answer.
#[derive(Debug, Serialize, ToSchema)]
struct Choice {
    index: usize,
    message: AnswerMessage,
    logprobs: Option<Logprobs>,
    /// `stop` or `length`
    finish_reason: &'static str,
    /// How it ended, in our words.
    #[schema(value_type = Object)]
    fleming: Value,
}

/// An answer and its thought.
#[derive(Debug, Serialize, ToSchema)]
struct AnswerMessage {
    role: &'static str,
    /// The answer; null if the reply ended in the thought.
    content: Option<String>,
    refusal: Option<String>,
    /// The thought.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    /// The same under its other name.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
}

/// A piece of a stream.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Chunk {
    id: String,
    /// `chat.completion.chunk`
    object: &'static str,
    created: u64,
    model: String,
    system_fingerprint: String,
    choices: Vec<ChunkChoice>,
    usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    fleming: Option<Value>,
}

/// A piece of one answer.
#[derive(Debug, Serialize, ToSchema)]
struct ChunkChoice {
    index: usize,
    delta: Delta,
    logprobs: Option<Logprobs>,
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    fleming: Option<Value>,
}

/// What is new of an answer.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
}

/// Tokens used.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

/// Tokens of the prompt.
#[derive(Debug, Serialize, ToSchema)]
struct PromptDetails {
    /// Whose keys and values were in memory.
    cached_tokens: usize,
    /// That carry image embeddings.
    image_tokens: usize,
    audio_tokens: usize,
}

/// Tokens of the answers.
#[derive(Debug, Serialize, ToSchema)]
struct CompletionDetails {
    /// Of the thoughts.
    reasoning_tokens: usize,
    /// Guessed ahead, and right.
    accepted_prediction_tokens: usize,
    /// Guessed ahead, and wrong.
    rejected_prediction_tokens: usize,
    audio_tokens: usize,
}

/// Log-probabilities of the tokens of a reply, thought included.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Logprobs {
    content: Vec<TokenEntry>,
    #[schema(value_type = Option<Vec<Object>>)]
    refusal: Option<()>,
}

/// A token.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TokenEntry {
    token: String,
    logprob: f32,
    bytes: Option<Vec<u8>>,
    top_logprobs: Vec<TopEntry>,
}

/// One of the likeliest tokens at a place.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TopEntry {
    token: String,
    logprob: f32,
    bytes: Option<Vec<u8>>,
}

impl ChatCompletion {
    pub(in crate::server) fn new(
        head: Head,
        replies: &[Reply],
        options: &AskOptions,
        package: &Package,
    ) -> Self {
        let Head { id, created, model, fingerprint } = head;
        Self {
            id,
            object: "chat.completion",
            created,
            model,
            system_fingerprint: fingerprint,
            choices: replies
                .iter()
                .enumerate()
                .map(|(index, reply)| Choice::new(index, reply, options))
                .collect(),
            usage: Usage::of(replies),
            fleming: replies.first().map_or(Value::Null, |reply| facts(reply, options, package)),
        }
    }
}

impl Choice {
    fn new(index: usize, reply: &Reply, options: &AskOptions) -> Self {
        // An answer that never began is none; one that is held to a form may be empty.
        let never_began = reply.answer.is_empty() && reply.truncated == Some(ReplyPart::Thought);
        Self {
            index,
            message: AnswerMessage {
                role: "assistant",
                content: (!never_began).then(|| reply.answer.clone()),
                refusal: None,
                reasoning_content: reply.thought.clone(),
                reasoning: reply.thought.clone(),
            },
            logprobs: Logprobs::of(reply),
            finish_reason: finish_reason(reply.finish),
            fleming: ending(reply, options),
        }
    }
}

impl Chunk {
    fn new(head: &Head, choices: Vec<ChunkChoice>) -> Self {
        let Head { id, created, model, fingerprint } = head.clone();
        let object = "chat.completion.chunk";
        Self {
            id,
            object,
            created,
            model,
            system_fingerprint: fingerprint,
            choices,
            usage: None,
            fleming: None,
        }
    }

    fn of(head: &Head, index: usize, delta: Delta) -> Self {
        Self::new(
            head,
            vec![ChunkChoice { index, delta, logprobs: None, finish_reason: None, fleming: None }],
        )
    }

    /// The first of an answer.
    pub(in crate::server) fn role(head: &Head, index: usize) -> Self {
        let delta = Delta { role: Some("assistant"), content: Some(String::new()), ..Delta::default() };
        Self::of(head, index, delta)
    }

    /// The next text of an answer or of its thought.
    pub(in crate::server) fn text(head: &Head, index: usize, part: ReplyPart, text: String) -> Self {
        Self::of(
            head,
            index,
            match part {
                ReplyPart::Answer => Delta { content: Some(text), ..Delta::default() },
                ReplyPart::Thought => {
                    Delta { reasoning_content: Some(text.clone()), reasoning: Some(text), ..Delta::default() }
                }
            },
        )
    }

    /// The last of an answer.
    pub(in crate::server) fn end(
        head: &Head,
        index: usize,
        reply: &Reply,
        options: &AskOptions,
        package: &Package,
    ) -> Self {
        let mut chunk = Self::of(head, index, Delta::default());
        if let Some(choice) = chunk.choices.first_mut() {
            choice.finish_reason = Some(finish_reason(reply.finish));
            choice.logprobs = Logprobs::of(reply);
            choice.fleming = Some(ending(reply, options));
        }
        chunk.fleming = Some(facts(reply, options, package));
        chunk
    }

    /// The tokens of all answers.
    pub(in crate::server) fn usage(head: &Head, replies: &[Reply]) -> Self {
        let mut chunk = Self::new(head, Vec::new());
        chunk.usage = Some(Usage::of(replies));
        chunk
    }

    /// How far the work is.
    pub(in crate::server) fn progress(head: &Head, stage: &str, done: usize, total: usize) -> Self {
        let mut chunk = Self::new(head, Vec::new());
        chunk.fleming = Some(json!({"progress": {"stage": stage, "done": done, "total": total}}));
        chunk
    }
}

impl Usage {
    pub(in crate::server) fn of(replies: &[Reply]) -> Self {
        let sum = |count: fn(&Reply) -> usize| replies.iter().map(count).sum::<usize>();
        let first = replies.first().map(|reply| reply.usage).unwrap_or_default();
        let completion_tokens = sum(|reply| reply.usage.completion_tokens);
        let accepted = sum(|reply| reply.usage.accepted_tokens);
        Self {
            prompt_tokens: first.prompt_tokens,
            completion_tokens,
            total_tokens: first.prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails {
                cached_tokens: first.cached_tokens,
                image_tokens: first.image_tokens,
                audio_tokens: 0,
            },
            completion_tokens_details: CompletionDetails {
                reasoning_tokens: sum(|reply| reply.usage.thinking_tokens),
                accepted_prediction_tokens: accepted,
                rejected_prediction_tokens: sum(|reply| reply.usage.drafted_tokens).saturating_sub(accepted),
                audio_tokens: 0,
            },
        }
    }
}

impl Usage {
    /// The same, as the Responses protocol names it.
    pub(super) fn of_response(&self) -> Value {
        json!({
            "input_tokens": self.prompt_tokens,
            "input_tokens_details": {"cached_tokens": self.prompt_tokens_details.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": self.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": self.completion_tokens_details.reasoning_tokens},
            "total_tokens": self.total_tokens,
        })
    }
}

impl Logprobs {
    fn of(reply: &Reply) -> Option<Self> {
        let entry = |token: &TokenLogprobs| TokenEntry {
            token: text(&token.chosen),
            logprob: token.chosen.logprob,
            bytes: Some(token.chosen.bytes.clone()),
            top_logprobs: token.top.iter().map(TopEntry::of).collect(),
        };
        let all = reply.logprobs.as_ref()?;
        Some(Self { content: all.iter().map(entry).collect(), refusal: None })
    }
}

impl TopEntry {
    fn of(token: &TokenLogprob) -> Self {
        Self { token: text(token), logprob: token.logprob, bytes: Some(token.bytes.clone()) }
    }
}

fn text(token: &TokenLogprob) -> String {
    String::from_utf8_lossy(&token.bytes).into_owned()
}

/// How an answer ended, in OpenAI's words. Only a whole answer is `stop`: half a JSON must not be read.
fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length | Finish::Cancelled | Finish::TimedOut => "length",
    }
}

/// How an answer ended, in our words.
fn ending(reply: &Reply, options: &AskOptions) -> Value {
    let whole = wire::reply(reply);
    let mut object = json!({"finish": whole["finish"], "truncated": whole["truncated"]});
    if let Some(form) = wire::form(reply, options) {
        object["form"] = form.into();
    }
    object
}

/// What we know of a reply beside OpenAI's fields.
pub(super) fn facts(reply: &Reply, options: &AskOptions, package: &Package) -> Value {
    let mut whole = wire::reply(reply);
    let mut object = ending(reply, options);
    for field in ["frames", "warnings", "timings_ms"] {
        object[field] = whole[field].take();
    }
    object["package"] = wire::package(package);
    object
}
