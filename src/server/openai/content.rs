//! Messages to turns and studies.

use serde_json::{Map, Value};

use super::body::{Content, DataUrl, FilePart, Message, Part};
use super::data_url;
use super::options::{StudyOptions, no_others};
use crate::package::Manifest;
use crate::request::{self, Instruction, Request, Turn};
use crate::server::fault::Fault;
use crate::server::store::clean_name;
use crate::study::{Source, StudyInput};

/// Where an uploaded file is, by its id.
pub(in crate::server) type Uploads<'a> = &'a dyn Fn(&str) -> Option<Source>;

/// How many tiles a client asks for in OpenAI's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Low,
    High,
}

/// What the messages of a request come to.
pub(super) struct Conversation {
    pub(super) request: Request,
    pub(super) detail: Option<Detail>,
}

/// Reads messages one after the other.
pub(super) struct Reading<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) instruction: &'a Instruction,
    pub(super) options: &'a StudyOptions,
    pub(super) uploads: Uploads<'a>,
    pub(super) studies: Vec<StudyInput>,
    pub(super) detail: Option<Detail>,
}

impl Reading<'_> {
    /// The conversation that the messages are.
    ///
    /// # Errors
    /// Status 400 naming what cannot be taken.
    pub(super) fn conversation(mut self, messages: Vec<Message>) -> Result<Conversation, Fault> {
        let (mut system, mut turns) = (None, Vec::new());
        let last = messages.len().saturating_sub(1);
        for (place, message) in messages.into_iter().enumerate() {
            let at = format!("messages[{place}]");
            no_others(&at, &message.others, &[])?;
            match message.role.as_str() {
                "system" | "developer" if turns.is_empty() && system.is_none() => {
                    system = Some(self.text(&at, message)?);
                }
                "system" | "developer" => {
                    return Err(Fault::field(
                        format!("{at}.role"),
                        "the system message first, and once",
                        "another one",
                    )
                    .hint("join them into the first message"));
                }
                "user" => {
                    alternate(&at, &turns, request::Role::User)?;
                    let instruction = self.manifest.instruction(self.instruction).filter(|_| place < last);
                    turns.push(self.user(&at, message, instruction)?);
                }
                "assistant" => {
                    alternate(&at, &turns, request::Role::Assistant)?;
                    turns.push(self.assistant(&at, message)?);
                }
                other => {
                    return Err(Fault::field(
                        format!("{at}.role"),
                        "system, developer, user or assistant",
                        other,
                    )
                    .hint("this model uses no tools"));
                }
            }
        }
        if turns.len().is_multiple_of(2) {
            let got = if turns.is_empty() { "none" } else { "one of the assistant" };
            return Err(
                Fault::field("messages", "a message of the user at the end", got).hint("ask something")
            );
        }
        let instruction = self.instruction.clone();
        Ok(Conversation {
            request: Request { studies: self.studies, system, turns, instruction },
            detail: self.detail,
        })
    }

    /// A message that may hold text alone.
    fn text(&mut self, at: &str, message: Message) -> Result<Vec<request::Part>, Fault> {
        let before = self.studies.len();
        let parts = self.content(at, message.content)?;
        match self.studies.len() == before {
            true => Ok(parts),
            false => Err(Fault::field(format!("{at}.content"), "text", "a study")
                .hint("studies belong to the user's messages")),
        }
    }

    /// A question. Earlier ones begin with the instruction, as they did when they were asked.
    fn user(&mut self, at: &str, message: Message, instruction: Option<&str>) -> Result<Turn, Fault> {
        if message.content.is_none() {
            return Err(Fault::field(format!("{at}.content"), "a text or a list of parts", "none")
                .hint("ask something"));
        }
        let parts = self.content(at, message.content)?;
        let before = instruction.map(|text| request::Part::Text(format!("{text}\n")));
        Ok(Turn::user(before.into_iter().chain(parts).collect::<Vec<_>>()))
    }

    /// An earlier answer, with its thought where the client kept it.
    fn assistant(&mut self, at: &str, message: Message) -> Result<Turn, Fault> {
        let thought = message.reasoning_content.clone().or(message.reasoning.clone());
        let parts = self.text(at, message)?;
        let text = |part: &request::Part| match part {
            request::Part::Text(text) => text.clone(),
            request::Part::Study => String::new(),
        };
        let answer: String = parts.iter().map(text).collect();
        Ok(Turn::assistant([request::Part::Text(match thought {
            Some(thought) => self.manifest.reply_text(&thought, &answer),
            None => answer,
        })]))
    }

    /// The parts of a message. Studies that stand before or after all of its text come before it, as the model was trained.
    /// Those between two texts stay between them.
    fn content(&mut self, at: &str, content: Option<Content>) -> Result<Vec<request::Part>, Fault> {
        let parts = match content {
            None => Vec::new(),
            Some(Content::Text(text)) => vec![request::Part::Text(text)],
            Some(Content::Parts(parts)) => {
                let read = |(place, part)| self.part(&format!("{at}.content[{place}]"), part);
                parts.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?
            }
        };
        let is_text = |part: &request::Part| matches!(part, request::Part::Text(_));
        let runs = parts
            .chunk_by(|one, other| is_text(one) == is_text(other))
            .filter(|run| is_text(&run[0]))
            .count();
        let (texts, studies): (Vec<_>, Vec<_>) = parts.iter().cloned().partition(is_text);
        Ok(match runs {
            0 | 1 => studies.into_iter().flat_map(|study| [study, "\n".into()]).chain(texts).collect(),
            _ => parts,
        })
    }

    fn part(&mut self, at: &str, part: Part) -> Result<request::Part, Fault> {
        let Part { r#type, text, image_url, video_url, input_video, file, fleming, others } = part;
        if !PARTS.contains(&r#type.as_str()) {
            return Err(
                Fault::field(format!("{at}.type"), PARTS.join(" or "), r#type).hint("leave this part out")
            );
        }
        no_others(at, &others, &["cache_control"])?;
        let missing = |field: &str| {
            Fault::field(
                format!("{at}.{field}"),
                format!("what a part of the type {type} holds", r#type = r#type),
                "none",
            )
            .hint(format!("add the field {field}"))
        };
        let own = Own { at, options: fleming.unwrap_or_default() };
        match r#type.as_str() {
            "text" => return Ok(request::Part::Text(text.ok_or_else(|| missing("text"))?)),
            "image_url" => {
                let url = image_url.ok_or_else(|| missing("image_url"))?;
                self.detail(at, url.detail.as_deref())?;
                self.study(&own, Kind::Image, "image_url", url)?;
            }
            "video_url" => {
                self.study(&own, Kind::Video, "video_url", video_url.ok_or_else(|| missing("video_url"))?)?
            }
            "input_video" => {
                self.study(
                    &own,
                    Kind::Video,
                    "input_video",
                    input_video.ok_or_else(|| missing("input_video"))?,
                )?;
            }
            _ => {
                let source = self.source(at, file.ok_or_else(|| missing("file"))?)?;
                self.add(&own, StudyInput::file(source))?;
            }
        }
        Ok(request::Part::Study)
    }

    /// Where the bytes of a file are.
    fn source(&self, at: &str, file: FilePart) -> Result<Source, Fault> {
        match (file.file_id, file.file_data) {
            (Some(id), None) => (self.uploads)(&id).ok_or_else(|| {
                Fault::not_found(&id, "an uploaded file")
                    .param(format!("{at}.file.file_id"))
                    .hint("upload it with POST /v1/files")
            }),
            (None, Some(url)) => {
                let bytes = data_url::bytes(&url, &format!("{at}.file.file_data"))?.into();
                let name = file.filename.as_deref().map_or_else(|| self.next_name("file"), clean_name);
                Ok(Source::Bytes { name, bytes })
            }
            _ => Err(Fault::field(format!("{at}.file"), "either file_id or file_data", "none or both")
                .hint("leave one of them out")),
        }
    }

    fn study(&mut self, own: &Own, kind: Kind, field: &str, url: DataUrl) -> Result<(), Fault> {
        let bytes = data_url::bytes(&url.url, &format!("{}.{field}.url", own.at))?.into();
        let source = |name| Source::Bytes { name, bytes };
        let study = match kind {
            Kind::Image => StudyInput::image(source(self.next_name("image"))),
            Kind::Video => StudyInput::video(source(self.next_name("video"))),
        };
        self.add(own, study)
    }

    fn add(&mut self, own: &Own, study: StudyInput) -> Result<(), Fault> {
        let look = self.options.look(&format!("{}.fleming", own.at), &own.options)?;
        self.studies.push(study.look(look));
        Ok(())
    }

    /// The name of a study that has none, in messages.
    fn next_name(&self, kind: &str) -> String {
        format!("{kind} {}", self.studies.len() + 1)
    }

    fn detail(&mut self, at: &str, word: Option<&str>) -> Result<(), Fault> {
        let detail = match word {
            None | Some("auto") => return Ok(()),
            Some("low") => Detail::Low,
            Some("high") => Detail::High,
            Some(other) => {
                return Err(Fault::field(format!("{at}.image_url.detail"), "low, high or auto", other)
                    .hint("leave it out"));
            }
        };
        match self.detail.replace(detail) {
            Some(before) if before != detail => Err(Fault::field(
                format!("{at}.image_url.detail"),
                "the same for all pictures of a request",
                "low and high",
            )
            .hint("leave one of them out")),
            _ => Ok(()),
        }
    }
}

/// The types of parts.
pub(in crate::server) const PARTS: [&str; 5] = ["text", "image_url", "video_url", "input_video", "file"];

#[derive(Clone, Copy)]
enum Kind {
    Image,
    Video,
}

/// The options of one study, and where they stand.
struct Own<'a> {
    at: &'a str,
    options: Map<String, Value>,
}

/// Refuses two messages of one side after each other.
fn alternate(at: &str, turns: &[Turn], role: request::Role) -> Result<(), Fault> {
    let wanted = if turns.len().is_multiple_of(2) { request::Role::User } else { request::Role::Assistant };
    match role == wanted {
        true => Ok(()),
        false => {
            let name = |role| if role == request::Role::User { "user" } else { "assistant" };
            Err(Fault::field(format!("{at}.role"), name(wanted), name(role))
                .hint("user and assistant take turns, and the user begins"))
        }
    }
}
