//! What a client sends: OpenAI's fields of a chat, and ours.

use serde::Deserialize;
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;

use super::once::Once;
use crate::server::fault::Fault;

/// The body of `POST /v1/chat/completions`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(in crate::server) struct ChatBody {
    /// Which model; the one there is if absent.
    pub(super) model: Option<String>,
    /// The conversation, oldest first. User and assistant take turns; the last turn is the user's.
    pub(super) messages: Vec<Message>,
    /// Whether the answer comes in chunks, as server-sent events.
    pub(super) stream: Option<bool>,
    pub(super) stream_options: Option<StreamOptions>,
    /// How many answers.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 128)]
    pub(super) n: Option<Number>,
    /// Whether to report the log-probability of each token.
    pub(super) logprobs: Option<bool>,
    /// Of how many of the likeliest tokens the log-probability is reported too.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 20)]
    pub(super) top_logprobs: Option<Number>,
    pub(super) response_format: Option<ResponseFormat>,
    /// `none`: the question goes to the model as it is. Else the model is asked to think first.
    pub(super) reasoning_effort: Option<String>,
    pub(super) chat_template_kwargs: Option<TemplateOptions>,
    /// Fields of ours: every option of a study and of generation by its name, and `progress`.
    #[schema(value_type = Option<Object>)]
    pub(super) fleming: Option<Map<String, Value>>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) others: Map<String, Value>,
}

/// One message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(super) struct Message {
    /// `system` or `developer` for the first, then `user` and `assistant`.
    pub(super) role: String,
    pub(super) content: Option<Content>,
    /// The thought of an earlier answer.
    pub(super) reasoning_content: Option<String>,
    /// The same under its other name.
    pub(super) reasoning: Option<String>,
    /// Is not used.
    #[serde(rename = "name")]
    _name: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) others: Map<String, Value>,
}

/// A text, or parts of a message in their order.
#[derive(Debug, ToSchema)]
pub(super) enum Content {
    #[schema(title = "text")]
    Text(String),
    #[schema(title = "parts")]
    Parts(Vec<Part>),
}

/// A part of a message: the field of its type's name holds what it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(super) struct Part {
    /// `text`, `image_url`, `video_url`, `input_video` or `file`.
    pub(super) r#type: String,
    pub(super) text: Option<String>,
    pub(super) image_url: Option<DataUrl>,
    pub(super) video_url: Option<DataUrl>,
    pub(super) input_video: Option<DataUrl>,
    pub(super) file: Option<FilePart>,
    /// What of this study is looked at, by the names of the options.
    #[schema(value_type = Option<Object>)]
    pub(super) fleming: Option<Map<String, Value>>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) others: Map<String, Value>,
}

/// A picture or clip in the request itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct DataUrl {
    /// `data:image/png;base64,…`; the content says what it is.
    pub(super) url: String,
    /// `low`: one tile; `high`: as many as the picture's shape asks for; `auto`: the server's choice, one.
    pub(super) detail: Option<String>,
}

/// A study of any kind: uploaded before, or in the request itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct FilePart {
    /// The id of an uploaded file.
    pub(super) file_id: Option<String>,
    /// A name for messages.
    pub(super) filename: Option<String>,
    /// `data:…;base64,…`
    pub(super) file_data: Option<String>,
}

/// What a stream holds beside the answer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct StreamOptions {
    /// Whether a last chunk tells the tokens used.
    pub(super) include_usage: Option<bool>,
    /// Is not used: nothing is added to hide the lengths of pieces.
    #[serde(rename = "include_obfuscation")]
    _include_obfuscation: Option<bool>,
}

/// What the answer must look like.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`.
    pub(super) r#type: String,
    pub(super) json_schema: Option<NamedSchema>,
}

/// A JSON schema.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct NamedSchema {
    /// Is not used.
    #[serde(rename = "name")]
    _name: Option<String>,
    /// Is not used.
    #[serde(rename = "description")]
    _description: Option<String>,
    /// The schema itself.
    #[schema(value_type = Object)]
    pub(super) schema: Map<String, Value>,
    /// Is not used: the answer always keeps to the schema.
    #[serde(rename = "strict")]
    _strict: Option<bool>,
}

/// Options of a prompt's template, as other servers name them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct TemplateOptions {
    /// Whether the model is asked to think first.
    pub(super) enable_thinking: Option<bool>,
}

