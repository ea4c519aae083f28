//! What a request did.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::line::line;
use super::options::without_content;
use crate::digest::hex;
use crate::request::Reply;
use crate::wire;

/// What a request did, as far as it came. What it never came to is left out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    /// Its id.
    pub(crate) request: String,
    /// Who sent it: [`key_prefix`] of its scope.
    pub(crate) key: Option<String>,
    /// The pattern that its path matched, with the method: `POST /v1/chat/completions`.
    pub(crate) route: String,
    /// HTTP status of the response.
    pub(crate) status: u16,
    /// The name that the model was called by.
    pub(crate) model: Option<String>,
    /// The package: [`wire::package`].
    pub(crate) package: Option<Value>,
    /// Its studies, in order.
    pub(crate) studies: Vec<Study>,
    /// The options that were set, by name. Only their harmless values are written.
    pub(crate) options: Map<String, Value>,
    /// Its answers, in order.
    pub(crate) answers: Vec<Answer>,
    /// Why there is none.
    pub(crate) failure: Option<Failure>,
    /// What was asked and answered. It is written only where that was asked for.
    pub(crate) content: Option<Content>,
}

/// A study as the client sent it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Study {
    /// SHA-256 of its bytes, in hex.
    pub(crate) sha256: String,
    /// How many there were.
    pub(crate) bytes: u64,
    /// The id of the upload, where it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
}

/// How an answer ended and what it took.
#[derive(Debug, Clone)]
pub(crate) struct Answer(Value);

/// An error, by its stable words alone: a message may quote a request.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Failure {
    /// Its kind: `invalid_request_error`.
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// Its code: `queue_full`, `input`.
    pub(crate) code: String,
}

/// What was asked and answered.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Content {
    /// The messages, pictures left out.
    pub(crate) messages: Vec<Value>,
    /// All of the text of each answer.
    pub(crate) answers: Vec<String>,
}

impl From<&Reply> for Answer {
    fn from(reply: &Reply) -> Self {
        let whole = wire::reply(reply);
        Self(json!({
            "finish": whole["finish"],
            "truncated": whole["truncated"],
            "usage": whole["usage"],
            "frames": reply.frames.len(),
            "tiles": reply.frames.iter().map(|frame| frame.tiles).sum::<usize>(),
            "warnings": reply.warnings.len(),
            "timings_ms": whole["timings_ms"],
        }))
    }
}

/// The first 12 digits of the SHA-256 of a key, which name it to whoever has the key and to nobody else; none without keys.
/// `scope` is the whole digest.
pub(crate) fn key_prefix(scope: &[u8]) -> Option<String> {
    scope.get(..6).map(hex)
}

/// An entry as it is written.
#[derive(Serialize)]
struct Written<'a> {
    time: String,
    request: &'a str,
    key: Option<&'a str>,
    route: &'a str,
    status: u16,
    version: &'static str,
    model: Option<&'a str>,
    package: Option<&'a Value>,
    studies: &'a [Study],
    options: Map<String, Value>,
    answers: Vec<&'a Value>,
    error: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a Content>,
}

/// Whether the audit keeps what was asked and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Numbers, digests and words of fixed lists.
    NoContent,
    /// Questions and answers too.
    Content,
}

impl Entry {
    /// The line of this entry, its end included.
    pub(super) fn line(&self, time: SystemTime, keeps: Keeps) -> serde_json::Result<String> {
        line(&Written {
            time: time_of(time),
            request: &self.request,
            key: self.key.as_deref(),
            route: &self.route,
            status: self.status,
            version: env!("CARGO_PKG_VERSION"),
            model: self.model.as_deref(),
            package: self.package.as_ref(),
            studies: &self.studies,
            options: without_content(&self.options),
            answers: self.answers.iter().map(|answer| &answer.0).collect(),
            error: self.failure.as_ref(),
            content: self.content.as_ref().filter(|_| keeps == Keeps::Content),
        })
    }
}

/// RFC 3339, UTC, to the millisecond.
pub(super) fn time_of(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn entry() -> Entry {
        Entry {
            request: "r1".into(),
            key: key_prefix(&[0xab; 32]),
            route: "POST /v1/chat/completions".into(),
            status: 200,
            studies: vec![Study { sha256: "00".repeat(32), bytes: 7, file: None }],
            options: Map::from_iter([
                ("max_new_tokens".into(), json!(5)),
                ("choice".into(), json!("secret")),
            ]),
            content: Some(Content { messages: vec![json!("secret")], answers: vec!["secret".into()] }),
            ..Entry::default()
        }
    }

    #[test]
    fn content_is_written_only_where_it_was_asked_for() {
        let time = UNIX_EPOCH + Duration::from_millis(1_764_142_200_123);
        let line = entry().line(time, Keeps::NoContent).unwrap();
        assert!(!line.contains("secret"), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["time"], "2025-11-26T07:30:00.123Z");
        assert_eq!(read["key"], "abababababab");
        assert_eq!(read["options"], json!({"max_new_tokens": 5, "choice": {"bytes": 6}}));
        assert_eq!(read["studies"], json!([{"sha256": "00".repeat(32), "bytes": 7}]));
        assert_eq!((&read["error"], read.get("content")), (&Value::Null, None));

        let line = entry().line(time, Keeps::Content).unwrap();
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["content"], json!({"messages": ["secret"], "answers": ["secret"]}));
    }

    #[test]
    fn an_entry_cannot_forge_another() {
        let evil = "x\"}\n{\"time\":\"2000-01-01T00:00:00Z\",\"request\":\"forged\u{2028}";
        let entry = Entry {
            request: evil.into(),
            route: evil.into(),
            model: Some(evil.into()),
            options: Map::from_iter([(evil.into(), json!(evil))]),
            failure: Some(Failure { kind: "server_error", code: evil.into() }),
            ..Entry::default()
        };
        let line = entry.line(UNIX_EPOCH, Keeps::NoContent).unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains('\u{2028}'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["request"], &read["model"]), (&json!(evil), &json!(evil)));
    }

    #[test]
    fn nobody_has_no_key() {
        assert_eq!(key_prefix(&[]), None);
    }
}
