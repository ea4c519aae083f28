//! The model that there is.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::fails::{NoKey, NotReady};
use crate::server::fault::{ErrorBody, Fault};
use crate::server::state::{Loaded, Shared};

/// A list of models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Models {
    object: &'static str,
    data: Vec<Model>,
}

/// A model, under one of its names.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Model {
    id: String,
    object: &'static str,
    /// Seconds since 1970 at which it was loaded.
    created: u64,
    owned_by: &'static str,
    /// Most tokens in a conversation, prompt and reply together.
    max_model_len: usize,
    #[schema(value_type = Object)]
    architecture: Value,
    /// The package and this program.
    #[schema(value_type = Object)]
    fleming: Value,
}

impl Model {
    fn new(name: &str, loaded: &Loaded) -> Self {
        let package = loaded.engine.package();
        let manifest = package.manifest();
        Self {
            id: name.to_owned(),
            object: "model",
            created: loaded.created,
            owned_by: "fleming",
            max_model_len: loaded.engine.context(),
            architecture: json!({
                "input_modalities": ["text", "image", "video", "file"],
                "output_modalities": ["text"],
            }),
            fleming: json!({
                "package": manifest.name,
                "sha256": package.digest(),
                "precision": manifest.precision,
                "version": env!("CARGO_PKG_VERSION"),
                "temperature": 0,
            }),
        }
    }
}

/// All names of the model.
#[utoipa::path(
    get,
    path = "/v1/models",
    responses(
        (status = 200, description = "The model under each of its names", body = Models),
        NoKey,
        NotReady,
    ),
)]
pub(super) async fn list(State(app): State<Shared>) -> Result<Json<Models>, Fault> {
    let loaded = app.ready()?;
    let data = app.names().iter().map(|name| Model::new(name, loaded)).collect();
    Ok(Json(Models { object: "list", data }))
}

/// The model of one name.
#[utoipa::path(
    get,
    path = "/v1/models/{name}",
    params(("name" = String, Path, description = "One of the model's names")),
    responses(
        (status = 200, description = "The model", body = Model),
        NoKey,
        (status = 404, description = "It has no such name", body = ErrorBody),
        NotReady,
    ),
)]
pub(super) async fn one(State(app): State<Shared>, Path(name): Path<String>) -> Result<Json<Model>, Fault> {
    let loaded = app.ready()?;
    Ok(Json(Model::new(app.known(Some(&name))?, loaded)))
}
