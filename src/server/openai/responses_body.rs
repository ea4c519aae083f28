//! OpenAI's other protocol, Responses: a body becomes a chat.

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};
use utoipa::ToSchema;

use super::body::{ChatBody, Content, DataUrl, FilePart, Message, NamedSchema, Part, ResponseFormat, one_of};
use super::options::no_others;
use super::responses::Echo;
use crate::server::fault::Fault;

/// The body of `POST /v1/responses`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
pub(in crate::server) struct ResponsesBody {
    /// Which model; the one there is if absent.
    model: Option<String>,
    /// A question, or the items of a conversation, oldest first.
    input: Input,
    /// The system message.
    instructions: Option<String>,
    /// Whether the answer comes as server-sent events.
    stream: Option<bool>,
    /// Most tokens of the reply.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 4294967295u64)]
    max_output_tokens: Option<Number>,
    text: Option<TextOptions>,
    reasoning: Option<ReasoningOptions>,
    /// Must be false: nothing is kept.
    store: Option<bool>,
    /// Fields of ours: every option of a study and of generation by its name.
    #[schema(value_type = Option<Object>)]
    fleming: Option<Map<String, Value>>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: Map<String, Value>,
}

/// A question, or the items of a conversation.
#[derive(Debug, ToSchema)]
enum Input {
    #[schema(title = "text")]
    Text(String),
    #[schema(title = "items")]
    Items(Vec<Item>),
}

one_of!(Input, "a text or a list of items", Text, Items);

/// A message, or the thought before one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
struct Item {
    /// `message` or `reasoning`; `message` if absent.
    r#type: Option<String>,
    /// `system` or `developer` for the first, then `user` and `assistant`.
    role: Option<String>,
    content: Option<ItemContent>,
    /// Are not used.
    #[serde(flatten)]
    #[schema(ignore)]
    others: Map<String, Value>,
}

/// A text, or the parts of a message.
#[derive(Debug, ToSchema)]
enum ItemContent {
    #[schema(title = "text")]
    Text(String),
    #[schema(title = "parts")]
    Parts(Vec<ItemPart>),
}

one_of!(ItemContent, "a text or a list of parts", Text, Parts);

/// A part of a message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object")]
struct ItemPart {
    /// `input_text`, `input_image`, `input_video`, `input_file`, `output_text` or `reasoning_text`.
    r#type: String,
    text: Option<String>,
    /// `data:image/png;base64,…`
    image_url: Option<String>,
    /// `data:video/mp4;base64,…`
    video_url: Option<String>,
    detail: Option<String>,
    file_id: Option<String>,
    filename: Option<String>,
    file_data: Option<String>,
    /// What of this study is looked at, by the names of the options.
    #[schema(value_type = Option<Object>)]
    fleming: Option<Map<String, Value>>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: Map<String, Value>,
}

/// What the answer must look like.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct TextOptions {
    format: Option<TextFormat>,
    /// Is not used.
    #[serde(rename = "verbosity")]
    _verbosity: Option<String>,
}

/// The form of the answer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct TextFormat {
    /// `text`, `json_object` or `json_schema`.
    r#type: String,
    name: Option<String>,
    description: Option<String>,
    #[schema(value_type = Option<Object>)]
    schema: Option<Map<String, Value>>,
    strict: Option<bool>,
}

/// How much the model thinks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct ReasoningOptions {
    /// `none`: the question goes to the model as it is.
    effort: Option<String>,
    /// Is not used: the whole thought is in the reply.
    #[serde(rename = "summary")]
    _summary: Option<String>,
    /// Is not used.
    #[serde(rename = "generate_summary")]
    _generate_summary: Option<String>,
}

/// Fields that say nothing with these values.
const NEUTRAL: [(&str, &str); 5] = [
    ("truncation", "\"disabled\""),
    ("include", "[]"),
    ("background", "false"),
    ("conversation", "null"),
    ("previous_response_id", "null"),
];
/// Fields of an item that a client sends back as it got them.
const OF_ITEMS: [&str; 5] = ["id", "status", "summary", "encrypted_content", "phase"];
const OF_PARTS: [&str; 2] = ["annotations", "logprobs"];

