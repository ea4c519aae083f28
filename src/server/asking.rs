//! A request from its body to what the engine is asked, for every call that takes studies.

use std::cell::RefCell;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use tokio::sync::OwnedSemaphorePermit;

use super::audit::Study;
use super::fault::Fault;
use super::openai::{Asked, ChatBody};
use super::receive;
use super::record::Record;
use super::state::{Caller, Shared};
use super::work::cancellable;
use crate::request::Cancel;
use crate::study::Source;

/// The room that a body takes until it is dropped.
pub(super) type Room = Vec<OwnedSemaphorePermit>;

/// A request as it was received and understood.
pub(super) struct Received<T> {
    pub(super) asked: Asked,
    /// What the body says beside.
    pub(super) beside: T,
    pub(super) room: Room,
}

/// A call about studies: who asks, what is kept of it, and a body that was not received yet.
pub(super) struct Call {
    pub(super) app: Shared,
    pub(super) caller: Caller,
    pub(super) record: Record,
    pub(super) headers: HeaderMap,
    body: Body,
}

impl FromRequest<Shared> for Call {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, Fault> {
        let (mut parts, body) = request.into_parts();
        // The guard has put both there.
        let caller = parts.extensions.remove().ok_or_else(Fault::internal)?;
        let record = parts.extensions.remove().ok_or_else(Fault::internal)?;
        Ok(Self { app: app.clone(), caller, record, headers: parts.headers, body })
    }
}

/// What a call knows of its body beside the chat that it is.
pub(super) trait Beside: Send + 'static {
    /// A fault of the chat, with the names that its fields have in the body.
    fn renamed(&self, fault: Fault) -> Fault;
}

/// The body is a chat.
impl Beside for () {
    fn renamed(&self, fault: Fault) -> Fault {
        fault
    }
}

/// Makes a chat of a body, and what a call needs beside.
pub(super) type Parse<T> = fn(&[u8]) -> Result<(ChatBody, T), Fault>;

impl Call {
    /// Receives the body and reads it. `parse` makes a chat of it, and what the call needs beside.
    ///
    /// # Errors
    /// Those of [`receive::json`] and of `parse`; status 503 while the server is not ready.
    pub(super) async fn received<T: Beside>(&mut self, parse: Parse<T>) -> Result<Received<T>, Fault> {
        let body = std::mem::take(&mut self.body);
        if let Err(fault) = self.app.ready() {
            receive::linger(&self.headers, body);
            return Err(fault);
        }
        let (bytes, room) = receive::json(&self.app, &self.headers, body).await?.into_parts();
        let (app, scope, record) = (self.app.clone(), self.caller.scope.clone(), self.record.clone());
        // Pictures in it are decoded from base64, which takes a while.
        let read = move |_: Cancel| {
            let loaded = app.ready()?;
            let (body, beside) = parse(&bytes)?;
            let used = RefCell::new(Vec::new());
            let uploads = |id: &str| {
                let held = app.store.get(&scope, id).ok()?;
                let known = held.record();
                let study =
                    Study { sha256: known.sha256.clone(), bytes: known.bytes, file: Some(known.id.clone()) };
                used.borrow_mut().push(study);
                Some(Source::Kept(held))
            };
            let asked = Asked::read(body, loaded.engine.package().manifest(), &app.settings, &uploads)
                .map_err(|fault| beside.renamed(fault))?;
            record.asked(&asked, loaded, used.into_inner());
            Ok((asked, beside))
        };
        let (asked, beside) = cancellable(read).await?;
        Ok(Received { asked, beside, room })
    }
}
