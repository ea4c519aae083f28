//! What fields may be beyond their types, for the description of the server: words, limits, and which go together.

use serde_json::{Value, json};

use super::files::PURPOSES;
use crate::server::openai::{EFFORTS, PARTS, is_ours};
use crate::wire::{Form, Row, Spelling, option, options};

/// A URL with its content in base64.
const DATA_URL: &str = "^[dD][aA][tT][aA]:[^,]*;[bB][aA][sS][eE]64,[A-Za-z0-9+/]+={0,2}$";
/// Parts of a message in the Responses protocol.
const SPOKEN: [&str; 5] = ["input_text", "input_image", "input_video", "input_file", "output_text"];
/// The part of a thought in it.
const THOUGHT: &str = "reasoning_text";

/// Adds the rules to the schemas of bodies.
pub(super) fn add(schemas: &mut Value) {
    for (schema, field, rule) in fields() {
        extend(&mut schemas[schema]["properties"][field], rule);
    }
    let all = [chat(), message(), responses()].concat();
    for (schema, rules) in all {
        schemas[schema]["allOf"] = rules.into();
    }
}

/// What single fields may be.
fn fields() -> Vec<(&'static str, &'static str, Value)> {
    let url = || json!({"pattern": DATA_URL});
    let words = |words: &[&str]| json!({"enum": words});
    let words_or_none = |words: &[&str]| json!({"enum": words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>()});
    let roles = ["system", "developer", "user", "assistant"];
    let details = ["low", "high", "auto"];
    let forms = ["text", "json_object", "json_schema"];
    vec![
        ("ChatBody", "messages", json!({"minItems": 1})),
        ("ChatBody", "reasoning_effort", words_or_none(&EFFORTS)),
        ("Message", "role", words(&roles)),
        ("Part", "type", words(&PARTS)),
        ("DataUrl", "url", url()),
        ("DataUrl", "detail", words_or_none(&details)),
        ("FilePart", "file_data", url()),
        ("ResponseFormat", "type", words(&forms)),
        ("ResponsesBody", "store", json!({"enum": [false, null]})),
        ("ReasoningOptions", "effort", words_or_none(&EFFORTS)),
        ("TextFormat", "type", words(&forms)),
        ("Item", "type", words_or_none(&["message", "reasoning"])),
        ("Item", "role", words_or_none(&roles)),
        ("ItemPart", "type", words(&[SPOKEN.as_slice(), &[THOUGHT]].concat())),
        ("ItemPart", "detail", words_or_none(&details)),
        ("ItemPart", "image_url", url()),
        ("ItemPart", "video_url", url()),
        ("ItemPart", "file_data", url()),
    ]
}

type Rules = Vec<(&'static str, Vec<Value>)>;

/// Fields of a question.
fn chat() -> Rules {
    let is_free = json!({"properties": {"response_format": {"anyOf": [
        {"type": "null"}, {"properties": {"type": {"const": "text"}}}
    ]}}});
    let rules = vec![
        any([absent("max_tokens"), absent("max_completion_tokens")]),
        any([absent("stream_options"), with("stream", json!({"const": true}))]),
        any([is_one_of("top_logprobs", json!([null, 0])), with("logprobs", json!({"const": true}))]),
        any([is_free, ours(all(["choice", "regex", "grammar"].map(absent)))]),
        any([
            is_one_of("ignore_eos", json!([null, false])),
            all([
                absent("stop"),
                absent("response_format"),
                ours(all(["choice", "regex", "grammar"].map(absent))),
            ]),
        ]),
    ];
    vec![
        ("ChatBody", rules),
        (
            "ResponseFormat",
            vec![any([is_one_of("type", json!(["text", "json_object"])), present("json_schema")])],
        ),
        ("FlemingOptions", excluded()),
    ]
}

/// Messages and their parts.
fn message() -> Rules {
    let asked = json!({"anyOf": [{"type": "string", "pattern": "\\S"}, {"type": "array", "minItems": 1}]});
    let holds = |name: &&str| all([with("type", json!({"const": name})), present(name)]);
    vec![
        (
            "Message",
            vec![any([
                is_one_of("role", json!(["system", "developer", "assistant"])),
                with("content", asked),
            ])],
        ),
        ("Part", vec![any(PARTS.iter().map(holds))]),
        ("FilePart", vec![any(file())]),
    ]
}

/// The other protocol.
fn responses() -> Rules {
    let holds = |name: &&str| {
        let held = match *name {
            "input_file" => any(file()),
            "input_image" => any([all([present("image_url"), absent("file_id")]), uploaded()]),
            "input_video" => any([all([present("video_url"), absent("file_id")]), uploaded()]),
            _ => present("text"),
        };
        all([with("type", json!({"const": name})), held])
    };
    let said = json!({"anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"properties": {"type": {"enum": SPOKEN}}}},
    ]});
    vec![
        ("TextFormat", vec![any([is_one_of("type", json!(["text", "json_object"])), present("schema")])]),
        (
            "Item",
            vec![any([
                with("type", json!({"const": "reasoning"})),
                all([present("role"), with("content", said)]),
            ])],
        ),
        ("ItemPart", vec![any(SPOKEN.iter().chain([&THOUGHT]).map(holds))]),
    ]
}

