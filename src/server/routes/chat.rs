//! Chat completions, and how long their prompts would be.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use super::fails::AskingFails;
use super::models::known;
use crate::engine::Engine;
use crate::request::{AskOptions, Reply, ReplyPart};
use crate::server::asking::{From, Received, received};
use crate::server::fault::Fault;
use crate::server::identity::id;
use crate::server::job::Job;
use crate::server::openai::{ChatBody, ChatCompletion, Chunk, Delivery, Head, StreamForm, parse, with_param};
use crate::server::record::Record;
use crate::server::state::{App, Caller, Loaded, Shared};
use crate::server::stream::{Streaming, Telling, event};
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
pub(super) async fn complete(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Extension(record): Extension<Record>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let from = From { app: &app, caller: &caller, record: &record };
    let Received { asked, room, .. } = received(from, &headers, body, chat).await?;
    let loaded = app.ready()?;
    let head = head(&app, loaded, "chatcmpl-", asked.model.as_deref())?;
    let mut options = asked.options;
    options.scope = app.reuse_scope(&caller);
    let job = Job::start(&app, &loaded.engine, &asked.request, options.clone())?;
    drop(asked.request);
    match asked.delivery {
        Delivery::Whole => {
            let replies = job.replies().await?;
            replies.iter().for_each(|reply| record.answered(reply));
            let package = loaded.engine.package();
            drop(room);
            Ok(Json(ChatCompletion::new(head, &replies, &options, package)).into_response())
        }
        Delivery::Stream(form) => {
            let engine = loaded.engine.clone();
            let chunks = Chunks { engine, head, options, form, began: Vec::new(), replies: Vec::new() };
            Streaming::new(&app, job, chunks, record, room).respond().await
        }
    }
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
pub(super) async fn input_tokens(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Extension(record): Extension<Record>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Fault> {
    let from = From { app: &app, caller: &caller, record: &record };
    let Received { asked, room, .. } = received(from, &headers, body, chat).await?;
    let loaded = app.ready()?;
    known(&app, asked.model.as_deref())?;
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

/// What all parts of an answer have in common. The id of each begins with `prefix`.
///
/// # Errors
/// Status 404 for a model that is not there.
pub(super) fn head(app: &App, loaded: &Loaded, prefix: &str, model: Option<&str>) -> Result<Head, Fault> {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let digest = loaded.engine.package().digest();
    let fingerprint = format!("fleming_{}", digest.get(..12).unwrap_or(digest));
    let model = known(app, model)?.to_owned();
    Ok(Head { id: id(prefix)?, created, model, fingerprint })
}

/// The chunks of OpenAI's streams.
struct Chunks {
    engine: Engine,
    head: Head,
    options: AskOptions,
    form: StreamForm,
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
        vec![event(&Chunk::role(&self.head, index))]
    }
}

impl Telling for Chunks {
    fn progress(&mut self, stage: &str, done: usize, total: usize) -> Vec<Event> {
        match self.form.progress {
            true => vec![event(&Chunk::progress(&self.head, stage, done, total))],
            false => Vec::new(),
        }
    }

    fn text(&mut self, index: usize, part: ReplyPart, text: String) -> Vec<Event> {
        let mut events = self.begin(index);
        events.push(event(&Chunk::text(&self.head, index, part, text)));
        events
    }

    fn ended(&mut self, index: usize, reply: Reply) -> Vec<Event> {
        let mut events = self.begin(index);
        events.push(event(&Chunk::end(&self.head, index, &reply, &self.options, self.engine.package())));
        self.replies.push((index, reply));
        events
    }

    fn closed(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.form.usage {
            self.replies.sort_by_key(|(index, _)| *index);
            let replies: Vec<_> = self.replies.drain(..).map(|(_, reply)| reply).collect();
            events.push(event(&Chunk::usage(&self.head, &replies)));
        }
        events.push(Event::default().data("[DONE]"));
        events
    }

    fn failed(&mut self, fault: &Fault) -> Vec<Event> {
        vec![event(&fault.body())]
    }
}
