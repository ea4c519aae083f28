//! Whether the server lives, and whether it can answer.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::server::state::{Readiness, Shared};

/// How the server is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, `loading`, `stalled` or `draining`.
    status: &'static str,
}

/// The process answers.
#[utoipa::path(get, path = "/health/live", responses((status = 200, description = "It lives", body = Health)))]
pub(super) async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether a question would be taken now.
#[utoipa::path(
    get,
    path = "/health/ready",
    responses(
        (status = 200, description = "It is ready", body = Health),
        (status = 503, description = "It loads, stands still or is about to end", body = Health),
    ),
)]
pub(super) async fn ready(State(app): State<Shared>) -> Response {
    let status = match app.readiness() {
        Readiness::Ready => "ok",
        Readiness::Loading => "loading",
        Readiness::Stalled => "stalled",
        Readiness::Draining => "draining",
    };
    let code = if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Health { status })).into_response()
}