impl ResponsesBody {
    /// What a response repeats of it.
    pub(in crate::server) fn echo(&self) -> Echo {
        let real = |name: &str, usual: f32| {
            self.others.get(name).and_then(Value::as_f64).map_or(usual, |value| value as f32)
        };
        Echo {
            instructions: self.instructions.clone(),
            max_output_tokens: self.max_output_tokens.clone().map_or(Value::Null, Value::Number),
            temperature: real("temperature", 0.0),
            top_p: real("top_p", 1.0),
            effort: self.reasoning.as_ref().and_then(|reasoning| reasoning.effort.clone()),
            format: self
                .text
                .as_ref()
                .and_then(|text| text.format.as_ref())
                .map_or_else(|| json!({"type": "text"}), TextFormat::echo),
            metadata: match self.others.get("metadata") {
                Some(Value::Object(pairs)) if pairs.values().all(Value::is_string) => json!(pairs),
                _ => json!({}),
            },
        }
    }

    /// The same as a chat.
    ///
    /// # Errors
    /// Status 400 naming what cannot be taken.
    pub(in crate::server) fn into_chat(mut self) -> Result<ChatBody, Fault> {
        if self.store == Some(true) {
            return Err(Fault::field("store", "false: this server keeps no conversation", "true")
                .hint("leave it out, and send earlier turns as input"));
        }
        for (field, neutral) in NEUTRAL {
            let said = self.others.get(field).map(Value::to_string);
            if said.is_some_and(|said| said == neutral) {
                self.others.remove(field);
            }
        }
        if let Some(most) = self.max_output_tokens.take() {
            self.others.insert("max_completion_tokens".into(), most.into());
        }
        let response_format =
            self.text.and_then(|text| text.format).map(TextFormat::into_format).transpose()?;
        Ok(ChatBody {
            model: self.model,
            messages: messages(self.instructions, self.input)?,
            stream: self.stream,
            stream_options: None,
            n: None,
            logprobs: None,
            top_logprobs: None,
            response_format,
            reasoning_effort: self.reasoning.and_then(|reasoning| reasoning.effort),
            chat_template_kwargs: None,
            fleming: self.fleming,
            others: self.others,
        })
    }
}

