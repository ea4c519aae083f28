//! Chat completions, and how long their prompts would be.

use axum::Json;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::fails::AskingFails;
use crate::request::{AskOptions, Reply, ReplyPart};
use crate::server::answering::{Answering, answer};
use crate::server::asking::{Call, Received};
use crate::server::fault::Fault;
use crate::server::openai::{ChatBody, ChatCompletion, Chunk, parse, with_param};
use crate::server::stream::{Telling, event};
use crate::server::work::cancellable;

/// Answers a question, at once or in chunks.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    request_body = ChatBody,
    responses(
        (
            status = 200,
            description = "The answer; with `stream: true` its chunks as server-sent events",
            content((ChatCompletion = "application/json"), (Chunk = "text/event-stream")),
        ),
        AskingFails,
    ),
)]
pub(super) async fn complete(call: Call) -> Result<Response, Fault> {
    let telling = |answering, (): &()| Chunks { answering, began: Vec::new(), replies: Vec::new() };
    answer(call, chat, "chatcmpl-", telling).await
}

/// The body is a chat, and nothing beside.
///
/// # Errors
/// Those of [`parse`].
pub(super) fn chat(body: &[u8]) -> Result<(ChatBody, ()), Fault> {
    Ok((parse(body)?, ()))
}

/// Counts the tokens of a question's prompt. The model does not run.
#[utoipa::path(
    post,
    path = "/v1/chat/completions/input_tokens",
    request_body = ChatBody,
    responses(
        (status = 200, description = "The number of tokens, and whether they fit", body = Object),
        AskingFails,
    ),
)]
pub(super) async fn input_tokens(mut call: Call) -> Result<Json<Value>, Fault> {
    let Received { asked, room, .. } = call.received(chat).await?;
    let loaded = call.app.ready()?;
    call.app.known(asked.model.as_deref())?;
    let engine = loaded.engine.clone();
    let count = cancellable(move |cancel| {
        let _room = room;
        let options = AskOptions { cancel, ..asked.options };
        engine.count_tokens(&asked.request, &options).map_err(with_param)
    })
    .await?;
    Ok(Json(json!({
        "object": "response.input_tokens",
        "input_tokens": count.prompt_tokens,
        "fleming": {
            "image_tokens": count.image_tokens,
            "frames": count.frames,
            "context": count.context,
            "fits": count.fits(),
        },
    })))
}

/// The chunks of OpenAI's streams.
struct Chunks {
    answering: Answering,
    /// The answers of which the first chunk was sent.
    began: Vec<usize>,
    replies: Vec<(usize, Reply)>,
}

impl Chunks {
    /// The first chunk of an answer, if it was not sent yet.
    fn begin(&mut self, index: usize) -> Vec<Event> {
        if self.began.contains(&index) {
            return Vec::new();
        }
        self.began.push(index);
        vec![event(&Chunk::role(&self.answering.head, index))]
    }
}

impl Telling for Chunks {
    fn whole(&self, replies: &[Reply]) -> Response {
        let Answering { engine, head, options, .. } = &self.answering;
        Json(ChatCompletion::new(head.clone(), replies, options, engine.package())).into_response()
    }

    fn progress(&mut self, stage: &str, done: usize, total: usize) -> Vec<Event> {
        match self.answering.form.progress {
            true => vec![event(&Chunk::progress(&self.answering.head, stage, done, total))],
            false => Vec::new(),
        }
    }

    fn text(&mut self, index: usize, part: ReplyPart, text: String) -> Vec<Event> {
        let mut events = self.begin(index);
        events.push(event(&Chunk::text(&self.answering.head, index, part, text)));
        events
    }

    fn ended(&mut self, index: usize, reply: Reply) -> Vec<Event> {
        let mut events = self.begin(index);
        let Answering { engine, head, options, .. } = &self.answering;
        events.push(event(&Chunk::end(head, index, &reply, options, engine.package())));
        self.replies.push((index, reply));
        events
    }

    fn closed(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.answering.form.usage {
            self.replies.sort_by_key(|(index, _)| *index);
            let replies: Vec<_> = self.replies.drain(..).map(|(_, reply)| reply).collect();
            events.push(event(&Chunk::usage(&self.answering.head, &replies)));
        }
        events.push(Event::default().data("[DONE]"));
        events
    }

    fn failed(&mut self, fault: &Fault) -> Vec<Event> {
        vec![event(&fault.body())]
    }
}
