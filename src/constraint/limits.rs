//! What is checked of a constraint before it is compiled.

use crate::error::{Error, Result};
use crate::request::Constraint;

/// Longest text of a schema, expression or grammar, and of all choices together. Far above what people write; it
/// bounds what a request can cost before any reply.
const MOST_BYTES: usize = 256 << 10;
const MOST_CHOICES: usize = 10_000;

/// What messages call a constraint: the name of its option.
pub(super) fn name(constraint: &Constraint) -> &'static str {
    match constraint {
        Constraint::JsonSchema(_) => "json-schema",
        Constraint::Regex(_) => "regex",
        Constraint::Choice(_) => "choice",
        Constraint::Lark(_) => "grammar",
    }
}

/// Refuses what is empty or too large before anything is compiled.
pub(super) fn check(constraint: &Constraint) -> Result<()> {
    let bytes = match constraint {
        Constraint::Choice(texts) => {
            if texts.is_empty() || texts.len() > MOST_CHOICES {
                return Err(Error::request("choice", format!("1 to {MOST_CHOICES} texts"), texts.len())
                    .hint("name the texts to choose from, or leave it out"));
            }
            if texts.iter().any(String::is_empty) {
                return Err(
                    Error::request("choice", "texts", "an empty one").hint("write it out, or leave it out")
                );
            }
            texts.iter().map(String::len).sum()
        }
        Constraint::JsonSchema(text) | Constraint::Regex(text) | Constraint::Lark(text) => text.len(),
    };
    match bytes {
        1..=MOST_BYTES => Ok(()),
        _ => Err(Error::request(name(constraint), format!("1 to {MOST_BYTES} bytes"), bytes)
            .hint("write a shorter one, or leave it out")),
    }
}
