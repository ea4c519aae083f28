//! Files that were uploaded: what there is, what is in them, and their end.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::Stream;
use serde::Serialize;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use utoipa::ToSchema;

use super::fails::{NoField, NoFile, NoKey, TooSlow};
use super::query::{Query, of_query};
use crate::input::inspect;
use crate::limits::Whole;
use crate::server::fault::{ErrorBody, Fault};
use crate::server::state::{Caller, Shared};
use crate::server::store::{FileRecord, Refusal};
use crate::server::work::reading;
use crate::study::{KeptFile, Source, StudyInput};
use crate::wire;

/// What clients may say a file is for.
pub(super) const PURPOSES: [&str; 2] = ["user_data", "vision"];
/// Files of one page of a list.
const PAGE: Whole = Whole::new(1, 10_000);
/// Bytes of content that are sent at a time.
const PIECE: usize = 64 << 10;

/// A file that was uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileObject {
    id: String,
    object: &'static str,
    bytes: u64,
    /// Seconds since 1970.
    created_at: u64,
    /// Seconds since 1970 at which it is deleted.
    expires_at: u64,
    /// The name that it was uploaded by, without folders and hidden letters.
    filename: String,
    purpose: String,
    /// `processed`: a file is there when it could be read.
    status: &'static str,
    /// What is in it: `source`, `format`, `modality`, `contents`, and what would be looked at, `chosen`.
    #[schema(value_type = Object)]
    fleming: Value,
}

/// A page of a list of files.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileList {
    object: &'static str,
    data: Vec<FileObject>,
    /// Empty if the page is.
    first_id: String,
    last_id: String,
    /// Whether further files follow; `after` with `last_id` asks for them.
    has_more: bool,
}

/// A file that is gone.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileDeleted {
    id: String,
    object: &'static str,
    deleted: bool,
}

impl FileObject {
    pub(super) fn of(record: &FileRecord) -> Self {
        Self {
            id: record.id.clone(),
            object: "file",
            bytes: record.bytes,
            created_at: record.created_at(),
            expires_at: record.expires_at(),
            filename: record.name.clone(),
            purpose: record.purpose.clone(),
            status: "processed",
            fleming: record.facts.clone(),
        }
    }
}

