//! Chat completions, and how long their prompts would be.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::Stream;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::models::known;
use crate::engine::Engine;
use crate::request::{AskOptions, Cancel, Reply};
use crate::server::fault::{ErrorBody, Fault};
use crate::server::identity::id;
use crate::server::job::{Job, Piece};
use crate::server::openai::{
    Asked, ChatBody, ChatCompletion, Chunk, Delivery, Head, StreamForm, parse, with_param,
};
use crate::server::receive;
use crate::server::record::Record;
use crate::server::state::{App, Caller, Loaded, Shared};

/// How often a stream without text shows that it lives.
const PING: Duration = Duration::from_secs(10);

/// A request as it was received and understood.
struct Received {
    asked: Asked,
    /// The room of its body, until the answer ends: the studies in it live as long.
    room: Vec<tokio::sync::OwnedSemaphorePermit>,
}

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
        (status = 400, description = "A field cannot be taken, or a study cannot be read", body = ErrorBody),
        (status = 401, description = "The key is missing or unknown", body = ErrorBody),
        (status = 404, description = "The model or a file is not there", body = ErrorBody),
        (status = 408, description = "The time was up before there was anything to return", body = ErrorBody),
        (status = 413, description = "The body is too long", body = ErrorBody),
        (status = 415, description = "The body is no JSON", body = ErrorBody),
        (status = 429, description = "Too many requests wait", body = ErrorBody),
        (status = 503, description = "The server loads, stands still or is about to end", body = ErrorBody),
    ),
)]
pub(super) async fn complete(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Extension(record): Extension<Record>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Fault> {
    let Received { asked, room } = received(&app, &record, &headers, body).await?;
    let loaded = app.ready()?;
    let head = head(&app, loaded, asked.model.as_deref())?;
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
            let stream = Streaming {
                _counted: Counted::new(&app),
                record,
                engine,
                job,
                head,
                options,
                form,
                began: Vec::new(),
                replies: Vec::new(),
                room,
            };
            stream.respond().await
        }
    }
}

/// Counts the tokens of a question's prompt. The model does not run.
#[utoipa::path(
    post,
    path = "/v1/chat/completions/input_tokens",
    request_body = ChatBody,
    responses(
        (status = 200, description = "The number of tokens, and whether they fit", body = Object),
        (status = 400, description = "A field cannot be taken, or a study cannot be read", body = ErrorBody),
        (status = 401, description = "The key is missing or unknown", body = ErrorBody),
        (status = 404, description = "The model or a file is not there", body = ErrorBody),
        (status = 408, description = "The time was up before there was anything to return", body = ErrorBody),
        (status = 413, description = "The body is too long", body = ErrorBody),
        (status = 415, description = "The body is no JSON", body = ErrorBody),
        (status = 429, description = "Too many requests wait", body = ErrorBody),
        (status = 503, description = "The server loads, stands still or is about to end", body = ErrorBody),
    ),
)]
pub(super) async fn input_tokens(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Extension(record): Extension<Record>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Fault> {
    let Received { asked, room } = received(&app, &record, &headers, body).await?;
    let loaded = app.ready()?;
    known(&app, loaded, asked.model.as_deref())?;
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

/// Does work off the threads that serve connections. It is cancelled if the client leaves.
async fn cancellable<T: Send + 'static>(
    work: impl FnOnce(Cancel) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    struct OnDrop(Cancel);

    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }

    let cancel = OnDrop(Cancel::default());
    let thrown = cancel.0.clone();
    spawn_blocking(move || work(thrown)).await.unwrap_or_else(|_| Err(Fault::internal()))
}

/// Receives a body and reads it.
async fn received(app: &Shared, record: &Record, headers: &HeaderMap, body: Body) -> Result<Received, Fault> {
    app.ready()?;
    let (bytes, room) = receive::json(app, headers, body).await?.into_parts();
    let (reading, record) = (app.clone(), record.clone());
    // Pictures in it are decoded from base64, which takes a while.
    let asked = spawn_blocking(move || {
        let loaded = reading.ready()?;
        let body: ChatBody = parse(&bytes)?;
        let asked = Asked::read(body, loaded.engine.package().manifest(), &reading.settings, &|_| None)?;
        record.asked(&asked, loaded);
        Ok(asked)
    });
    let asked = asked.await.unwrap_or_else(|_| Err(Fault::internal()))?;
    Ok(Received { asked, room })
}

