//! What the server answers to, as a document for programs.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::query::is_of_query;
use super::{chat, files, health, models, preview, responses, rules, slices, upload};
use crate::server::fault::ErrorBody;
use crate::server::openai::{ChatBody, ChatCompletion, Chunk, FIELDS, HARMLESS, is_ours};
use crate::wire::{option, options};

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
    let paths = &mut document["paths"];
    paths["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"] = rules::upload();
    for call in ["facts", "slices"] {
        let parameters = &mut paths[format!("/v1/files/{{id}}/{call}")]["get"]["parameters"];
        rules::look_at(parameters, options().filter(|row| is_of_query(row)));
    }
    let schemas = &mut document["components"]["schemas"];
    for body in ["ChatBody", "ResponsesBody"] {
        // Responses have a name of their own for it.
        let is_there =
            |field: &str| body == "ChatBody" || !["max_tokens", "max_completion_tokens"].contains(&field);
        for (field, row) in FIELDS.iter().filter(|(field, _)| is_there(field)) {
            schemas[body]["properties"][field] = option(row).map(rules::in_body).unwrap_or_default();
        }
        let unused = HARMLESS.iter().filter(|field| body == "ChatBody" || **field != "store");
        for field in unused {
            schemas[body]["properties"][field] = json!({"description": "Is not used."});
        }
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
        options().filter(|row| is_ours(row)).map(|row| (row.name.to_owned(), rules::in_body(row))).collect();
    let progress = json!({"type": "boolean", "description": "Whether a stream tells how far the work is."});
    ours.insert("progress".into(), progress);
    schemas["FlemingOptions"] = json!({
        "type": "object",
        "description": "Options of studies and of generation; docs/ explains each.",
        "properties": ours,
        "additionalProperties": false,
    });
    for holder in ["ChatBody", "Part", "ResponsesBody", "ItemPart"] {
        schemas[holder]["properties"]["fleming"] =
            json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/FlemingOptions"}]});
    }
    rules::add(schemas);
    document
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