/// Lists the files that were uploaded with this key, the newest first.
#[utoipa::path(
    get,
    path = "/v1/files",
    params(
        ("after" = Option<String>, Query, description = "The id of the file after which the list begins"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10_000, description = "Most files of the list"),
        ("order" = Option<String>, Query, pattern = "^(asc|desc)$", description = "By time: `desc`, the usual one, or `asc`"),
        ("purpose" = Option<String>, Query, pattern = "^(user_data|vision)$", description = "Only files of this purpose"),
    ),
    responses(
        (status = 200, description = "The files", body = FileList),
        NoField,
        NoKey,
        (status = 404, description = "The file after which the list would begin is not there", body = ErrorBody),
    ),
)]
pub(super) async fn list(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Json<FileList>, Fault> {
    let mut query = Query::of(&uri)?;
    let limit = query.whole("limit", PAGE)?.unwrap_or(PAGE.most) as usize;
    let order = query.word("order", &["asc", "desc"])?;
    let purpose = query.word("purpose", &PURPOSES)?;
    let after = query.take("after");
    query.end()?;
    let mut files = app.store.list(&caller.scope);
    if order != Some("asc") {
        files.reverse();
    }
    if let Some(after) = after {
        let place = files.iter().position(|held| held.record().id == after);
        let place = place.ok_or_else(|| Fault::from(Refusal::not_found(&after)).param("after"))?;
        files.drain(..=place);
    }
    files.retain(|held| purpose.is_none_or(|purpose| held.record().purpose == purpose));
    let has_more = files.len() > limit;
    files.truncate(limit);
    let data: Vec<_> = files.iter().map(|held| FileObject::of(held.record())).collect();
    let id = |file: Option<&FileObject>| file.map(|file| file.id.clone()).unwrap_or_default();
    Ok(Json(FileList {
        object: "list",
        first_id: id(data.first()),
        last_id: id(data.last()),
        data,
        has_more,
    }))
}

/// One file.
#[utoipa::path(
    get,
    path = "/v1/files/{id}",
    params(("id" = String, Path, description = "The file's id")),
    responses(
        (status = 200, description = "The file", body = FileObject),
        NoKey,
        NoFile,
    ),
)]
pub(super) async fn one(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<FileObject>, Fault> {
    Ok(Json(FileObject::of(app.store.get(&caller.scope, &id)?.record())))
}

/// Deletes a file. Requests that read it already read on.
#[utoipa::path(
    delete,
    path = "/v1/files/{id}",
    params(("id" = String, Path, description = "The file's id")),
    responses(
        (status = 200, description = "The file is deleted", body = FileDeleted),
        NoKey,
        NoFile,
    ),
)]
pub(super) async fn delete(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<FileDeleted>, Fault> {
    app.store.delete(&caller.scope, &id)?;
    app.slices.retain(|there| there != id);
    Ok(Json(FileDeleted { id, object: "file", deleted: true }))
}

/// The content of a file, as it was uploaded.
#[utoipa::path(
    get,
    path = "/v1/files/{id}/content",
    params(("id" = String, Path, description = "The file's id")),
    responses(
        (status = 200, description = "The content", body = [u8], content_type = "application/octet-stream"),
        NoKey,
        NoFile,
    ),
)]
pub(super) async fn content(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Fault> {
    let held = app.store.get(&caller.scope, &id)?;
    let file = tokio::fs::File::open(held.path()).await.map_err(|error| {
        tracing::error!(target: "fleming::server", %error, "an uploaded file cannot be read");
        Fault::internal()
    })?;
    let record = held.record();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, record.bytes.into()),
        (header::CONTENT_DISPOSITION, attachment(&record.name)),
        (header::ETAG, HeaderValue::from_str(&format!("\"{}\"", record.sha256)).unwrap_or(NO_TAG)),
    ];
    let headers: Vec<(HeaderName, HeaderValue)> = headers.into();
    // The file stays as long as it is sent.
    let kept = held.clone();
    let body = Body::from_stream(pieces(file, kept));
    let mut response = body.into_response();
    response.headers_mut().extend(headers);
    Ok(response)
}

const NO_TAG: HeaderValue = HeaderValue::from_static("\"\"");

/// The content of a file piece by piece.
fn pieces<K: Send>(file: tokio::fs::File, kept: K) -> impl Stream<Item = std::io::Result<Bytes>> {
    futures_util::stream::try_unfold((file, kept), |(mut file, kept)| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok((read > 0).then(|| (Bytes::from(piece), (file, kept))))
    })
}

/// Has browsers save a file by this name (RFC 6266).
fn attachment(name: &str) -> HeaderValue {
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let value = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{encoded}"));
    value.unwrap_or(HeaderValue::from_static("attachment"))
}

/// What is in a file, and what of it would be looked at with the options of a study that the query names.
#[utoipa::path(
    get,
    path = "/v1/files/{id}/facts",
    params(
        ("id" = String, Path, description = "The file's id"),
    ),
    responses(
        (status = 200, description = "`source`, `format`, `modality`, `contents`, and `chosen`", body = Object),
        NoField,
        NoKey,
        NoFile,
        TooSlow,
    ),
)]
pub(super) async fn facts(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Fault> {
    let held = app.store.get(&caller.scope, &id)?;
    let asked = Query::of(&uri)?.study()?;
    let study = StudyInput::file(Source::Kept(held)).look(asked.look);
    let found = reading(&app, move |options, _| {
        inspect(&study, &options.preprocessing(asked.preprocessing)).map_err(of_query)
    });
    Ok(Json(wire::facts(&found.await?)))
}
