//! Who says what, and where the studies stand in it.

use crate::error::{Error, Result};
use crate::study::{Preprocessing, StudyInput};

/// A question about any number of studies, with what was said before.
///
/// ```
/// use fleming::{Part, Request, StudyInput, Turn};
///
/// // The studies come before the question.
/// let before = StudyInput::image("before.png");
/// let request = Request::about(vec![before.clone()], "Is there a nodule?");
///
/// // Or where the turns say.
/// let after = StudyInput::image("after.png");
/// let request = Request {
///     studies: vec![before, after],
///     turns: vec![Turn::user([
///         "Before: ".into(), Part::Study, "\nAfter: ".into(), Part::Study, "\nWhat has changed?".into(),
///     ])],
///     ..Request::default()
/// };
/// ```
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// What to look at, in the order in which the turns place it.
    pub studies: Vec<StudyInput>,
    /// The system message; the package's if absent.
    pub system: Option<Vec<Part>>,
    /// What was said, oldest first. The last turn is the user's and is answered.
    ///
    /// With no [`Part::Study`] anywhere, all studies come before the last turn's text, as the model was trained. A
    /// later turn without an [`Instruction`] must place them itself.
    pub turns: Vec<Turn>,
    /// What stands before the last turn's text.
    pub instruction: Instruction,
}

/// What one side said. An empty turn is written as a role without text, as in the reference's template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said. The parts are written one after the other with nothing between them.
    pub parts: Vec<Part>,
}

/// A side of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text. In clinical mode it is taken literally: it places no study and holds no control token.
    Text(String),
    /// The next of [`Request::studies`] stands here, each frame on a line of its own. Where there are as many of these
    /// as there are frames in all studies together, it is the next frame instead.
    Study,
}

/// What stands before the question in the user's turn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Instruction {
    /// The package's text that asks for `<think>` and `<answer>`, as the reference script sends it.
    #[default]
    Reasoning,
    /// Nothing: the question as it is.
    Direct,
    /// This text.
    Custom(String),
}

/// A finished pair of turns, in the seed's grammar; see [`Request::tagged`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// What the user said.
    pub question: String,
    /// What the model answered.
    pub answer: String,
}

impl Request {
    /// A question about these studies, which come before it.
    pub fn about(studies: Vec<StudyInput>, question: impl Into<String>) -> Self {
        Self { studies, turns: vec![Turn::user([Part::Text(question.into())])], ..Self::default() }
    }

    /// A request in the grammar of the reference script, where `placeholder` in a text places the next study; see
    /// [`Manifest::placeholder`](crate::Manifest::placeholder).
    pub fn tagged(placeholder: &str, studies: Vec<StudyInput>, history: &[Exchange], question: &str) -> Self {
        let parts = |text| Part::tagged(placeholder, text);
        let mut turns = Vec::with_capacity(2 * history.len() + 1);
        for exchange in history {
            turns.push(Turn::user(parts(&exchange.question)));
            turns.push(Turn::assistant(parts(&exchange.answer)));
        }
        turns.push(Turn::user(parts(question)));
        Self { studies, turns, ..Self::default() }
    }
}

impl Request {
    /// Refuses a last turn that asks nothing: without a letter or a place for a study, and without an instruction of its own
    /// before it. The reference script takes one.
    ///
    /// # Errors
    /// [`Error::Request`].
    pub fn check_asks(&self, mode: Preprocessing) -> Result<()> {
        let says = |part: &Part| match part {
            Part::Text(text) => !text.trim().is_empty(),
            Part::Study => true,
        };
        let instructs = matches!(&self.instruction, Instruction::Custom(text) if !text.trim().is_empty());
        let asks = self.turns.last().is_some_and(|turn| turn.parts.iter().any(says));
        match asks || instructs || mode == Preprocessing::Reference {
            true => Ok(()),
            false => Err(Error::request("question", "a text", "an empty one").hint("ask something")),
        }
    }
}

impl Turn {
    /// A turn of the user's.
    pub fn user(parts: impl Into<Vec<Part>>) -> Self {
        Self { role: Role::User, parts: parts.into() }
    }

    /// A turn of the model's.
    pub fn assistant(parts: impl Into<Vec<Part>>) -> Self {
        Self { role: Role::Assistant, parts: parts.into() }
    }
}

impl Part {
    /// The parts of a text in which `placeholder` places a study.
    pub fn tagged(placeholder: &str, text: &str) -> Vec<Self> {
        let mut parts = Vec::new();
        for (number, piece) in text.split(placeholder).enumerate() {
            if number > 0 {
                parts.push(Part::Study);
            }
            if !piece.is_empty() {
                parts.push(piece.into());
            }
        }
        parts
    }
}

impl From<&str> for Part {
    fn from(text: &str) -> Self {
        Part::Text(text.to_owned())
    }
}

impl From<String> for Part {
    fn from(text: String) -> Self {
        Part::Text(text)
    }
}
