//! Paths to calls.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::{chat, files, health, metrics, models, openapi, page, preview, responses, slices, upload};
use crate::error::Facts;
use crate::server::fault::Fault;
use crate::server::guard::guard;
use crate::server::state::Shared;

/// All that the server answers to, behind the guard.
pub(in crate::server) fn router(app: Shared) -> Router {
    page::router()
        .route("/v1/chat/completions", post(chat::complete))
        .route("/v1/chat/completions/input_tokens", post(chat::input_tokens))
        .route("/v1/responses", post(responses::respond))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*name}", get(models::one))
        .route("/v1/preview", post(preview::preview))
        .route("/v1/files", get(files::list).post(upload::create))
        .route("/v1/files/{id}", get(files::one).delete(files::delete))
        .route("/v1/files/{id}/content", get(files::content))
        .route("/v1/files/{id}/facts", get(files::facts))
        .route("/v1/files/{id}/slices", get(slices::slice))
        .route("/metrics", get(metrics::metrics))
        .route("/openapi.json", get(openapi::openapi))
        .route("/health", get(health::ready))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/v1/health/live", get(health::live))
        .route("/v1/health/ready", get(health::ready))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

async fn nowhere() -> Fault {
    Fault::not_found("path", "one of this server's").hint("GET /openapi.json lists them")
}

async fn not_so() -> Fault {
    let facts = Facts::new("method", "one of this path's", "another one");
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, facts)
        .code("method_not_allowed")
        .hint("GET /openapi.json lists them")
}
