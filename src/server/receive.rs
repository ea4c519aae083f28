//! The body of a request, within its limits.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::fault::Fault;
use super::state::App;
use crate::error::Facts;

/// How long a client may leave us without the next bytes of its body.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes a second that a client sends of a long body, at least. Else a few clients that send next to nothing would keep the
/// room of all.
const PACE: u64 = 16 << 10;
/// How long a body that was refused is read on.
const LINGER: Duration = Duration::from_secs(30);
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

/// Receives a body of JSON. What is too long is refused before it is kept.
///
/// # Errors
/// Status 413, 415, 408 or 429, or 400 for a body that ends too early.
pub(super) async fn json(app: &App, headers: &HeaderMap, mut body: Body) -> Result<Received, Fault> {
    let received = whole(app, headers, &mut body).await;
    if received.is_err() {
        linger(headers, body);
    }
    received
}

async fn whole(app: &App, headers: &HeaderMap, body: &mut Body) -> Result<Received, Fault> {
    let mut kinds = headers.get_all(header::CONTENT_TYPE).iter();
    let kind = kinds.next().and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kinds.next().is_some() {
        return Err(media("Content-Type", "one", "several").hint("send the header once"));
    }
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
    // There is room for as much.
    reserve(&mut bytes, declared.unwrap_or_default() as usize)?;
    let began = Instant::now();
    while let Some(data) = next(body).await? {
        keeps_pace(began, bytes.len())?;
        let length = bytes.len() as u64 + data.len() as u64;
        if length > limit {
            return Err(too_long(limit, "--max-body"));
        }
        if length > counted {
            room.push(app.room(STEP.max(data.len() as u64))?);
            counted += STEP.max(data.len() as u64);
        }
        reserve(&mut bytes, data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes, room })
}

fn reserve(bytes: &mut Vec<u8>, more: usize) -> Result<(), Fault> {
    let refuse = |_| Fault::unavailable("one without memory for this request", "no_memory");
    bytes.try_reserve(more).map_err(refuse)
}

/// Refuses a body that comes too slowly.
fn keeps_pace(began: Instant, received: usize) -> Result<(), Fault> {
    match began.elapsed() > PATIENCE + Duration::from_secs(received as u64 / PACE) {
        true => Err(late(format!("{PACE} bytes a second"), "fewer")),
        false => Ok(()),
    }
}

fn late(wanted: String, got: &str) -> Fault {
    Fault::new(StatusCode::REQUEST_TIMEOUT, Facts::new("body", wanted, got))
        .code("timed_out")
        .hint("send it faster")
}

/// The next bytes of a body; none at its end.
///
/// # Errors
/// Status 408 if none come for long, 400 if the body ends too early.
pub(super) async fn next(body: &mut Body) -> Result<Option<Bytes>, Fault> {
    loop {
        let frame = tokio::time::timeout(PATIENCE, body.frame())
            .await
            .map_err(|_| late(format!("the next bytes within {} seconds", PATIENCE.as_secs()), "none"))?;
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

/// Goes on reading a body that was refused, while the answer is on its way. Many clients send all before they read, and a
/// connection that is closed while they do takes the answer with it.
pub(super) fn linger(headers: &HeaderMap, mut body: Body) {
    // This one waits for our answer before it sends.
    if headers.contains_key(header::EXPECT) {
        return;
    }
    tokio::spawn(tokio::time::timeout(
        LINGER,
        async move { while let Ok(Some(_)) = next(&mut body).await {} },
    ));
}

/// The length that a header claims.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a packed body.
pub(super) fn unencoded(headers: &HeaderMap) -> Result<(), Fault> {
    let rows = [
        (header::CONTENT_ENCODING, "Content-Encoding", "identity"),
        // In chunks, which are no packing.
        (header::TRANSFER_ENCODING, "Transfer-Encoding", "chunked"),
    ];
    for (header, name, plain) in rows {
        let packed = |value: &&HeaderValue| !value.as_bytes().eq_ignore_ascii_case(plain.as_bytes());
        if let Some(encoding) = headers.get_all(header).iter().find(packed) {
            let got = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            return Err(media(name, "a body that is not packed", got).hint("send it as it is"));
        }
    }
    Ok(())
}

pub(super) fn media(thing: &str, wanted: &str, got: impl std::fmt::Display) -> Fault {
    Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Facts::new(thing, wanted, got))
        .code("unsupported_media_type")
}

/// A body beyond a limit.
pub(super) fn too_long(limit: u64, option: &str) -> Fault {
    Fault::new(StatusCode::PAYLOAD_TOO_LARGE, Facts::new("body", format!("at most {limit} bytes"), "more"))
        .code("body_too_large")
        .hint(format!("send less, or have the server's {option} raised"))
}
