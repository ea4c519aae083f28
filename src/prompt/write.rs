//! Turns to pieces.

use super::pieces::Written;
use super::{clinical, reference};
use crate::error::{Error, Result};
use crate::package::PromptTemplate;
use crate::request::{Part, Preprocessing, Request, Role, Turn};
use crate::tokenizer::Tokenizer;

/// Writes out a conversation. `frames` holds the number of frames of each study.
///
/// # Errors
/// [`Error::Request`] if the turns do not alternate or end with the user's, or if the studies are not placed.
pub(crate) fn write(
    template: &PromptTemplate,
    request: &Request,
    frames: &[usize],
    mode: Preprocessing,
) -> Result<Written> {
    check_turns(&request.turns)?;
    request.check_asks(mode)?;
    match mode {
        Preprocessing::Reference => reference::write(template, request, frames),
        Preprocessing::Clinical => clinical::write(template, request, frames),
    }
}

/// Turns of both sides in alternation, the user's first and last.
fn check_turns(turns: &[Turn]) -> Result<()> {
    let wanted = |place: usize| if place.is_multiple_of(2) { Role::User } else { Role::Assistant };
    if let Some(place) = (0..turns.len()).find(|&place| turns[place].role != wanted(place)) {
        let role = |role| if role == Role::User { "the user" } else { "the assistant" };
        return Err(Error::request(
            format!("turn {place}"),
            format!("a turn of {}", role(wanted(place))),
            format!("one of {}", role(turns[place].role)),
        )
        .hint("user and assistant take turns, and the user begins"));
    }
    match turns.len().is_multiple_of(2) {
        false => Ok(()),
        true => {
            Err(Error::request("turns", "the user's turn at the end", "nothing to answer")
                .hint("ask something"))
        }
    }
}

/// What the caller should know about the text of a request: control tokens in it count in reference mode.
pub(crate) fn remarks(request: &Request, tokenizer: &Tokenizer, mode: Preprocessing) -> Vec<String> {
    let parts = request.system.iter().flatten().chain(request.turns.iter().flat_map(|turn| &turn.parts));
    let controls = |part: &Part| matches!(part, Part::Text(text) if tokenizer.find_added(text).is_some());
    match mode == Preprocessing::Reference && parts.into_iter().any(controls) {
        true => vec!["the text holds control tokens, which count as such, as in the reference".into()],
        false => Vec::new(),
    }
}
