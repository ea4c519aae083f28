//! What the model will see of a question's studies, before it is asked.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::chat::chat;
use super::fails::AskingFails;
use super::pictures::png;
use crate::engine::{Engine, TokenCount};
use crate::input::ReadOptions;
use crate::preview::{Preview, preview as look};
use crate::request::{AskOptions, Cancel};
use crate::server::asking::{Call, Received};
use crate::server::fault::Fault;
use crate::server::openai::{Asked, ChatBody, with_param};
use crate::server::work::reading;
use crate::wire;

/// What the model will see.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PreviewObject {
    object: &'static str,
    /// The frames, in order, as in the reply's `fleming.frames`. Each has as `image` what the model sees of it, a PNG of a
    /// tile's size as a `data:` URL: of several tiles the last, which shows all of the frame. `images` has all tiles then.
    #[schema(value_type = Vec<Object>)]
    frames: Vec<Value>,
    warnings: Vec<String>,
    usage: PreviewUsage,
    /// Most tokens in a conversation, prompt and reply together.
    context: usize,
    /// Whether the prompt fits and leaves room for an answer. Without, no picture is made.
    fits: bool,
}

/// Tokens of the prompt.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PreviewUsage {
    prompt_tokens: usize,
    image_tokens: usize,
}

/// Shows what the model will see of a question's studies. It takes the body of a chat completion, and the model does not run.
///
/// With `Accept: image/png` it returns one picture of all frames.
#[utoipa::path(
    post,
    path = "/v1/preview",
    request_body = ChatBody,
    responses(
        (
            status = 200,
            description = "The frames, and what they cost",
            content((PreviewObject = "application/json"), ([u8] = "image/png")),
        ),
        AskingFails,
    ),
)]
pub(super) async fn preview(mut call: Call) -> Result<Response, Fault> {
    let _under_way = call.app.enters()?;
    let Received { asked, room, .. } = call.received(chat).await?;
    let loaded = call.app.ready()?;
    call.app.known(asked.model.as_deref())?;
    if asked.request.studies.is_empty() {
        return Err(
            Fault::field("messages", "at least one study to look at", "none").hint("add a picture or a file")
        );
    }
    let engine = loaded.engine.clone();
    let as_picture = wants_picture(&call.headers);
    reading(&call.app, move |options, cancel| {
        // Studies of the body live as long.
        let _room = room;
        let (count, seen) = seen(&engine, &asked, (options, cancel))?;
        match (as_picture, seen) {
            (true, Some(seen)) => {
                let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("image/png"))];
                Ok((kind, seen.sheet.png()?).into_response())
            }
            (true, None) => Err(too_long(&count)),
            (false, seen) => Ok(Json(object(&count, seen.as_ref())?).into_response()),
        }
    })
    .await
}

/// Counts the tokens, and reads the studies if they fit.
fn seen(
    engine: &Engine,
    asked: &Asked,
    (reading, cancel): (ReadOptions, Cancel),
) -> Result<(TokenCount, Option<Preview>), Fault> {
    let reading = reading.preprocessing(asked.options.preprocessing);
    let count = engine
        .count_tokens(&asked.request, &AskOptions { cancel, ..asked.options.clone() })
        .map_err(with_param)?;
    if !count.fits() {
        return Ok((count, None));
    }
    let seen = look(engine.package(), &asked.request.studies, asked.options.max_tiles, &reading);
    Ok((count, Some(seen.map_err(with_param)?)))
}

fn object(count: &TokenCount, seen: Option<&Preview>) -> Result<PreviewObject, Fault> {
    let frames = seen.map_or(Ok(Vec::new()), |seen| {
        let shown = seen.frames.iter().enumerate().map(|(place, frame)| {
            let mut shown = wire::frame(frame);
            let tiles = seen.tiles(place);
            let images = tiles.iter().map(|tile| Ok(data_url(&png(tile, None)?)));
            let images = images.collect::<Result<Vec<_>, Fault>>()?;
            shown["image"] = images.last().cloned().into();
            if images.len() > 1 {
                shown["images"] = images.into();
            }
            Ok(shown)
        });
        shown.collect::<Result<Vec<_>, Fault>>()
    })?;
    let warnings = match seen {
        Some(seen) => seen.warnings.clone(),
        None => vec![format!(
            "The prompt has {} tokens and does not fit into {}: no picture was made.",
            count.prompt_tokens, count.context
        )],
    };
    let usage = PreviewUsage { prompt_tokens: count.prompt_tokens, image_tokens: count.image_tokens };
    Ok(PreviewObject {
        object: "fleming.preview",
        frames,
        warnings,
        usage,
        context: count.context,
        fits: count.fits(),
    })
}

fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

/// Whether a client asks for a picture and not for JSON.
fn wants_picture(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|kinds| kinds.to_str().ok());
    let kinds: Vec<_> = accepted.flat_map(|kinds| kinds.split(',')).collect();
    let names = |wanted: &str| {
        kinds
            .iter()
            .any(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted))
    };
    names("image/png") && !names("application/json")
}

fn too_long(count: &TokenCount) -> Fault {
    Fault::field("messages", format!("a prompt that fits into {} tokens", count.context), count.prompt_tokens)
        .code("context_length_exceeded")
        .hint("look at fewer frames or slices")
}