fn head(app: &App, loaded: &Loaded, model: Option<&str>) -> Result<Head, Fault> {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let digest = loaded.engine.package().digest();
    let fingerprint = format!("fleming_{}", digest.get(..12).unwrap_or(digest));
    let model = known(app, loaded, model)?.to_owned();
    Ok(Head { id: id("chatcmpl-")?, created, model, fingerprint })
}

/// A stream of chunks. Dropping it, as when its client leaves, ends the work.
struct Streaming {
    _counted: Counted,
    record: Record,
    engine: Engine,
    job: Job,
    head: Head,
    options: AskOptions,
    form: StreamForm,
    /// The answers of which the first chunk was sent.
    began: Vec<usize>,
    replies: Vec<(usize, Reply)>,
    room: Vec<tokio::sync::OwnedSemaphorePermit>,
}

/// A stream among those that are open.
struct Counted(Shared);

impl Counted {
    fn new(app: &Shared) -> Self {
        app.metrics.stream_opened();
        Self(Arc::clone(app))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.stream_closed();
    }
}

/// What comes next in a stream.
enum Next {
    Chunks(Vec<Chunk>),
    Failed(Fault),
    Done,
}

impl Streaming {
    /// Begins the response. What fails before there is anything to stream has a status of its own.
    async fn respond(mut self) -> Result<Response, Fault> {
        let first = match tokio::time::timeout(PING, self.next()).await {
            Ok(Next::Failed(fault)) => return Err(fault),
            Ok(next) => Some(next),
            Err(_) => None,
        };
        let alive = KeepAlive::new().interval(PING).text("ping");
        let mut response = Sse::new(self.events(first)).keep_alive(alive).into_response();
        // A proxy must not hold chunks back.
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        Ok(response)
    }

    fn events(self, first: Option<Next>) -> impl Stream<Item = Result<Event, Infallible>> {
        let begin = (Some(self), first, std::collections::VecDeque::new());
        futures_util::stream::unfold(begin, |(mut streaming, mut first, mut waiting)| async move {
            loop {
                if let Some(event) = waiting.pop_front() {
                    return Some((Ok(event), (streaming, first, waiting)));
                }
                let next = match first.take() {
                    Some(next) => next,
                    None => streaming.as_mut()?.next().await,
                };
                match next {
                    Next::Chunks(chunks) => waiting.extend(chunks.iter().map(event)),
                    Next::Failed(fault) => {
                        waiting.push_back(event(&fault.body()));
                        streaming = None;
                    }
                    Next::Done => {
                        waiting.push_back(Event::default().data("[DONE]"));
                        streaming = None;
                    }
                }
            }
        })
    }

    /// The next chunks, of which there may be none.
    async fn next(&mut self) -> Next {
        let Some((index, piece)) = self.job.next().await else { return Next::Done };
        let mut chunks = Vec::new();
        match piece {
            Piece::Progress { stage, done, total } => {
                if self.form.progress {
                    chunks.push(Chunk::progress(&self.head, stage, done, total));
                }
            }
            Piece::Text { part, text } => {
                self.begin(index, &mut chunks);
                chunks.push(Chunk::text(&self.head, index, part, text));
            }
            Piece::Done(reply) => {
                self.begin(index, &mut chunks);
                chunks.push(self.end(index, &reply));
                self.record.answered(&reply);
                self.replies.push((index, *reply));
                if self.job.is_done() && self.form.usage {
                    self.replies.sort_by_key(|(index, _)| *index);
                    let replies: Vec<_> = self.replies.drain(..).map(|(_, reply)| reply).collect();
                    chunks.push(Chunk::usage(&self.head, &replies));
                }
                if self.job.is_done() {
                    self.room.clear();
                }
            }
            Piece::Failed(fault) => {
                self.record.failed(&fault);
                return Next::Failed(fault);
            }
        }
        Next::Chunks(chunks)
    }

    fn begin(&mut self, index: usize, chunks: &mut Vec<Chunk>) {
        if !self.began.contains(&index) {
            self.began.push(index);
            chunks.push(Chunk::role(&self.head, index));
        }
    }

    fn end(&self, index: usize, reply: &Reply) -> Chunk {
        Chunk::end(&self.head, index, reply, &self.options, self.engine.package())
    }
}

fn event(data: &impl Serialize) -> Event {
    // Our own types have no keys that are no texts.
    let text = serde_json::to_string(data).unwrap_or_default();
    Event::default().data(text)
}
