//! OpenAI's Responses, without a memory on the server.

use axum::Json;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::fails::AskingFails;
use crate::request::{Reply, ReplyPart};
use crate::server::answering::{Answering, answer};
use crate::server::asking::{Beside, Call};
use crate::server::fault::Fault;
use crate::server::openai::responses::{
    Echo, begun, ended, failed, item_id, message, output_text, reasoning,
};
use crate::server::openai::{ChatBody, ResponsesBody, parse, renamed};
use crate::server::stream::Telling;

/// Answers a question in OpenAI's other protocol. Nothing is stored.
#[utoipa::path(
    post,
    path = "/v1/responses",
    request_body = ResponsesBody,
    responses(
        (status = 200, description = "The response; with `stream: true` its events", body = Object),
        AskingFails,
    ),
)]
pub(super) async fn respond(call: Call) -> Result<Response, Fault> {
    let telling = |answering, echo: &Echo| Events {
        answering,
        echo: echo.clone(),
        number: 0,
        open: None,
        output: 0,
        begun: false,
    };
    answer(call, chat, "resp_", telling).await
}

fn chat(body: &[u8]) -> Result<(ChatBody, Echo), Fault> {
    let body: ResponsesBody = parse(body)?;
    let echo = body.echo();
    Ok((body.into_chat()?, echo))
}

impl Beside for Echo {
    fn renamed(&self, fault: Fault) -> Fault {
        renamed(fault, self)
    }
}

/// The events of a streamed response.
struct Events {
    answering: Answering,
    echo: Echo,
    /// Of the next event.
    number: u64,
    /// The item that is being written, and its text so far.
    open: Option<(ReplyPart, String)>,
    /// Items that were ended.
    output: usize,
    begun: bool,
}

impl Events {
    fn event(&mut self, kind: &str, mut fields: Value) -> Event {
        fields["type"] = kind.into();
        fields["sequence_number"] = self.number.into();
        self.number += 1;
        Event::default().event(kind).data(fields.to_string())
    }

    /// A response that has ended.
    fn response(&self, reply: &Reply) -> Value {
        let Answering { engine, head, options, .. } = &self.answering;
        ended(head, &self.echo, reply, options, engine.package())
    }

    /// The first events, once.
    fn begin(&mut self) -> Vec<Event> {
        if std::mem::replace(&mut self.begun, true) {
            return Vec::new();
        }
        let response = begun(&self.answering.head, &self.echo);
        ["response.created", "response.in_progress"]
            .map(|kind| self.event(kind, json!({"response": response})))
            .into()
    }

    /// Where an event belongs.
    fn place(&self, part: ReplyPart) -> Value {
        let prefix = if part == ReplyPart::Thought { "rs_" } else { "msg_" };
        json!({"item_id": item_id(&self.answering.head, prefix), "output_index": self.output, "content_index": 0})
    }

    fn with(&self, part: ReplyPart, name: &str, value: Value) -> Value {
        let mut fields = self.place(part);
        fields[name] = value;
        fields
    }

    fn item(&self, part: ReplyPart, text: &str, status: &str) -> Value {
        let mut item = match part {
            ReplyPart::Thought => reasoning(&self.answering.head, text, status),
            ReplyPart::Answer => message(&self.answering.head, text, status),
        };
        if status == "in_progress" {
            item["content"] = json!([]);
        }
        json!({"output_index": self.output, "item": item})
    }

    fn open(&mut self, part: ReplyPart) -> Vec<Event> {
        let item = self.item(part, "", "in_progress");
        let mut events = vec![self.event("response.output_item.added", item)];
        let content = content_part(part, "");
        let fields = self.with(part, "part", content);
        events.push(self.event("response.content_part.added", fields));
        self.open = Some((part, String::new()));
        events
    }

    fn close(&mut self, status: &str) -> Vec<Event> {
        let Some((part, text)) = self.open.take() else { return Vec::new() };
        let kind = format!("response.{}.done", stem(part));
        let mut fields = self.with(part, "text", text.as_str().into());
        if part == ReplyPart::Answer {
            fields["logprobs"] = json!([]);
        }
        let mut events = vec![self.event(&kind, fields)];
        let fields = self.with(part, "part", content_part(part, &text));
        events.push(self.event("response.content_part.done", fields));
        let item = self.item(part, &text, status);
        events.push(self.event("response.output_item.done", item));
        self.output += 1;
        events
    }
}

fn stem(part: ReplyPart) -> &'static str {
    match part {
        ReplyPart::Thought => "reasoning_text",
        ReplyPart::Answer => "output_text",
    }
}

fn content_part(part: ReplyPart, text: &str) -> Value {
    match part {
        ReplyPart::Thought => json!({"type": "reasoning_text", "text": text}),
        ReplyPart::Answer => output_text(text),
    }
}

impl Telling for Events {
    fn whole(&self, replies: &[Reply]) -> Response {
        Json(replies.first().map(|reply| self.response(reply))).into_response()
    }

    fn progress(&mut self, _stage: &str, _done: usize, _total: usize) -> Vec<Event> {
        self.begin()
    }

    fn text(&mut self, _index: usize, part: ReplyPart, text: String) -> Vec<Event> {
        let mut events = self.begin();
        if self.open.as_ref().is_none_or(|(open, _)| *open != part) {
            events.extend(self.close("completed"));
            events.extend(self.open(part));
        }
        if let Some((_, said)) = &mut self.open {
            said.push_str(&text);
        }
        let mut fields = self.with(part, "delta", text.into());
        if part == ReplyPart::Answer {
            fields["logprobs"] = json!([]);
        }
        events.push(self.event(&format!("response.{}.delta", stem(part)), fields));
        events
    }

    fn ended(&mut self, _index: usize, reply: Reply) -> Vec<Event> {
        let mut events = self.begin();
        let response = self.response(&reply);
        let status = if response["status"] == "completed" { "completed" } else { "incomplete" };
        events.extend(self.close(status));
        events.push(self.event(&format!("response.{status}"), json!({"response": response})));
        events
    }

    fn closed(&mut self) -> Vec<Event> {
        Vec::new()
    }

    fn failed(&mut self, fault: &Fault) -> Vec<Event> {
        let mut events = self.begin();
        let response = failed(&self.answering.head, &self.echo, &self.echo.renamed(fault.clone()));
        events.push(self.event("response.failed", json!({"response": response})));
        events
    }
}
