//! A request's line of the audit, while it grows.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::audit::{Answer, Content, Entry, Keeps, Study, key_prefix};
use super::fault::Fault;
use super::openai::Asked;
use super::state::{Loaded, Shared};
use crate::digest::{hex, sha256_of};
use crate::request::{Part, Reply, Role};
use crate::study::{Source, StudyInput};
use crate::wire;

/// A request's line of the audit. It is written when the last of those who add to it are done. Without an audit nothing is kept.
#[derive(Clone)]
pub(super) struct Record(Option<Arc<Held>>);

struct Held {
    app: Shared,
    entry: Mutex<Entry>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(audit) = &self.app.audit {
            audit.write(&self.entry.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Record {
    /// The line of a request with this id, sent with the key of this scope.
    pub(super) fn begin(app: &Shared, id: &str, scope: &[u8]) -> Self {
        let entry = || Entry { request: id.to_owned(), key: key_prefix(scope), ..Entry::default() };
        let held = || Arc::new(Held { app: Arc::clone(app), entry: Mutex::new(entry()) });
        Self(app.audit.is_some().then(held))
    }

    /// For what nobody asks about later.
    pub(super) fn none() -> Self {
        Self(None)
    }

    fn add(&self, change: impl FnOnce(&mut Entry, Keeps)) {
        let Some(held) = &self.0 else { return };
        let keeps = held.app.audit.as_ref().map_or(Keeps::NoContent, super::audit::Audit::keeps);
        change(&mut held.entry.lock().unwrap_or_else(PoisonError::into_inner), keeps);
    }

    pub(super) fn route(&self, route: String) {
        self.add(|entry, _| entry.route = route);
    }

    pub(super) fn status(&self, status: u16) {
        self.add(|entry, _| entry.status = status);
    }

    pub(super) fn failed(&self, fault: &Fault) {
        self.add(|entry, _| entry.failure = Some(fault.failure()));
    }

    /// What is asked, of which package, and with which uploads.
    pub(super) fn asked(&self, asked: &Asked, loaded: &Loaded, uploads: Vec<Study>) {
        if self.0.is_none() {
            return;
        }
        let mut uploads = uploads.into_iter();
        let all = asked.request.studies.iter();
        let studies = all.filter_map(|sent| study(sent).or_else(|| uploads.next())).collect();
        self.add(|entry, keeps| {
            entry.model.clone_from(&asked.model);
            entry.package = Some(wire::package(loaded.engine.package()));
            entry.options = asked.given.clone();
            entry.studies = studies;
            if keeps == Keeps::Content {
                let turn =
                    |turn: &crate::request::Turn| json!({"role": role(turn.role), "text": text(&turn.parts)});
                let messages = asked.request.turns.iter().map(turn).collect();
                entry.content = Some(Content { messages, answers: Vec::new() });
            }
        });
    }

    pub(super) fn answered(&self, reply: &Reply) {
        self.add(|entry, _| {
            entry.answers.push(Answer::from(reply));
            if let Some(content) = &mut entry.content {
                content.answers.push(reply.text.clone());
            }
        });
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

fn text(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Study => "[study]".into(),
    };
    parts.iter().map(text).collect()
}

/// What a study was, by its bytes. Those of an upload were counted when it came.
fn study(study: &StudyInput) -> Option<Study> {
    let StudyInput::File { source: Source::Bytes { bytes, .. }, .. } = study else { return None };
    let sha256 = hex(&sha256_of(&bytes[..]).ok()?);
    Some(Study { sha256, bytes: bytes.len() as u64, file: None })
}
