//! A prompt as pieces, and what is refused of it.

use crate::error::Error;
use crate::package::PromptTemplate;
use crate::request::Role;

/// A prompt before it is tokenised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(super) pieces: Vec<Piece>,
    pub(crate) warnings: Vec<String>,
}

/// A part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text whose control tokens count.
    Template(String),
    /// Text that is its letters.
    Letters(String),
    /// The next frame.
    Frame,
}

impl Written {
    /// Bytes of its texts.
    pub(crate) fn bytes(&self) -> usize {
        let bytes = |piece: &Piece| match piece {
            Piece::Template(text) | Piece::Letters(text) => text.len(),
            Piece::Frame => 0,
        };
        self.pieces.iter().map(bytes).sum()
    }

    /// The prompt as one text with a placeholder for each frame.
    pub(crate) fn text(&self, template: &PromptTemplate) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Template(text) | Piece::Letters(text) => text.clone(),
            Piece::Frame => template.placeholder.clone(),
        };
        self.pieces.iter().map(text).collect()
    }
}

pub(super) fn nothing_asked() -> Error {
    Error::request("turns", "at least the user's", "none").hint("ask something")
}

/// What begins a turn.
pub(super) fn start(template: &PromptTemplate, role: Role) -> &str {
    match role {
        Role::User => &template.user_start,
        Role::Assistant => &template.assistant_start,
    }
}

/// The refusal of a prompt that places `marks` studies or frames.
pub(super) fn misplaced(template: &PromptTemplate, frames: &[usize], marks: usize) -> Error {
    let tag = &template.placeholder;
    let wanted = match (frames.len(), frames.iter().sum::<usize>()) {
        (0, _) => format!("no {tag}: there is no study"),
        (studies, frames) if studies == frames => format!("{studies} {tag}, one a picture, or none at all"),
        (studies, frames) => {
            format!("{studies} {tag}, one a study, or {frames}, one a frame, or none at all")
        }
    };
    let hint = match marks {
        _ if frames.is_empty() => format!("name a file to look at, or leave {tag} out"),
        0 => format!("a conversation that goes on says itself where the study stands: write {tag} there"),
        _ => format!("each {tag} in the system text or in the history counts too"),
    };
    Error::request("prompt", wanted, marks).hint(hint)
}
