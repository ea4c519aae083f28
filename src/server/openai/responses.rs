//! What a client of OpenAI's Responses gets.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::reply::{Head, Usage, facts};
use crate::package::Package;
use crate::request::{AskOptions, Finish, Reply};
use crate::server::fault::Fault;

/// What a response repeats of its request.
#[derive(Debug, Clone)]
pub(in crate::server) struct Echo {
    pub(in crate::server) instructions: Option<String>,
    pub(in crate::server) max_output_tokens: Value,
    pub(in crate::server) temperature: f32,
    pub(in crate::server) top_p: f32,
    pub(in crate::server) effort: Option<String>,
    /// What the answer must look like.
    pub(in crate::server) format: Value,
    pub(in crate::server) metadata: Value,
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
        "text": {"format": echo.format},
        "tool_choice": "auto",
        "tools": [],
        "top_p": echo.top_p,
        "truncation": "disabled",
        "metadata": echo.metadata,
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

/// A response that could not be answered.
pub(in crate::server) fn failed(head: &Head, echo: &Echo, fault: &Fault) -> Value {
    let mut response = begun(head, echo);
    // Of the words that the protocol has for it, the others are about pictures.
    let code =
        if fault.status == StatusCode::TOO_MANY_REQUESTS { "rate_limit_exceeded" } else { "server_error" };
    response["status"] = "failed".into();
    response["error"] = json!({"code": code, "message": fault.facts.to_string()});
    response["fleming"] = json!(fault.body());
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
