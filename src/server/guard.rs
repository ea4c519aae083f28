//! What every request passes before its route, and every response after it.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use super::fault::Fault;
use super::identity::RequestId;
use super::keys::Scope;
use super::paths;
use super::receive::linger;
use super::record::Record;
use super::state::{App, Caller, Shared};
use crate::error::Facts;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// In place of the path of a request that the guard did not let in: nobody knows what stands in it.
const REFUSED: &str = "refused";
/// Gives the request an id, refuses whoever may not ask, and writes a line to the log.
pub(super) async fn guard(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = match RequestId::of(request.headers().get(REQUEST_ID).map(HeaderValue::as_bytes)) {
        Ok(id) => id,
        Err(error) => return Fault::from(error).into_response(),
    };
    let method = request.method().clone();
    let origin = request.headers().get(header::ORIGIN).cloned();
    let admitted = admit(&app, request.headers(), request.uri(), &method);
    let (record, path, mut response) = match admitted {
        Ok(Admitted::Preflight) => {
            (Record::none(), "preflight".into(), StatusCode::NO_CONTENT.into_response())
        }
        Ok(Admitted::Caller(scope)) => {
            let path = route(&request);
            let is_public = paths::OPEN.contains(&request.uri().path());
            let record = if is_public { Record::none() } else { Record::begin(&app, id.as_str(), &scope) };
            record.route(format!("{method} {path}"));
            request.extensions_mut().insert(Caller { scope });
            request.extensions_mut().insert(record.clone());
            (record, path, run(request, next).await)
        }
        Err(fault) => {
            let record = Record::begin(&app, id.as_str(), &[]);
            record.route(REFUSED.to_owned());
            let (parts, body) = request.into_parts();
            linger(&parts.headers, body);
            (record, REFUSED.to_owned(), fault.into_response())
        }
    };
    finish(&app, &mut response, &id, origin);
    let status = response.status().as_u16();
    app.metrics.responded(&path, status);
    record.status(status);
    let mut code = String::new();
    if let Some(fault) = response.extensions().get::<Fault>() {
        code = fault.failure().code;
        record.failed(fault);
        fault.refusal().into_iter().for_each(|reason| app.metrics.refused(reason));
    }
    let id = id.as_str();
    tracing::info!(
        target: "fleming::server",
        id, %method, path, status, code, milliseconds = began.elapsed().as_millis() as u64, "request"
    );
    response
}

/// A panic of one request ends that request alone.
async fn run(request: Request, next: Next) -> Response {
    let response = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Fault::internal().into_response());
    match response.status().is_client_error() && response.extensions().get::<Fault>().is_none() {
        true => unreadable(response.status()).into_response(),
        false => response,
    }
}

/// What the router refuses before a route has it, such as a path that is no text.
fn unreadable(status: StatusCode) -> Fault {
    let got = status.canonical_reason().unwrap_or("another one");
    Fault::new(status, Facts::new("request", "a path and fields that can be read", got))
        .hint("GET /openapi.json lists them")
}

enum Admitted {
    /// A browser asks whether a page of an allowed origin may ask.
    Preflight,
    Caller(Scope),
}

/// Whether a request may go on.
fn admit(app: &App, headers: &HeaderMap, uri: &Uri, method: &Method) -> Result<Admitted, Fault> {
    host(app, headers, uri)?;
    let is_allowed_origin = origin(app, headers)?;
    if method == Method::OPTIONS
        && is_allowed_origin
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return Ok(Admitted::Preflight);
    }
    if let Some(scope) = app.keys.scope(key(headers)) {
        return Ok(Admitted::Caller(scope));
    }
    let reads = method == Method::GET || method == Method::HEAD;
    let path = uri.path();
    if reads && (paths::OPEN.contains(&path) || paths::is_page(path)) {
        // Nobody's.
        return Ok(Admitted::Caller(Scope::from([0])));
    }
    let got = if key(headers).is_some() { "another one" } else { "none" };
    Err(Fault::new(StatusCode::UNAUTHORIZED, Facts::new("API key", "a key of this server", got))
        .code("invalid_api_key")
        .hint("send it as Authorization: Bearer KEY"))
}

