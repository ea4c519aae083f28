//! The body of a request, within its limits.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::fault::Fault;
use super::state::App;
use crate::error::Facts;

/// How long a client may leave us without the next bytes of its body.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes for which room is taken at a time where no length is given.
const STEP: u64 = 1 << 20;

/// A body, and the room that it takes until it is dropped.
pub(super) struct Received {
    pub(super) bytes: Vec<u8>,
    room: Vec<OwnedSemaphorePermit>,
}

impl Received {
    /// The room alone, for studies that came out of the body.
    pub(super) fn into_parts(self) -> (Vec<u8>, Vec<OwnedSemaphorePermit>) {
        (self.bytes, self.room)
    }
}

/// How long a refused client may go on sending, and how long it may pause, before it is cut off.
const LAST: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(300);

/// Lets a client that is refused finish sending, so that it reads why: most read nothing before. Nothing of it is kept.
pub(super) async fn discard(headers: &HeaderMap, body: Body) {
    // This one waits for our answer.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    let mut body = body;
    let sent = async { while let Ok(Some(Ok(_))) = tokio::time::timeout(PAUSE, body.frame()).await {} };
    let _ = tokio::time::timeout(LAST, sent).await;
}

/// Receives a body of JSON. What is too long is refused before it is kept.
///
/// # Errors
/// Status 413, 415, 408 or 429, or 400 for a body that ends too early.
pub(super) async fn json(app: &App, headers: &HeaderMap, mut body: Body) -> Result<Received, Fault> {
    match kept(app, headers, &mut body).await {
        Ok(received) => Ok(received),
        Err(fault) => {
            discard(headers, body).await;
            Err(fault)
        }
    }
}

async fn kept(app: &App, headers: &HeaderMap, body: &mut Body) -> Result<Received, Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let got = if kind.is_empty() { "none" } else { kind };
        return Err(media("Content-Type", "application/json", got)
            .hint("send the header Content-Type: application/json"));
    }
    unencoded(headers)?;
    let limit = app.settings.max_body;
    let declared = length(headers);
    if declared.is_some_and(|length| length > limit) {
        return Err(too_long(limit, "--max-body"));
    }
    let mut room = match declared {
        Some(length) => vec![app.room(length)?],
        None => Vec::new(),
    };
    let mut counted = declared.unwrap_or_default();
    let mut bytes = Vec::new();
    while let Some(data) = next(body).await? {
        let length = bytes.len() as u64 + data.len() as u64;
        if length > limit {
            return Err(too_long(limit, "--max-body"));
        }
        if length > counted {
            room.push(app.room(STEP.max(data.len() as u64))?);
            counted += STEP.max(data.len() as u64);
        }
        bytes
            .try_reserve(data.len())
            .map_err(|_| Fault::unavailable("one without memory for this request", "no_memory"))?;
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes, room })
}

/// The next bytes of a body; none at its end.
///
/// # Errors
/// Status 408 if none come for long, 400 if the body ends too early.
pub(super) async fn next(body: &mut Body) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame()).await.map_err(|_| {
            let wanted = format!("the next bytes within {} seconds", PATIENCE.as_secs());
            Fault::new(StatusCode::REQUEST_TIMEOUT, Facts::new("body", wanted, "none")).code("timed_out")
        })?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Fault::field("body", "a whole body", "one that ends too early")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The length that a header claims.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a packed body.
pub(super) fn unencoded(headers: &HeaderMap) -> Result<(), Fault> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            let got = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            Err(media("Content-Encoding", "a body that is not packed", got).hint("send it as it is"))
        }
        _ => Ok(()),
    }
}

fn media(thing: &str, wanted: &str, got: impl std::fmt::Display) -> Fault {
    Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Facts::new(thing, wanted, got))
        .code("unsupported_media_type")
}

/// A body beyond a limit.
pub(super) fn too_long(limit: u64, option: &str) -> Fault {
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, Facts::new("body", format!("at most {limit} bytes"), "more"))
        .code("body_too_large")
        .hint(format!("send less, or have the server's {option} raised"))
}
