//! A file on its way from a client into the store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::multipart::Field;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::http::{HeaderMap, header};
use axum::{Extension, Json};
use futures_util::Stream;
use tokio::task::spawn_blocking;

use super::fails::NoKey;
use super::files::{FileObject, PURPOSES};
use crate::input::inspect;
use crate::limits::Whole;
use crate::server::fault::{ErrorBody, Fault};
use crate::server::receive;
use crate::server::state::{Caller, Shared};
use crate::server::store::{About, Upload, clean_name};
use crate::server::work::reading;
use crate::study::StudyInput;
use crate::wire;

/// Bytes of a body beside its file: boundaries, headers and the other fields.
const BESIDE: u64 = 1 << 20;
/// Bytes of a field that is not the file.
const FIELD_BYTES: usize = 4 << 10;
const MOST_FIELDS: usize = 16;
/// Bytes that are written at once.
const PIECE: usize = 256 << 10;

/// The fields of an upload, as far as they have come.
#[derive(Default)]
struct Form {
    file: Option<(Upload, String)>,
    purpose: Option<&'static str>,
    anchor: bool,
    seconds: Option<u64>,
}

/// Uploads a file that requests may be about.
///
/// It is read at once as far as its headers; what is no study is refused and not kept.
#[utoipa::path(
    post,
    path = "/v1/files",
    request_body(content_type = "multipart/form-data", content = Object),
    responses(
        (status = 200, description = "The file", body = FileObject),
        (status = 400, description = "A field cannot be taken, or the file cannot be read", body = ErrorBody),
        NoKey,
        (status = 408, description = "The body came too slowly, or reading took too long", body = ErrorBody),
        (status = 413, description = "The file is too large, or there are too many with this key", body = ErrorBody),
        (status = 415, description = "The body is no form", body = ErrorBody),
        (status = 503, description = "The server is about to end", body = ErrorBody),
        (status = 507, description = "The server has no room for the file", body = ErrorBody),
    ),
)]
pub(super) async fn create(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<FileObject>, Fault> {
    let _under_way = app.enters()?;
    let wire = Arc::new(Wire::new(body));
    let read = gathered(&app, &caller, &headers, &wire).await;
    let kept = match read {
        Ok(form) => keep(&app, form).await,
        Err(fault) => Err(fault),
    };
    if kept.is_err() {
        receive::linger(&headers, std::mem::take(&mut *wire.body.lock().await));
    }
    kept
}

/// Takes all fields as they come.
async fn gathered(
    app: &Shared,
    caller: &Caller,
    headers: &HeaderMap,
    wire: &Arc<Wire>,
) -> Result<Form, Fault> {
    receive::unencoded(headers)?;
    let limit = app.settings.files.file_bytes;
    if receive::length(headers).is_some_and(|length| length > limit.saturating_add(BESIDE)) {
        return Err(receive::too_long(limit, "--file-bytes"));
    }
    let mut fields = multipart(headers, Arc::clone(wire)).await?;
    let mut form = Form::default();
    for _ in 0..MOST_FIELDS {
        let Some(field) = fields.next_field().await.map_err(|_| wire.fault())? else { return Ok(form) };
        form.field(app, caller, wire, field).await?;
    }
    Err(Fault::field("body", format!("at most {MOST_FIELDS} fields"), "more").hint("send one file at a time"))
}

/// Reads what has come, and keeps the file if it is a study.
async fn keep(app: &Shared, form: Form) -> Result<Json<FileObject>, Fault> {
    let missing =
        |name: &str, wanted: &str| Fault::field(name, wanted, "none").hint("add this field to the form");
    let (upload, name) = form.file.ok_or_else(|| missing("file", "a file"))?;
    let purpose = form.purpose.ok_or_else(|| missing("purpose", &PURPOSES.join(" or ")))?;
    if form.anchor && form.seconds.is_none() {
        return Err(missing("expires_after[seconds]", "a number of seconds beside the anchor"));
    }
    let lifetime = form.seconds.map_or(app.settings.files.lifetime, Duration::from_secs);
    let held = reading(app, move |options, _| {
        let study = StudyInput::file(upload.source(&name));
        let facts =
            wire::facts(&inspect(&study, &options).map_err(|error| Fault::from(error).param("file"))?);
        let purpose = purpose.to_owned();
        Ok(upload.keep(About { name, purpose, lifetime, facts })?)
    });
    Ok(Json(FileObject::of(held.await?.record())))
}

impl Form {
    /// Takes one field.
    async fn field(
        &mut self,
        app: &Shared,
        caller: &Caller,
        wire: &Wire,
        field: Field<'_>,
    ) -> Result<(), Fault> {
        let name = field.name().unwrap_or_default().to_owned();
        let is_new = match name.as_str() {
            "file" => {
                let is_new = self.file.is_none();
                if is_new {
                    let name = clean_name(field.file_name().unwrap_or_default());
                    let upload = app.store.begin(&caller.scope)?;
                    self.file = Some((written(upload, wire, field).await?, name));
                }
                is_new
            }
            "purpose" => {
                let given = text(&name, wire, field).await?;
                let known = PURPOSES.into_iter().find(|purpose| *purpose == given);
                let purpose = known.ok_or_else(|| Fault::field(&name, PURPOSES.join(" or "), given))?;
                self.purpose.replace(purpose).is_none()
            }
            "expires_after[anchor]" => match text(&name, wire, field).await?.as_str() {
                "created_at" => !std::mem::replace(&mut self.anchor, true),
                other => return Err(Fault::field(name, "created_at", other)),
            },
            "expires_after[seconds]" => {
                let given = text(&name, wire, field).await?;
                let most = app.settings.files.lifetime.as_secs().max(1);
                let range = Whole::new(1, most);
                let seconds =
                    given.parse().ok().filter(|seconds| range.contains(*seconds)).ok_or_else(|| {
                        Fault::field(&name, format!("a whole number of seconds, {range}"), given)
                            .hint("choose a shorter time, or have the server's --file-ttl raised")
                    })?;
                self.seconds.replace(seconds).is_none()
            }
            other => {
                let wanted = "file, purpose, expires_after[anchor] or expires_after[seconds]";
                return Err(Fault::field(crate::error::shortened(other, 100), wanted, "an unknown field")
                    .code("unknown_parameter")
                    .hint("leave it out"));
            }
        };
        match is_new {
            true => Ok(()),
            false => Err(Fault::field(name, "one of it", "two").hint("send one file at a time")),
        }
    }
}

/// The text of a short field.
async fn text(name: &str, wire: &Wire, mut field: Field<'_>) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(|_| wire.fault())? {
        wire.took(piece.len());
        if bytes.len() + piece.len() > FIELD_BYTES {
            return Err(Fault::field(name, format!("at most {FIELD_BYTES} bytes"), "more"));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| Fault::field(name, "UTF-8", "other bytes"))
}

/// Writes a field as it comes. If the client leaves, the upload is dropped and leaves nothing.
async fn written(mut upload: Upload, wire: &Wire, mut field: Field<'_>) -> Result<Upload, Fault> {
    let mut waiting: Vec<Bytes> = Vec::new();
    let mut length = 0;
    loop {
        let piece = field.chunk().await.map_err(|_| wire.fault())?;
        let is_last = piece.is_none();
        if let Some(piece) = piece {
            wire.took(piece.len());
            length += piece.len();
            waiting.push(piece);
        }
        if length >= PIECE || is_last {
            let pieces = std::mem::take(&mut waiting);
            length = 0;
            let write = move || {
                pieces.iter().try_for_each(|piece| upload.write(piece))?;
                Ok::<_, Fault>(upload)
            };
            upload = spawn_blocking(write).await.unwrap_or_else(|_| Err(Fault::internal()))?;
        }
        if is_last {
            return Ok(upload);
        }
    }
}

/// The fields of a body.
async fn multipart(headers: &HeaderMap, wire: Arc<Wire>) -> Result<Multipart, Fault> {
    let mut request = Request::new(Body::from_stream(pieces(wire)));
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    // What is held in memory is counted here, and what is written is the store's to count.
    DefaultBodyLimit::disable().apply(&mut request);
    Multipart::from_request(request, &()).await.map_err(|_| {
        receive::media("Content-Type", "multipart/form-data with a boundary", "another")
            .hint("send the fields file and purpose as a form")
    })
}

/// The body on its way into the reader of a form: what went in and what came out is counted, and what went wrong is kept.
///
/// The reader holds what comes until it finds the end of a part. A body without one would be held as a whole.
struct Wire {
    body: tokio::sync::Mutex<Body>,
    passage: Mutex<Passage>,
}

#[derive(Default)]
struct Passage {
    came: u64,
    took: u64,
    fault: Option<Fault>,
}

impl Wire {
    fn new(body: Body) -> Self {
        Self { body: tokio::sync::Mutex::new(body), passage: Mutex::default() }
    }

    fn took(&self, bytes: usize) {
        self.lock().took += bytes as u64;
    }

    /// Why the reader of the form failed.
    fn fault(&self) -> Fault {
        self.lock().fault.take().unwrap_or_else(|| {
            Fault::field("body", "a form of multipart/form-data", "another text, or one that ends too early")
                .hint("send the fields file and purpose as a form")
        })
    }

    /// Lets bytes in unless too many are held.
    fn admit(&self, bytes: usize) -> bool {
        let mut passage = self.lock();
        passage.came += bytes as u64;
        let held = passage.came.saturating_sub(passage.took);
        if held > BESIDE + bytes as u64 {
            passage.fault = Some(Fault::field(
                "body",
                format!("at most {BESIDE} bytes beside the content of the fields"),
                "more",
            ));
            return false;
        }
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Passage> {
        self.passage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body piece by piece, each when the one before has been looked at.
fn pieces(wire: Arc<Wire>) -> impl Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::try_unfold(wire, |wire| async move {
        // The reader takes all that is there before it lets go: without a pause it would hold as much as comes.
        tokio::task::yield_now().await;
        let piece = receive::next(&mut *wire.body.lock().await).await;
        let failed = |fault| {
            wire.lock().fault = Some(fault);
            std::io::Error::other("the body failed")
        };
        let Some(piece) = piece.map_err(failed)? else { return Ok(None) };
        match wire.admit(piece.len()) {
            true => Ok(Some((piece, wire))),
            false => Err(std::io::Error::other("too much is held")),
        }
    })
}
