//! A reply as JSON.

use std::time::Duration;

use fleming::{FrameUsed, Part, Provenance, Reply, Timings, TokenLogprob, TokenLogprobs};
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
        let reply = self.reply;
        let mut object = json!({
            "answer": reply.answer,
            "thought": reply.thought,
            "text": reply.text,
            "finish": reply.finish.name(),
            "truncated": reply.truncated.map(part),
            "completion_ids": reply.completion_ids,
            "usage": self.usage(),
            "frames": reply.frames.iter().map(frame).collect::<Vec<_>>(),
            "timings_ms": self.timings(),
            "warnings": reply.warnings,
            "package": self.package(),
        });
        if let Some(all) = &reply.logprobs {
            object["logprobs"] = all.iter().map(logprobs).collect();
        }
        object
    }

    pub(super) fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.reply.usage.prompt_tokens,
            "image_tokens": self.reply.usage.image_tokens,
            "completion_tokens": self.reply.usage.completion_tokens,
        })
    }

    pub(super) fn timings(&self) -> Value {
        let Timings { read, preprocess, vision, prefill, decode } = self.reply.timings;
        let load = self.load.as_secs_f64() * 1e3;
        json!({
            "load": load,
            "read": read,
            "preprocess": preprocess,
            "vision": vision,
            "prefill": prefill,
            "decode": decode,
            "total": load + read + preprocess + vision + prefill + decode,
        })
    }

    pub(super) fn package(&self) -> Value {
        json!({"name": self.name, "digest": self.digest})
    }
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Thought => "thinking",
        Part::Answer => "answer",
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

fn frame(frame: &FrameUsed) -> Value {
    let mut object = json!({"source": frame.source, "tiles": frame.tiles});
    match frame.provenance {
        Provenance::Video { index, seconds } => {
            object["frame_index"] = index.into();
            object["time"] = seconds.into();
        }
        Provenance::Volume { index, window } => {
            object["slice_index"] = index.into();
            object["window"] = json!(window);
        }
        _ => {}
    }
    object
}