/// The key that a request came with.
fn key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    bearer.or_else(|| headers.get(API_KEY).map(HeaderValue::as_bytes))
}

/// Refuses a name that is not the server's. Where keys are needed, nobody gains by calling it otherwise.
fn host(app: &App, headers: &HeaderMap, uri: &Uri) -> Result<(), Fault> {
    if app.keys.are_needed() {
        return Ok(());
    }
    let named = uri.authority().map(|authority| authority.as_str().to_owned());
    // Two that differ are read differently by a proxy and by us.
    let given: Vec<_> = headers
        .get_all(header::HOST)
        .iter()
        .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned())
        .collect();
    // Without a name it is an old health check, and no browser.
    let all_known = named.iter().chain(&given).all(|host| {
        let name = without_port(host);
        let own = app.settings.address.ip().to_string();
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let known = ["localhost", "127.0.0.1", "::1", own.as_str()];
        known.iter().any(|known| bare.eq_ignore_ascii_case(known))
            || app.settings.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    });
    match all_known {
        true => Ok(()),
        false => Err(Fault::new(
            StatusCode::FORBIDDEN,
            Facts::new(
                "Host",
                "a name of this server",
                given.into_iter().chain(named).collect::<Vec<_>>().join(", "),
            ),
        )
        .code("foreign_host")
        .hint("name it with --allow-host, or set up keys with --keys")),
    }
}

/// A host without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) && !name.ends_with(':') => {
            name
        }
        _ => host,
    }
}

/// Whether the request comes from a page of an allowed origin; no if from no page, or from ours.
///
/// # Errors
/// Status 403 for a page from elsewhere.
fn origin(app: &App, headers: &HeaderMap) -> Result<bool, Fault> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(false) };
    let origin = String::from_utf8_lossy(origin.as_bytes());
    if app.settings.origins.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(&origin))
    {
        return Ok(true);
    }
    let host = headers.get(header::HOST).map(|host| String::from_utf8_lossy(host.as_bytes()));
    let is_own =
        origin.split_once("://").zip(host).is_some_and(|((_, from), host)| from.eq_ignore_ascii_case(&host));
    match is_own {
        true => Ok(false),
        false => {
            Err(Fault::new(StatusCode::FORBIDDEN, Facts::new("Origin", "this server's own pages", origin))
                .code("foreign_origin")
                .hint("name the page's origin with --allow-origin"))
        }
    }
}

/// The route of a request, without what a client may write into it.
fn route(request: &Request) -> String {
    let known = ["/v1/files/", "/v1/models/"];
    let path = request.uri().path();
    match known.iter().find(|known| path.starts_with(**known)) {
        Some(known) => {
            let rest = path[known.len()..].split_once('/').map(|(_, rest)| rest);
            let rest = rest.filter(|rest| ["content", "slices", "facts"].contains(rest));
            format!("{known}{{id}}{}", rest.map(|rest| format!("/{rest}")).unwrap_or_default())
        }
        None if paths::is_page(path) => "page".to_owned(),
        None if paths::ALL.contains(&path) => path.to_owned(),
        None => "other".to_owned(),
    }
}

/// The headers of every response.
fn finish(app: &App, response: &mut Response, id: &RequestId, origin: Option<HeaderValue>) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let allowed = origin.filter(|origin| {
        let is = |allowed: &String| {
            allowed.trim_end_matches('/').as_bytes().eq_ignore_ascii_case(origin.as_bytes())
        };
        app.settings.origins.iter().any(is)
    });
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
        let sent = HeaderValue::from_static("Authorization, Content-Type, X-Api-Key, X-Request-Id");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, sent);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("X-Request-Id, Retry-After"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_a_name() {
        let rows = [
            ("localhost:8080", "localhost"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("a.b", "a.b"),
            ("a:b", "a:b"),
        ];
        for (host, name) in rows {
            assert_eq!(without_port(host), name);
        }
    }
}
