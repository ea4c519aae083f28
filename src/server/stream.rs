//! Answers as server-sent events, for a client that may read slowly or leave.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::Serialize;

use super::asking::Room;
use super::fault::Fault;
use super::job::{Job, Piece};
use super::record::Record;
use super::state::Shared;
use crate::request::{Reply, ReplyPart};

/// How often a stream without text shows that it lives.
const PING: Duration = Duration::from_secs(10);

/// How a protocol tells what happens to answers, in the order of its events.
pub(super) trait Telling: Send + 'static {
    /// All answers at once, where there is no stream.
    fn whole(&self, replies: &[Reply]) -> Response;
    /// How far the work is.
    fn progress(&mut self, stage: &str, done: usize, total: usize) -> Vec<Event>;
    /// The next text of an answer or of its thought.
    fn text(&mut self, index: usize, part: ReplyPart, text: String) -> Vec<Event>;
    /// The end of an answer.
    fn ended(&mut self, index: usize, reply: Reply) -> Vec<Event>;
    /// The end of all answers.
    fn closed(&mut self) -> Vec<Event>;
    /// A failure after the stream has begun.
    fn failed(&mut self, fault: &Fault) -> Vec<Event>;
}

/// A stream of events. Dropping it, as when its client leaves, ends the work.
pub(super) struct Streaming<T> {
    job: Job,
    telling: T,
    record: Record,
    /// Until all answers have ended: the studies live as long.
    _room: Room,
    _counted: Counted,
}

/// A stream among those that are open.
struct Counted(Shared);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.stream_closed();
    }
}

/// What comes next in a stream.
enum Next {
    /// Of which there may be none.
    Events(Vec<Event>),
    Failed(Fault),
    Closed,
}

impl<T: Telling> Streaming<T> {
    pub(super) fn new(app: &Shared, job: Job, telling: T, record: Record, room: Room) -> Self {
        app.metrics.stream_opened();
        Self { job, telling, record, _room: room, _counted: Counted(Arc::clone(app)) }
    }

    /// Begins the response. What fails before there is anything to stream has a status of its own.
    ///
    /// # Errors
    /// What the engine refuses before it works.
    pub(super) async fn respond(mut self) -> Result<Response, Fault> {
        let first = match tokio::time::timeout(PING, self.next()).await {
            Ok(Next::Failed(fault)) => return Err(fault),
            Ok(next) => Some(next),
            Err(_) => None,
        };
        let alive = KeepAlive::new().interval(PING).text("ping");
        let mut response = Sse::new(self.events(first)).keep_alive(alive).into_response();
        // A proxy must not hold events back.
        let unbuffered = (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        response.headers_mut().insert(unbuffered.0, unbuffered.1);
        Ok(response)
    }

    fn events(self, first: Option<Next>) -> impl Stream<Item = Result<Event, Infallible>> {
        let begin = (Some(self), first, VecDeque::new());
        futures_util::stream::unfold(begin, |(mut streaming, mut first, mut waiting)| async move {
            loop {
                if let Some(event) = waiting.pop_front() {
                    return Some((Ok(event), (streaming, first, waiting)));
                }
                let open = streaming.as_mut()?;
                let next = match first.take() {
                    Some(next) => next,
                    None => open.next().await,
                };
                match next {
                    Next::Events(events) => waiting.extend(events),
                    Next::Failed(fault) => {
                        waiting.extend(open.telling.failed(&fault));
                        streaming = None;
                    }
                    Next::Closed => {
                        waiting.extend(open.telling.closed());
                        streaming = None;
                    }
                }
            }
        })
    }

    async fn next(&mut self) -> Next {
        let Some((index, piece)) = self.job.next().await else { return Next::Closed };
        Next::Events(match piece {
            Piece::Progress { stage, done, total } => self.telling.progress(stage, done, total),
            Piece::Text { part, text } => self.telling.text(index, part, text),
            Piece::Done(reply) => {
                self.record.answered(&reply);
                self.telling.ended(index, *reply)
            }
            Piece::Failed(fault) => {
                self.record.failed(&fault);
                return Next::Failed(fault);
            }
        })
    }
}

/// An event of JSON.
pub(super) fn event(data: &impl Serialize) -> Event {
    // Our own types have no keys that are no texts.
    Event::default().data(serde_json::to_string(data).unwrap_or_default())
}
