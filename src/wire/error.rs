//! Failures as JSON.

use serde_json::{Value, json};

use crate::error::Error;

/// A failure with its four facts: `code`, `thing`, `wanted`, `got`, `hint` and `message`, which is all of it in a sentence.
pub fn error(error: &Error) -> Value {
    let facts = error.facts();
    json!({
        "code": error.code().name(),
        "thing": facts.thing,
        "wanted": facts.wanted,
        "got": facts.got,
        "hint": facts.hint,
        "message": error.to_string(),
    })
}
