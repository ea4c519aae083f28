//! What an answer must look like, and what is checked of it before it is compiled.

use crate::error::{Error, Result};

/// Longest text of a schema, expression or grammar, and of all choices together. Far above what people write; it
/// bounds what a request can cost before any reply.
const MOST_BYTES: usize = 256 << 10;
const MOST_CHOICES: usize = 10_000;
/// Longest regular expression, wherever it stands: compiling takes time as the square of it, 3 s for 32 KiB.
const MOST_EXPRESSION: usize = 16 << 10;

/// What an answer must look like.
///
/// Where the instruction asks for the package's answer tags, as [`Instruction::Reasoning`](crate::Instruction::Reasoning) does,
/// the constraint holds between them and the thought before is free; a turn that the model would end without an
/// answer continues with one. Otherwise it holds from the first token on, and there is no thought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Constraint {
    /// JSON that is valid under this schema, given as text.
    JsonSchema(String),
    /// A match of this regular expression, in the syntax of Rust's `regex` without look-around.
    Regex(String),
    /// One of these texts.
    Choice(Vec<String>),
    /// A text of this Lark grammar, in llguidance's variant of the syntax.
    Lark(String),
}

impl Constraint {
    /// What messages call it: the name of its option.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Constraint::JsonSchema(_) => "json-schema",
            Constraint::Regex(_) => "regex",
            Constraint::Choice(_) => "choice",
            Constraint::Lark(_) => "grammar",
        }
    }

    /// Refuses what is empty or too large before anything is compiled.
    ///
    /// # Errors
    /// [`Error::Request`] naming the option.
    pub(crate) fn check(&self) -> Result<()> {
        let bytes = match self {
            Constraint::Choice(texts) => {
                if texts.is_empty() || texts.len() > MOST_CHOICES {
                    return Err(Error::request("choice", format!("1 to {MOST_CHOICES} texts"), texts.len())
                        .hint("name the texts to choose from, or leave it out"));
                }
                if texts.iter().any(String::is_empty) {
                    return Err(Error::request("choice", "texts", "an empty one")
                        .hint("write it out, or leave it out"));
                }
                texts.iter().map(String::len).sum()
            }
            Constraint::JsonSchema(text) | Constraint::Regex(text) | Constraint::Lark(text) => text.len(),
        };
        if !(1..=MOST_BYTES).contains(&bytes) {
            return Err(Error::request(self.name(), format!("1 to {MOST_BYTES} bytes"), bytes)
                .hint("write a shorter one, or leave it out"));
        }
        match longest_expression(self) {
            0..=MOST_EXPRESSION => Ok(()),
            longest => {
                let wanted = format!("regular expressions and texts of at most {MOST_EXPRESSION} bytes each");
                Err(Error::request(self.name(), wanted, longest).hint("divide it, or write a shorter one"))
            }
        }
    }
}

/// Bytes of the longest part that may be a regular expression. In a grammar none goes beyond its line, in a schema
/// beyond its string.
fn longest_expression(constraint: &Constraint) -> usize {
    match constraint {
        Constraint::Choice(_) => 0,
        Constraint::Regex(text) => text.len(),
        Constraint::Lark(text) => text.lines().map(str::len).max().unwrap_or_default(),
        Constraint::JsonSchema(text) => {
            let (mut longest, mut length) = (0, None);
            let mut escaped = false;
            for byte in text.bytes() {
                length = match (byte, length) {
                    (b'"', None) => Some(0),
                    (b'"', Some(_)) if !escaped => None,
                    (_, inside) => inside.map(|length| length + 1),
                };
                escaped = byte == b'\\' && !escaped;
                longest = longest.max(length.unwrap_or_default());
            }
            longest
        }
    }
}
