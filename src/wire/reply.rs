//! Replies as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::frame::{Modality, Provenance};
use crate::package::Package;
use crate::request::{AskOptions, FrameUsed, Reply, ReplyPart, Timings, TokenLogprob, TokenLogprobs, Usage};
use crate::view::{Plane, VolumeView};

/// A reply, where it came from and how long its engine took to load.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The reply.
    pub reply: &'a Reply,
    /// What gave it.
    pub package: &'a Package,
    /// Time to load the package.
    pub load: Duration,
}

impl Report<'_> {
    /// The fields of [`reply`], with `package`, and with the time to load among the times.
    pub fn to_json(&self) -> Value {
        let mut object = reply(self.reply);
        object["timings_ms"] = self.timings();
        object["package"] = package(self.package);
        object
    }

    /// The times of the reply, `load` included.
    pub fn timings(&self) -> Value {
        let mut object = timings(&self.reply.timings);
        let load = self.load.as_secs_f64() * 1e3;
        object["load"] = load.into();
        object["total"] = (load + object["total"].as_f64().unwrap_or_default()).into();
        object
    }
}

/// A package: `name` and `digest`.
pub fn package(package: &Package) -> Value {
    json!({"name": package.manifest().name, "digest": package.digest()})
}

/// A reply by itself: `answer`, `thought`, `text`, `finish`, `truncated`, `completion_ids`, `usage`, `frames`, `timings_ms`,
/// `warnings`, and `logprobs` where they were asked for.
pub fn reply(reply: &Reply) -> Value {
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

/// The word for an answer that was cut off before it had the form that was asked for.
pub const FORM_CUT_OFF: &str = "cut-off";

/// Whether an answer has the form that it was held to, `kept` or `cut-off`; none if it was held to none.
pub fn form(reply: &Reply, options: &AskOptions) -> Option<&'static str> {
    options.constraint.as_ref()?;
    Some(if reply.truncated.is_some() { FORM_CUT_OFF } else { "kept" })
}

/// Tokens spent.
pub fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "image_tokens": usage.image_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "thinking_tokens": usage.thinking_tokens,
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

/// A frame that the model saw, with all that its reader knew of it.
pub fn frame(frame: &FrameUsed) -> Value {
    let mut object = json!({"source": frame.source, "study": frame.study, "tiles": frame.tiles});
    let Provenance { modality, index, seconds, window, spacing_mm, axis, position_mm, slices, view, part } =
        &frame.provenance;
    let place = if *modality == Modality::Volume { "slice_index" } else { "frame_index" };
    let facts = [
        (place, index.map(Value::from)),
        ("time", seconds.map(Value::from)),
        ("window", window.map(|window| json!(window))),
        ("spacing_mm", spacing_mm.map(|spacing| json!(spacing))),
        ("axis", axis.map(Value::from)),
        ("position_mm", position_mm.map(Value::from)),
        ("slices", slices.map(|slices| json!(slices))),
        ("view", view.as_deref().map(volume_view)),
        ("part", part.as_deref().map(Value::from)),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            object[name] = fact;
        }
    }
    object
}

/// How a volume in patient space was looked at.
pub fn volume_view(view: &VolumeView) -> Value {
    let VolumeView { form, plane, slices, covered, range, range_from, slab, crop, .. } = view;
    json!({
        "form": form.name(),
        "plane": plane.map(Plane::name),
        "slices": slices,
        "covered": covered,
        "range": range,
        "range_from": range_from,
        "slab": slab.name(),
        "crop": crop,
    })
}