impl ChatBody {
    /// How many studies the messages hold.
    pub(super) fn studies(&self) -> usize {
        let parts = |message: &Message| match &message.content {
            Some(Content::Parts(parts)) => parts.iter().filter(|part| part.r#type != "text").count(),
            _ => 0,
        };
        self.messages.iter().map(parts).sum()
    }
}

/// Reads a type that is a text or a list, and keeps the place of what is wrong in the list.
macro_rules! one_of {
    ($type:ident, $wanted:literal, $text:ident, $list:ident) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                impl<'de> serde::de::Visitor<'de> for Visitor {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($wanted)
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        Ok($type::$text(text.to_owned()))
                    }

                    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<$type, E> {
                        Ok($type::$text(text))
                    }

                    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<$type, A::Error> {
                        let list = serde::de::value::SeqAccessDeserializer::new(list);
                        Vec::deserialize(list).map($type::$list)
                    }
                }

                deserializer.deserialize_any(Visitor)
            }
        }
    };
}

pub(super) use one_of;

one_of!(Content, "a text or a list of parts", Text, Parts);

impl Message {
    pub(super) fn new(role: &str, content: Content, thought: Option<String>) -> Self {
        Self {
            role: role.to_owned(),
            content: Some(content),
            reasoning_content: thought,
            reasoning: None,
            _name: None,
            others: Map::new(),
        }
    }
}

impl Part {
    /// A part of no type yet.
    pub(super) fn new(fleming: Option<Map<String, Value>>) -> Self {
        Self {
            r#type: String::new(),
            text: None,
            image_url: None,
            video_url: None,
            input_video: None,
            file: None,
            fleming,
            others: Map::new(),
        }
    }
}

impl NamedSchema {
    pub(super) fn new(
        name: Option<String>,
        description: Option<String>,
        schema: Map<String, Value>,
        strict: Option<bool>,
    ) -> Self {
        Self { _name: name, _description: description, schema, _strict: strict }
    }
}

/// Reads a body of JSON.
///
/// # Errors
/// Status 400 naming the field that is not as it should be.
pub(in crate::server) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Fault> {
    let value = read(body, |error| match error.is_data() {
        true => ("a value of its type", "docs/server.md lists the fields"),
        false => ("JSON", "send an object as application/json"),
    })?;
    read::<Once>(body, |_| ("every name once", "leave one of them out"))?;
    Ok(value)
}

/// Reads one value. `words` says what was wanted and what to do where it cannot be read.
fn read<'a, T: Deserialize<'a>>(
    body: &'a [u8],
    words: fn(&serde_json::Error) -> (&'static str, &'static str),
) -> Result<T, Fault> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        let (wanted, hint) = words(&error);
        let known = !error.is_eof() && ![".", "?"].contains(&path.as_str());
        Fault::field(if known { &path } else { "body" }, wanted, said(&error)).hint(hint)
    })?;
    reader.end().map_err(|error| Fault::field("body", "one JSON object", said(&error)))?;
    Ok(value)
}

/// What a reader of JSON says, without content of more than a few letters.
fn said(error: &serde_json::Error) -> String {
    crate::error::shortened(&error.to_string(), 160)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(body: &str) -> Option<String> {
        parse::<ChatBody>(body.as_bytes()).err().map(|fault| fault.param.unwrap_or_default())
    }

    #[test]
    fn what_is_not_as_it_should_be_is_named_by_its_place() {
        let rows = [
            (r#"{"messages":[{"role":"user","content":"hi"}]}"#, None),
            (r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}"#, None),
            (r#"{"messages":3}"#, Some("messages")),
            (r#"{"messages":[{"role":"user","content":4}]}"#, Some("messages[0].content")),
            (r#"{"messages":[{"role":1}]}"#, Some("messages[0].role")),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":"x"}]}]}"#,
                Some("messages[0].content[0].image_url"),
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":7}}]}]}"#,
                Some("messages[0].content[0].image_url.url"),
            ),
            (r#"{"messages":[],"stream":"yes"}"#, Some("stream")),
            (r#"{"messages":[],"n":"1"}"#, Some("n")),
            (r#"{"messages":[],"n":true}"#, Some("n")),
            (r#"{"messages":[],"seed":1e400}"#, Some("seed")),
            (r#"{"messages":[],"temperature":NaN}"#, Some("temperature")),
            (r#"{"messages":[]"#, Some("body")),
            (r#"{"messages":[]} {}"#, Some("body")),
            (r#"{"messages":[],"seed":1,"seed":1}"#, Some("body")),
            (r#"{"messages":[],"fleming":{"slices":3,"slices":4}}"#, Some("fleming")),
            (r#"{"messages":[],"logit_bias":{"5":1,"6":1,"5":1}}"#, Some("logit_bias")),
            (r#"{"messages":[],"metadata":[{"a":{"b":0,"b":1}}]}"#, Some("metadata[0].a")),
            ("[]", Some("body")),
            ("", Some("body")),
        ];
        for (body, wanted) in rows {
            assert_eq!(param(body).as_deref(), wanted, "{body}");
        }
    }
}