impl TextFormat {
    /// The same, as a response repeats it.
    fn echo(&self) -> Value {
        let Self { r#type, name, description, schema, strict } = self;
        let mut echo = json!({"type": r#type});
        if let Some(schema) = schema.as_ref().filter(|_| r#type == "json_schema") {
            // The protocol has a name always.
            echo["name"] = name.as_deref().unwrap_or("answer").into();
            echo["schema"] = json!(schema);
            echo["strict"] = json!(strict);
            if let Some(description) = description {
                echo["description"] = description.as_str().into();
            }
        }
        echo
    }

    fn into_format(self) -> Result<ResponseFormat, Fault> {
        let Self { r#type, name, description, schema, strict } = self;
        let missing = || Fault::field("text.format.schema", "a schema", "none").hint("add it");
        let json_schema = match r#type.as_str() {
            "json_schema" => Some(NamedSchema::new(name, description, schema.ok_or_else(missing)?, strict)),
            _ => None,
        };
        Ok(ResponseFormat { r#type, json_schema })
    }
}

/// The messages of a conversation. A thought joins the answer after it.
fn messages(instructions: Option<String>, input: Input) -> Result<Vec<Message>, Fault> {
    let mut messages: Vec<_> =
        instructions.map(|text| Message::new("system", Content::Text(text), None)).into_iter().collect();
    let items = match input {
        Input::Text(text) => {
            messages.push(Message::new("user", Content::Text(text), None));
            return Ok(messages);
        }
        Input::Items(items) => items,
    };
    let mut thought = None;
    for (place, item) in items.into_iter().enumerate() {
        let at = format!("input[{place}]");
        no_others(&at, &item.others, &OF_ITEMS)?;
        match item.r#type.as_deref() {
            Some("reasoning") => thought = item.content.map(text_of),
            None | Some("message") => {
                let role = item
                    .role
                    .ok_or_else(|| Fault::field(format!("{at}.role"), "a role", "none").hint("add it"))?;
                let content = match item.content {
                    None => {
                        return Err(Fault::field(
                            format!("{at}.content"),
                            "a text or a list of parts",
                            "none",
                        )
                        .hint("add it"));
                    }
                    Some(ItemContent::Text(text)) => Content::Text(text),
                    Some(ItemContent::Parts(parts)) => {
                        let part = |(place, part): (usize, ItemPart)| {
                            part.into_part(&format!("{at}.content[{place}]"))
                        };
                        Content::Parts(parts.into_iter().enumerate().map(part).collect::<Result<_, _>>()?)
                    }
                };
                let thought = thought.take().filter(|_| role == "assistant");
                messages.push(Message::new(&role, content, thought));
            }
            Some(other) => {
                return Err(Fault::field(format!("{at}.type"), "message or reasoning", other)
                    .hint("leave this item out"));
            }
        }
    }
    Ok(messages)
}

fn text_of(content: ItemContent) -> String {
    match content {
        ItemContent::Text(text) => text,
        ItemContent::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
    }
}

impl ItemPart {
    fn into_part(self, at: &str) -> Result<Part, Fault> {
        no_others(at, &self.others, &OF_PARTS)?;
        let Self {
            r#type, text, image_url, video_url, detail, file_id, filename, file_data, fleming, ..
        } = self;
        let url = |url: Option<String>| url.map(|url| DataUrl { url, detail: detail.clone() });
        let mut part = Part::new(fleming);
        match (r#type.as_str(), &file_id) {
            ("input_text" | "output_text", _) => (part.r#type, part.text) = ("text".into(), text),
            ("input_image", None) => (part.r#type, part.image_url) = ("image_url".into(), url(image_url)),
            ("input_video", None) => (part.r#type, part.input_video) = ("input_video".into(), url(video_url)),
            ("input_file" | "input_image" | "input_video", _) => {
                part.r#type = "file".into();
                part.file = Some(FilePart { file_id, filename, file_data });
            }
            (other, _) => {
                let wanted = "input_text, input_image, input_video, input_file or output_text";
                return Err(Fault::field(format!("{at}.type"), wanted, other).hint("leave this part out"));
            }
        }
        Ok(part)
    }
}

/// A fault of a chat, with the names that its fields have here.
pub(in crate::server) fn renamed(mut fault: Fault, echo: &Echo) -> Fault {
    let Some(named) = fault.param.take() else { return fault };
    let param = here(&named, echo);
    // The words of the error name it too.
    if fault.facts.thing == named {
        fault.facts.thing.clone_from(&param);
    }
    fault.param(param)
}

/// The name that a field of a chat has here.
fn here(param: &str, echo: &Echo) -> String {
    // Instructions are the first message.
    let shift = usize::from(echo.instructions.is_some());
    let place = param.strip_prefix("messages[").and_then(|rest| rest.split_once(']'));
    match place.and_then(|(place, rest)| Some((place.parse::<usize>().ok()?, rest))) {
        Some((place, _)) if place < shift => "instructions".to_owned(),
        Some((place, rest)) => {
            let rest = rest.replace(".image_url.url", ".image_url").replace(".image_url.detail", ".detail");
            let rest = rest.replace(".input_video.url", ".video_url").replace(".file.", ".");
            format!("input[{}]{rest}", place - shift)
        }
        None => match param {
            "messages" => "input".into(),
            "max_completion_tokens" | "max_tokens" => "max_output_tokens".into(),
            "reasoning_effort" => "reasoning.effort".into(),
            other => other.replace("response_format", "text.format"),
        },
    }
}
