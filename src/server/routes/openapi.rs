//! What the server answers to, as a document for programs.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{chat, files, health, models, preview, responses, slices, upload};
use crate::server::fault::ErrorBody;
use crate::server::openai::{ChatBody, ChatCompletion, Chunk, FIELDS, HARMLESS, is_ours};
use crate::wire::{Form, Row, option, options};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "fleming",
        description = "Answers questions about medical images, videos and volumes, in OpenAI's protocol. For research and \
                       non-clinical use."
    ),
    paths(
        chat::complete, chat::input_tokens, responses::respond, models::list, models::one, files::list, files::one,
        files::delete, files::content, files::facts, upload::create, slices::slice, preview::preview, health::live,
        health::ready
    ),
    components(schemas(ChatBody, ChatCompletion, Chunk, ErrorBody)),
    modifiers(&Keys),
    security((), ("key" = []))
)]
struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("key", key);
    }
}

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// `GET /openapi.json`
pub(super) async fn openapi() -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ([kind], TEXT.as_str()).into_response()
}

/// The document, with the fields that the table of options has.
fn document() -> Value {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    document["paths"]["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"] =
        upload::schema();
    let schemas = &mut document["components"]["schemas"];
    for (field, row) in FIELDS {
        schemas["ChatBody"]["properties"][field] = option(row).map(schema).unwrap_or_default();
    }
    for field in HARMLESS {
        schemas["ChatBody"]["properties"][field] = json!({"description": "Is not used."});
    }
    for closed in ["ChatBody", "Message", "Part", "ResponsesBody", "Item", "ItemPart"] {
        schemas[closed]["additionalProperties"] = false.into();
    }
    // A text or a list is told by what it is: in JSON there is no name around it.
    for either in ["Content", "ItemContent", "Input"] {
        for form in schemas[either]["oneOf"].as_array_mut().into_iter().flatten() {
            let named = form["properties"].as_object_mut().and_then(|named| named.values_mut().next());
            *form = named.map(Value::take).unwrap_or_default();
        }
    }
    let mut ours: Map<String, Value> =
        options().filter(|row| is_ours(row)).map(|row| (row.name.to_owned(), schema(row))).collect();
    let progress = json!({"type": "boolean", "description": "Whether a stream tells how far the work is."});
    ours.insert("progress".into(), progress);
    schemas["FlemingOptions"] = json!({
        "type": "object",
        "description": "Options of studies and of generation; docs/ explains each.",
        "properties": ours,
        "additionalProperties": false,
    });
    for holder in ["ChatBody", "Part"] {
        schemas[holder]["properties"]["fleming"] =
            json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/FlemingOptions"}]});
    }
    document
}

/// What values an option has.
fn schema(row: &Row) -> Value {
    let mut schema = match &row.form {
        Form::Whole(range, ..) => {
            json!({"type": ["integer", "null"], "minimum": range.least, "maximum": range.most})
        }
        Form::Real(range, ..) if range.least == f64::MIN => json!({"type": ["number", "null"]}),
        Form::Real(range, ..) => {
            json!({"type": ["number", "null"], "minimum": range.least, "maximum": range.most})
        }
        Form::Switch(..) => json!({"type": ["boolean", "null"]}),
        Form::Word(words, ..) => {
            json!({"enum": words.iter().map(|word| json!(word)).chain([Value::Null]).collect::<Vec<_>>()})
        }
        Form::Texts(..) => json!({"type": ["string", "array", "null"], "items": {"type": "string"}}),
        Form::Pairs(..) => json!({"type": ["object", "null"], "additionalProperties": {"type": "number"}}),
        Form::Document(..) => json!({"type": ["string", "object", "null"]}),
        Form::Text(..) | Form::Parsed(..) | Form::Path(..) => json!({"type": ["string", "null"]}),
    };
    schema["description"] = row.help.into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_option_and_refers_to_what_it_has() {
        let document = document();
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["FlemingOptions"]["properties"]["slices"]["maximum"], 4096);
        assert_eq!(schemas["ChatBody"]["properties"]["top_p"]["type"][0], "number");
        for either in ["Content", "ItemContent", "Input"] {
            let forms = &schemas[either]["oneOf"];
            assert_eq!(
                (&forms[0]["type"], &forms[1]["type"]),
                (&json!("string"), &json!("array")),
                "{either}"
            );
        }
        let text = document.to_string();
        for piece in text.split("#/components/schemas/").skip(1) {
            let name = piece.split('"').next().unwrap();
            assert!(schemas[name].is_object(), "{name}");
        }
    }
}
