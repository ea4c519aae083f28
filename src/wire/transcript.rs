//! Conversations as JSON: the pairs alone, `[[question, answer], …]`, or an object with `history`, `studies`, `system`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::json::json;
use super::options::{Chosen, Files};
use super::study::{brief, read_study, study};
use super::text::read_text;
use crate::conversation::Conversation;
use crate::error::{Error, Result};
use crate::request::{Part, Request, Turn};
use crate::study::{Preprocessing, StudyInput};

/// What one side said: a text in which `<image>` places the next study, or a list of `{"text": TEXT}` and `"study"`, where
/// a text is its letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Message {
    /// A text in the seed's grammar.
    Tagged(String),
    /// Parts.
    Parts(Vec<Piece>),
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Piece {
    /// A text that is its letters.
    Text(String),
    /// Here stands the next study.
    Study,
}

impl Message {
    /// A text that places no study.
    pub fn letters(text: &str) -> Self {
        Message::Parts(vec![Piece::Text(text.to_owned())])
    }

    /// The parts; `placeholder` is what places a study in a text.
    pub fn parts(&self, placeholder: &str) -> Vec<Part> {
        let part = |piece: &Piece| match piece {
            Piece::Text(text) => Part::Text(text.clone()),
            Piece::Study => Part::Study,
        };
        match self {
            Message::Tagged(text) => Part::tagged(placeholder, text),
            Message::Parts(pieces) => pieces.iter().map(part).collect(),
        }
    }

    /// The message of these parts: a text, unless one of them holds the placeholder as letters.
    pub fn of(parts: &[Part], placeholder: &str) -> Self {
        let letters = |part: &Part| matches!(part, Part::Text(text) if text.contains(placeholder));
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Study => placeholder.to_owned(),
        };
        let tagged: String = parts.iter().map(text).collect();
        // Two texts side by side could make up a placeholder as well.
        let places = parts.iter().filter(|part| **part == Part::Study).count();
        if !parts.iter().any(letters) && tagged.matches(placeholder).count() == places {
            return Message::Tagged(tagged);
        }
        let piece = |part: &Part| match part {
            Part::Text(text) => Piece::Text(text.clone()),
            Part::Study => Piece::Study,
        };
        Message::Parts(parts.iter().map(piece).collect())
    }
}

/// Earlier turns and what goes with them.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    /// Questions and answers, oldest first.
    pub history: Vec<(Message, Message)>,
    /// What they are about, in the order in which they place it.
    pub studies: Vec<StudyInput>,
    /// The system message; `Some(None)` is the package's. `None` if the file does not say.
    pub system: Option<Option<Message>>,
}

const HINT: &str = "write it with /save of a chat";
const WANTED: &str = "a JSON list of [question, answer] pairs, or what /save of a chat wrote";

impl Transcript {
    /// Reads a file; what it names lies relative to the working folder.
    ///
    /// # Errors
    /// [`Error::Request`] with the file's name.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display();
        let text = read_text(path)?;
        let value = json(&text).map_err(|error| Error::request(&name, WANTED, error).hint(HINT))?;
        Self::read(&value, Files::Read(Path::new(""))).map_err(|error| {
            let facts = error.facts();
            Error::request(format!("{name}: {}", facts.thing), &facts.wanted, &facts.got).hint(&facts.hint)
        })
    }

    /// Reads pairs, or an object with `history`, `studies` and `system`.
    ///
    /// # Errors
    /// [`Error::Request`] naming the field that cannot be read.
    pub fn read(value: &Value, files: Files) -> Result<Self> {
        let Value::Object(fields) = value else {
            return Ok(Self { history: part("history", value)?, ..Self::default() });
        };
        if let Some(other) =
            fields.keys().find(|name| !["history", "studies", "system"].contains(&name.as_str()))
        {
            return Err(Error::request("conversation", WANTED, format!("the field {other}"))
                .hint("leave the field out"));
        }
        let field = |name: &str| {
            fields
                .get(name)
                .ok_or_else(|| Error::request("conversation", WANTED, format!("no {name}")).hint(HINT))
        };
        let studies: Vec<Value> = fields
            .get("studies")
            .filter(|value| !value.is_null())
            .map_or(Ok(Vec::new()), |value| part("studies", value))?;
        let shared = Chosen::default();
        Ok(Self {
            history: part("history", field("history")?)?,
            studies: studies.iter().map(|study| read_study(study, &shared, files)).collect::<Result<_>>()?,
            system: fields.get("system").map(|value| part("system", value)).transpose()?,
        })
    }

    /// The conversation that continues from it.
    pub fn conversation(&self, placeholder: &str) -> Conversation {
        let turns = self.history.iter().flat_map(|(question, answer)| {
            [Turn::user(question.parts(placeholder)), Turn::assistant(answer.parts(placeholder))]
        });
        let system = self.system.iter().flatten().next().map(|message| message.parts(placeholder));
        Conversation::after(turns.collect(), self.studies.clone(), system)
    }
}

/// The next question of a conversation, as a file or a command line asks it. In reference mode nothing is placed in it that
/// its text does not place, as in the script.
pub fn next_question(conversation: &Conversation, question: Vec<Part>, mode: Preprocessing) -> Request {
    match mode {
        Preprocessing::Clinical => conversation.ask(question),
        Preprocessing::Reference => {
            let mut request = conversation.ask(question.clone());
            request.turns.pop();
            request.turns.push(Turn::user(question));
            request
        }
    }
}

/// A conversation as [`Transcript::read`] reads it: what was said, and the studies that it is about.
///
/// # Errors
/// [`Error::Request`] if one of the studies is not in one file.
pub fn transcript(conversation: &Conversation, placeholder: &str) -> Result<Value> {
    let message = |parts: &[Part]| json!(Message::of(parts, placeholder));
    let turns: Vec<_> = conversation.turns().iter().map(|turn| message(&turn.parts)).collect();
    let asked = conversation.studies().len() - conversation.new_studies().len();
    let studies = conversation.studies()[..asked].iter().map(|input| {
        let wanted = "studies in one file each, with names of UTF-8";
        study(input).ok_or_else(|| {
            Error::request("conversation", wanted, input.name()).hint("rename the file, and add it again")
        })
    });
    let mut object = Map::new();
    object.insert("history".into(), turns.chunks(2).map(|pair| json!(pair)).collect());
    object.insert("studies".into(), studies.collect::<Result<Value>>()?);
    object.insert("system".into(), conversation.system.as_deref().map(message).into());
    Ok(object.into())
}

/// A part of a conversation in JSON.
pub(super) fn part<T: serde::de::DeserializeOwned>(name: &str, value: &Value) -> Result<T> {
    let (wanted, hint) = match name {
        "history" => {
            ("[question, answer] pairs, each a text or a list of parts", r#"write [["question", "answer"]]"#)
        }
        "studies" => ("a list of studies", r#"write [{"image": FILE}], for example"#),
        _ => ("a text or a list of parts", r#"write "text", or [{"text": "…"}, "study"]"#),
    };
    T::deserialize(value).map_err(|_| Error::request(name, wanted, brief(value)).hint(hint))
}
