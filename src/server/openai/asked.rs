//! A body to what the engine is asked.

use std::time::Duration;

use serde_json::{Map, Value};

use super::body::ChatBody;
use super::content::{Detail, Reading, Uploads};
use super::options::read_all;
use crate::package::Manifest;
use crate::request::{AskOptions, Request};
use crate::server::fault::Fault;
use crate::server::settings::ServerSettings;

/// What a client asks, ready for the engine.
pub(in crate::server) struct Asked {
    pub(in crate::server) request: Request,
    pub(in crate::server) options: AskOptions,
    /// The name of the model that the client used.
    pub(in crate::server) model: Option<String>,
    /// How the answer comes.
    pub(in crate::server) delivery: Delivery,
    /// The options that the client set, as it did.
    pub(in crate::server) given: Map<String, Value>,
}

/// How an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Delivery {
    /// All at once.
    Whole,
    /// In chunks.
    Stream(StreamForm),
}

/// What a stream holds beside the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::server) struct StreamForm {
    /// A last chunk with the tokens used.
    pub(in crate::server) usage: bool,
    /// Chunks that tell how far the work is.
    pub(in crate::server) progress: bool,
}

impl Asked {
    /// Reads a body. `uploads` finds the files that were uploaded with the same key.
    ///
    /// # Errors
    /// Status 400 naming the field that cannot be taken, 404 for a file that is not there.
    pub(in crate::server) fn read(
        body: ChatBody,
        manifest: &Manifest,
        settings: &ServerSettings,
        uploads: Uploads,
    ) -> Result<Self, Fault> {
        let stream = body.stream.unwrap_or_default();
        if body.stream_options.is_some() && !stream {
            return Err(
                Fault::field("stream_options", "stream: true beside it", "none").hint("set stream to true")
            );
        }
        let usage =
            body.stream_options.as_ref().and_then(|options| options.include_usage).unwrap_or_default();
        let read = read_all(&body, body.studies())?;
        let delivery = match stream {
            true => Delivery::Stream(StreamForm { usage, progress: read.progress }),
            false => Delivery::Whole,
        };
        let ChatBody { model, messages, .. } = body;
        let reading = Reading {
            manifest,
            instruction: &read.options.instruction,
            options: &read.studies,
            uploads,
            studies: Vec::new(),
            detail: None,
        };
        let conversation = reading.conversation(messages)?;
        let mut options = read.options.ask;
        if !read.has_tiles && conversation.detail == Some(Detail::High) {
            options.max_tiles = Some(settings.max_tiles);
        }
        options.timeout = soonest(options.timeout, settings.timeout);
        Ok(Self { request: conversation.request, options, model, delivery, given: read.given })
    }
}

fn soonest(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
