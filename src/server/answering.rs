//! A question to its answer, in the protocol that it was asked in.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::response::Response;

use super::asking::{Beside, Call, Parse, Received};
use super::fault::Fault;
use super::identity::id;
use super::job::Job;
use super::openai::{Delivery, Head, StreamForm};
use super::state::{App, Loaded};
use super::stream::{Streaming, Telling};
use crate::engine::Engine;
use crate::request::AskOptions;

/// What every protocol makes its answer of.
pub(super) struct Answering {
    pub(super) engine: Engine,
    pub(super) head: Head,
    pub(super) options: AskOptions,
    pub(super) form: StreamForm,
}

/// Asks the engine what a call asks, and answers at once or as a stream. `parse` reads the body, `prefix` begins the
/// answer's id, and `telling` is how the call's protocol puts it.
///
/// # Errors
/// Those of [`Call::received`], status 404 for a model that is not there, and what the engine refuses or fails with before
/// there is anything to return. Fields have the names of the call's protocol.
pub(super) async fn answer<B: Beside, T: Telling>(
    mut call: Call,
    parse: Parse<B>,
    prefix: &str,
    telling: impl FnOnce(Answering, &B) -> T,
) -> Result<Response, Fault> {
    let Received { asked, beside, room } = call.received(parse).await?;
    let loaded = call.app.ready()?;
    let head = head(&call.app, loaded, prefix, asked.model.as_deref())?;
    let mut options = asked.options;
    options.scope = call.app.reuse_scope(&call.caller);
    let job = Job::start(&call.app, &loaded.engine, &asked.request, options.clone())
        .map_err(|fault| beside.renamed(fault))?;
    drop(asked.request);
    let (form, is_stream) = match asked.delivery {
        Delivery::Whole => (StreamForm::default(), false),
        Delivery::Stream(form) => (form, true),
    };
    let telling = telling(Answering { engine: loaded.engine.clone(), head, options, form }, &beside);
    let answered = match is_stream {
        true => Streaming::new(&call.app, job, telling, call.record, room).respond().await,
        false => job.replies().await.map(|replies| {
            replies.iter().for_each(|reply| call.record.answered(reply));
            drop(room);
            telling.whole(&replies)
        }),
    };
    answered.map_err(|fault| beside.renamed(fault))
}

/// What all parts of an answer have in common.
fn head(app: &App, loaded: &Loaded, prefix: &str, model: Option<&str>) -> Result<Head, Fault> {
    let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let digest = loaded.engine.package().digest();
    let fingerprint = format!("fleming_{}", digest.get(..12).unwrap_or(digest));
    let model = app.known(model)?.to_owned();
    Ok(Head { id: id(prefix)?, created, model, fingerprint })
}