/// A file is named, or sent.
fn file() -> [Value; 2] {
    [uploaded(), all([present("file_data"), absent("file_id")])]
}

fn uploaded() -> Value {
    all([present("file_id"), absent("file_data")])
}

/// Options that contradict each other.
fn excluded() -> Vec<Value> {
    let rows = options().filter(|row| is_ours(row));
    let pairs = rows.flat_map(|row| row.excludes.iter().map(|other| (row.name, *other)));
    let once = pairs.filter(|(one, other)| one < other && option(other).is_some_and(is_ours));
    once.map(|(one, other)| any([absent(one), absent(other)])).collect()
}

fn any(rules: impl IntoIterator<Item = Value>) -> Value {
    json!({"anyOf": rules.into_iter().collect::<Vec<_>>()})
}

fn all(rules: impl IntoIterator<Item = Value>) -> Value {
    json!({"allOf": rules.into_iter().collect::<Vec<_>>()})
}

/// A field that is not there, or null.
fn absent(name: &str) -> Value {
    is_one_of(name, json!([null]))
}

/// A field that is one of these, or not there.
fn is_one_of(name: &str, values: Value) -> Value {
    json!({"properties": {name: {"enum": values}}})
}

/// A field that is there and not null.
fn present(name: &str) -> Value {
    with(name, json!({"not": {"type": "null"}}))
}

/// A field that is there, and so.
fn with(name: &str, rule: Value) -> Value {
    json!({"required": [name], "properties": {name: rule}})
}

/// Fields of ours that are so, if there are any.
fn ours(rule: Value) -> Value {
    json!({"properties": {"fleming": {"anyOf": [{"type": "null"}, rule]}}})
}

fn extend(schema: &mut Value, rule: Value) {
    // A type that may be absent stands beside what it may be.
    if let Value::Object(rule) = rule {
        rule.into_iter().for_each(|(name, value)| schema[name] = value);
    }
}

/// What values an option has in a body.
pub(super) fn in_body(row: &Row) -> Value {
    let mut schema = in_query(row);
    let nothing = json!({"type": "null"});
    match (&row.form, schema["type"].take()) {
        (Form::Texts(..), _) => {
            let text = json!({"type": "string", "minLength": 1});
            schema = any([text.clone(), json!({"type": "array", "items": text, "maxItems": 64}), nothing]);
        }
        (Form::Pairs(..), _) => {
            schema = json!({
                "type": ["object", "null"],
                "propertyNames": {"pattern": "^[0-9]{1,9}$"},
                "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
            });
        }
        (Form::Document(spelling, ..), _) => {
            let is_word = |word: &&str| spelling(word) == Spelling::Word;
            let words: Vec<_> = row.value.split('|').filter(is_word).collect();
            let text = json!({
                "type": "object",
                "properties": {"text": {"type": "string", "minLength": 1}},
                "required": ["text"],
                "additionalProperties": false,
            });
            schema = any([json!({"enum": words}), text, nothing]);
        }
        (Form::Word(words, ..), _) => {
            schema = json!({"enum": words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>()});
        }
        (_, kind) => schema["type"] = json!([kind, "null"]),
    }
    schema["description"] = row.help.into();
    schema
}

/// What values an option has in a query.
pub(super) fn in_query(row: &Row) -> Value {
    match &row.form {
        Form::Whole(range, ..) => json!({"type": "integer", "minimum": range.least, "maximum": range.most}),
        Form::Real(range, ..) if range.least == f64::MIN => json!({"type": "number"}),
        Form::Real(range, ..) => {
            let least = if range.open { "exclusiveMinimum" } else { "minimum" };
            json!({"type": "number", least: range.least, "maximum": range.most})
        }
        Form::Switch(..) => json!({"type": "boolean"}),
        Form::Word(words, ..) => json!({"type": "string", "enum": words}),
        _ => json!({"type": "string", "pattern": "\\S"}),
    }
}

/// The parameters of a call that looks at a study: every option of one.
pub(super) fn look_at(parameters: &mut Value, rows: impl Iterator<Item = &'static Row>) {
    let row = |row: &Row| json!({"name": row.name, "in": "query", "required": false, "description": row.help, "schema": in_query(row)});
    if let Value::Array(parameters) = parameters {
        parameters.extend(rows.map(row));
    }
}

/// The form of an upload.
pub(super) fn upload() -> Value {
    json!({
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "The file"},
            "purpose": {"type": "string", "enum": PURPOSES, "description": "What it is for, which changes nothing"},
            "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
            "expires_after[seconds]": {"type": "integer", "minimum": 1, "description": "After how long it is deleted"},
        },
        "required": ["file", "purpose"],
        "dependentRequired": {"expires_after[anchor]": ["expires_after[seconds]"]},
        "additionalProperties": false,
    })
}
