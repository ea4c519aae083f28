//! One slice or frame of an uploaded file, as a picture.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::fails::{NoFile, NoKey, TooSlow};
use super::pictures::png;
use super::query::{Query, of_query};
use crate::digest::hex;
use crate::limits::Whole;
use crate::preview::Picture;
use crate::server::fault::{ErrorBody, Fault};
use crate::server::slices::Key;
use crate::server::state::{Caller, Shared};
use crate::server::work::reading;
use crate::study::{Preprocessing, Source, StudyInput};

/// Says how many slices or frames there are.
const COUNT: HeaderName = HeaderName::from_static("x-fleming-count");
/// Places of slices; a study has far fewer.
const INDEX: Whole = Whole::new(0, u32::MAX as u64);
/// Pixels.
const SIZE: Whole = Whole::new(1, 4096);

/// One slice of a volume, frame of a clip, or the picture, as PNG.
///
/// It is the file's, in its own size, and not what the model sees: `/v1/preview` shows that. Of the options of a study,
/// `window`, `axis`, `plane`, `time`, `series` and `echo` hold; what chooses or joins frames is checked and left out.
#[utoipa::path(
    get,
    path = "/v1/files/{id}/slices",
    params(
        ("id" = String, Path, description = "The file's id"),
        ("index" = u64, Query, maximum = 4294967295u64, description = "Which one, counted from 0"),
        ("size" = Option<u64>, Query, minimum = 1, maximum = 4096, description = "Most pixels of its width"),
    ),
    responses(
        (status = 200, description = "The picture; x-fleming-count says how many there are", body = [u8], content_type = "image/png"),
        (status = 304, description = "The picture is the one that If-None-Match names"),
        (status = 400, description = "A field cannot be taken, or there is no such slice", body = ErrorBody),
        NoKey,
        NoFile,
        TooSlow,
    ),
)]
pub(super) async fn slice(
    State(app): State<Shared>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fault> {
    let held = app.store.get(&caller.scope, &id)?;
    let mut query = Query::of(&uri)?;
    let index = query.whole("index", INDEX)?.ok_or_else(|| {
        Fault::field("index", "the place of a slice or frame, counted from 0", "none").hint("add index=0")
    })? as usize;
    let size = query.whole("size", SIZE)?.map(|size| size as u32);
    let asked = query.study()?;
    let tag = tag(&held.record().sha256, &asked.spelled, (index, size));
    let tags = [(header::ETAG, HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\"")))];
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, tags).into_response());
    }
    let key = Key { id, options: asked.spelled };
    let preprocessing: Preprocessing = asked.preprocessing;
    let study = StudyInput::file(Source::Kept(held)).look(asked.look);
    let reader = app.clone();
    let (picture, count) = reading(&app, move |options, _| {
        let options = options.preprocessing(preprocessing);
        let slice = reader.slices.read(&key, &study, index, &options).map_err(of_query)?;
        // It may have been deleted meanwhile, and what was read of it forgotten before this was.
        if !reader.store.is_there(&key.id) {
            reader.slices.retain(|id| id != key.id);
        }
        Ok((png(&Picture::of_frame(&slice.frame), size)?, slice.count))
    })
    .await?;
    let kind =
        [(header::CONTENT_TYPE, HeaderValue::from_static("image/png")), (COUNT, HeaderValue::from(count))];
    Ok((tags, kind, picture).into_response())
}

/// What names a picture: the content of its file, and how it is looked at by this version.
fn tag(sha256: &str, options: &str, place: (usize, Option<u32>)) -> String {
    let text = format!("{}\n{sha256}\n{place:?}\n{options}", env!("CARGO_PKG_VERSION"));
    format!("\"{}\"", hex(&Sha256::digest(text)))
}

/// Whether a client has this picture.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    tags.flat_map(|tags| tags.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
