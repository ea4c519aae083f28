//! The paths of the server.

/// Those that need no key: whether the server lives, what it can do, and the page.
pub(super) const OPEN: [&str; 6] =
    ["/health", "/health/live", "/health/ready", "/v1/health/live", "/v1/health/ready", "/openapi.json"];

/// Whether a path is of the page: its text, its files, or a study that it offers to try.
pub(super) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/page/") || path.starts_with("/examples/")
}

/// Those without an id in them, as they are written to the log.
pub(super) const ALL: [&str; 13] = [
    "/v1/chat/completions",
    "/v1/chat/completions/input_tokens",
    "/v1/responses",
    "/v1/models",
    "/v1/files",
    "/v1/preview",
    "/health",
    "/health/live",
    "/health/ready",
    "/v1/health/live",
    "/v1/health/ready",
    "/metrics",
    "/openapi.json",
];
