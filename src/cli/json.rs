//! Replies and failures as JSON.

use std::time::Duration;

use fleming::{
    FrameUsed, Modality, Provenance, Reply, ReplyPart, Timings, TokenLogprob, TokenLogprobs, Usage,
};
use serde_json::{Value, json};

/// A reply and where it came from.
pub(super) struct Report<'a> {
    pub(super) reply: &'a Reply,
    /// Time to load the package.
    pub(super) load: Duration,
    /// Name of the package.
    pub(super) name: &'a str,
    /// Digest of the package.
    pub(super) digest: &'a str,
}

impl Report<'_> {
    /// The object that `--json` prints.
    pub(super) fn to_json(&self) -> Value {
        let mut object = reply(self.reply);
        object["timings_ms"] = self.timings();
        object["package"] = self.package();
        object
    }

    pub(super) fn timings(&self) -> Value {
        let mut object = timings(&self.reply.timings);
        let load = self.load.as_secs_f64() * 1e3;
        object["load"] = load.into();
        object["total"] = (load + object["total"].as_f64().unwrap_or_default()).into();
        object
    }

    pub(super) fn usage(&self) -> Value {
        usage(&self.reply.usage)
    }

    pub(super) fn package(&self) -> Value {
        json!({"name": self.name, "digest": self.digest})
    }
}

/// A reply by itself.
pub(super) fn reply(reply: &Reply) -> Value {
    let mut object = json!({
        "answer": reply.answer,
        "thought": reply.thought,
        "text": reply.text,
        "finish": reply.finish.name(),
        "truncated": reply.truncated.map(part),
        "completion_ids": reply.completion_ids,
        "usage": usage(&reply.usage),
        "frames": reply.frames.iter().map(frame).collect::<Vec<_>>(),
        "timings_ms": timings(&reply.timings),
        "warnings": reply.warnings,
    });
    if let Some(all) = &reply.logprobs {
        object["logprobs"] = all.iter().map(logprobs).collect();
    }
    object
}

/// A failure with its four facts. What is not the library's own, such as a full disk, has only a message.
pub(super) fn error(error: &anyhow::Error) -> Value {
    let message = format!("{error:#}");
    match error.downcast_ref::<fleming::Error>() {
        Some(error) => {
            let facts = error.facts();
            json!({
                "code": format!("{:?}", error.code()).to_lowercase(),
                "thing": facts.thing,
                "wanted": facts.wanted,
                "got": facts.got,
                "hint": facts.hint,
                "message": message,
            })
        }
        None => json!({"code": "other", "message": message}),
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "image_tokens": usage.image_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "drafted_tokens": usage.drafted_tokens,
        "accepted_tokens": usage.accepted_tokens,
    })
}

fn timings(timings: &Timings) -> Value {
    let Timings { read, preprocess, queue, vision, prefill, first_token, decode } = *timings;
    json!({
        "read": read,
        "preprocess": preprocess,
        "queue": queue,
        "vision": vision,
        "prefill": prefill,
        "first_token": first_token,
        "decode": decode,
        "total": read + preprocess + vision + prefill + decode,
    })
}

fn part(part: ReplyPart) -> &'static str {
    match part {
        ReplyPart::Thought => "thinking",
        ReplyPart::Answer => "answer",
    }
}

fn logprobs(token: &TokenLogprobs) -> Value {
    let mut object = logprob(&token.chosen);
    object["top"] = token.top.iter().map(logprob).collect();
    object
}

fn logprob(token: &TokenLogprob) -> Value {
    json!({"id": token.id, "text": String::from_utf8_lossy(&token.bytes), "logprob": token.logprob})
}

pub(super) fn frame(frame: &FrameUsed) -> Value {
    let mut object = json!({"source": frame.source, "study": frame.study, "tiles": frame.tiles});
    let Provenance { index, seconds, window, spacing_mm, axis, position_mm, part, .. } = &frame.provenance;
    let place = if frame.provenance.modality == Modality::Volume { "slice_index" } else { "frame_index" };
    let facts = [
        (place, index.map(Value::from)),
        ("time", seconds.map(Value::from)),
        ("window", window.map(|window| json!(window))),
        ("spacing_mm", spacing_mm.map(|spacing| json!(spacing))),
        ("axis", axis.map(Value::from)),
        ("position_mm", position_mm.map(Value::from)),
        ("part", part.as_deref().map(Value::from)),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            object[name] = fact;
        }
    }
    object
}
