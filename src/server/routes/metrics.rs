//! What the server counts, for Prometheus.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::server::metrics::CONTENT_TYPE;
use crate::server::state::Shared;

/// `GET /metrics`
pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    ([kind], app.metrics.render(&app.now())).into_response()
}
