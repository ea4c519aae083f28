//! What a client of OpenAI's Responses gets.

use serde_json::{Value, json};

use super::reply::{Head, Usage, facts};
use crate::package::Package;
use crate::request::{AskOptions, Finish, Reply};

/// What a response repeats of its request.
#[derive(Debug, Clone)]
pub(in crate::server) struct Echo {
    pub(in crate::server) instructions: Option<String>,
    pub(in crate::server) max_output_tokens: Value,
    pub(in crate::server) temperature: f32,
    pub(in crate::server) top_p: f32,
    pub(in crate::server) effort: Option<String>,
}

/// A response that has not ended.
pub(in crate::server) fn begun(head: &Head, echo: &Echo) -> Value {
    json!({
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": echo.instructions,
        "max_output_tokens": echo.max_output_tokens,
        "model": head.model,
        "output": [],
        "parallel_tool_calls": false,
        "previous_response_id": null,
        "reasoning": {"effort": echo.effort, "summary": null},
        "store": false,
        "temperature": echo.temperature,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": echo.top_p,
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": {},
    })
}

/// A response that has ended.
pub(in crate::server) fn ended(
    head: &Head,
    echo: &Echo,
    reply: &Reply,
    options: &AskOptions,
    package: &Package,
) -> Value {
    let mut response = begun(head, echo);
    let is_whole = reply.finish == Finish::Stop;
    response["status"] = if is_whole { "completed" } else { "incomplete" }.into();
    if !is_whole {
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    }
    let status = if is_whole { "completed" } else { "incomplete" };
    let thought = reply.thought.as_ref().map(|thought| reasoning(head, thought, status));
    let is_answered = is_whole || !reply.answer.is_empty();
    let answer = is_answered.then(|| message(head, &reply.answer, status));
    response["output"] = thought.into_iter().chain(answer).collect();
    response["usage"] = Usage::of(std::slice::from_ref(reply)).of_response();
    response["fleming"] = facts(reply, options, package);
    response
}

/// The thought, as an item.
pub(in crate::server) fn reasoning(head: &Head, thought: &str, status: &str) -> Value {
    json!({
        "id": item_id(head, "rs_"),
        "type": "reasoning",
        "status": status,
        "summary": [],
        "content": [{"type": "reasoning_text", "text": thought}],
    })
}

/// The answer, as an item.
pub(in crate::server) fn message(head: &Head, answer: &str, status: &str) -> Value {
    json!({
        "id": item_id(head, "msg_"),
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [output_text(answer)],
    })
}

pub(in crate::server) fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// The id of an item: a response has one of each kind.
pub(in crate::server) fn item_id(head: &Head, prefix: &str) -> String {
    format!("{prefix}{}", head.id.trim_start_matches("resp_"))
}
