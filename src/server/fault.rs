//! What a client reads of a request that failed: OpenAI's form of an error, with our four facts beside it.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::audit::Failure;
use super::metrics::Refusal;
use crate::error::{Error, ErrorCode, Facts, shortened};

/// Tells OpenAI's clients whether the same request may succeed another time.
pub(super) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// Letters of the name of a field.
const LONGEST_PARAM: usize = 300;

/// Why a request failed.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) status: StatusCode,
    pub(super) code: Option<&'static str>,
    /// The field that is at fault, such as `messages[0].content[1].image_url.url`.
    pub(super) param: Option<String>,
    pub(super) facts: Box<Facts>,
    /// Seconds.
    retry_after: Option<u32>,
    /// Whether the same request fails again, whatever happens meanwhile. Clients would send a study once more that has just
    /// been computed for nothing.
    is_final: bool,
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorObject,
}

/// An error in OpenAI's form.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorObject {
    /// All of it in a sentence.
    message: String,
    /// `invalid_request_error`, `authentication_error`, `permission_error`, `not_found_error`, `rate_limit_error`, `server_error`.
    r#type: &'static str,
    /// The field that is at fault.
    param: Option<String>,
    /// A word for programs.
    code: Option<&'static str>,
    fleming: FourFacts,
}

/// The facts of an error.
#[derive(Debug, Serialize, ToSchema)]
struct FourFacts {
    /// What the error is about.
    thing: String,
    /// What was wanted of it.
    wanted: String,
    /// What was found instead.
    got: String,
    /// What to do about it; may be empty.
    hint: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, facts: Facts) -> Self {
        let is_final = matches!(status, StatusCode::INTERNAL_SERVER_ERROR | StatusCode::PAYLOAD_TOO_LARGE);
        Self { status, code: None, param: None, facts: Box::new(facts), retry_after: None, is_final }
    }

    /// A field of a request that cannot be taken.
    pub(super) fn field(
        param: impl Into<String>,
        wanted: impl std::fmt::Display,
        got: impl std::fmt::Display,
    ) -> Self {
        let param = param.into();
        Self::new(StatusCode::BAD_REQUEST, Facts::new(&param, wanted, got)).param(param)
    }

    /// Something that is not there, or not for this key.
    pub(super) fn not_found(thing: impl std::fmt::Display, wanted: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, Facts::new(thing, wanted, "none of that name")).code("not_found")
    }

    /// A server that cannot answer now.
    pub(super) fn unavailable(got: impl std::fmt::Display, code: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Facts::new("server", "one that is ready", got))
            .code(code)
            .retry_after(5)
            .hint("try again later")
    }

    /// A failure of ours. What is known of it is in the log, by the id of the request.
    pub(super) fn internal() -> Self {
        let facts = Facts::new("server", "to answer", "a failure that its log tells of");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, facts)
            .code("internal_error")
            .hint("look for the request's id in the log")
    }

    pub(super) fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.facts.hint = hint.into();
        self
    }

    pub(super) fn param(mut self, param: impl Into<String>) -> Self {
        // A client may have made it up.
        self.param = Some(shortened(&param.into(), LONGEST_PARAM));
        self
    }

    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The word for the kind of failure, which a client's class of exceptions depends on.
    fn kind(&self) -> &'static str {
        match self.status {
            StatusCode::UNAUTHORIZED => "authentication_error",
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::NOT_FOUND => "not_found_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        }
    }

    /// The failure in stable words alone.
    pub(super) fn failure(&self) -> Failure {
        Failure { kind: self.kind(), code: self.code.unwrap_or(self.kind()).to_owned() }
    }

    /// Why the server refused to work, if that is what it is.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        Some(match (self.status.as_u16(), self.code) {
            // What was taken and failed is counted as such.
            (_, Some("unreadable_study" | "timed_out" | "stopped")) => return None,
            (503, Some("loading")) => Refusal::Loading,
            (503, Some("draining")) => Refusal::Draining,
            (503, Some("stalled")) => Refusal::Stalled,
            (503, _) | (429, Some("too_many_bytes")) => Refusal::NoRoom,
            (413, _) => Refusal::BodyTooLarge,
            (401, _) => Refusal::Unauthorized,
            (403, _) => Refusal::Foreign,
            (404, _) => Refusal::NotFound,
            (429, _) => Refusal::QueueFull,
            (400..500, _) => Refusal::BadRequest,
            _ => return None,
        })
    }

    pub(super) fn body(&self) -> ErrorBody {
        let Facts { thing, wanted, got, hint } = (*self.facts).clone();
        ErrorBody {
            error: ErrorObject {
                message: self.facts.to_string(),
                r#type: self.kind(),
                param: self.param.clone(),
                code: self.code,
                fleming: FourFacts { thing, wanted, got, hint },
            },
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let status = match error.code() {
            ErrorCode::Input | ErrorCode::Request => StatusCode::BAD_REQUEST,
            ErrorCode::Busy => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::TimedOut => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::Cancelled => return Self::unavailable("one that is stopping", "stopped"),
            ErrorCode::Package | ErrorCode::Runtime => {
                // It may name folders of this machine.
                tracing::error!(target: "fleming::server", "{error}");
                return Self::internal();
            }
        };
        let fault = Self::new(status, error.facts().clone());
        match error.code() {
            ErrorCode::Input => fault.code("unreadable_study"),
            ErrorCode::Busy => fault.code("queue_full").retry_after(1),
            ErrorCode::TimedOut => Self { is_final: true, ..fault.code("timed_out") },
            _ => fault,
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.is_final {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // For the line of the log.
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_openais_form_and_the_four_facts() {
        let error = Error::request("slices", "1 to 4096", 0).hint("correct it");
        let fault = Fault::from(error).param("fleming.slices");
        let body = serde_json::to_value(fault.body()).unwrap();
        assert_eq!(
            body,
            serde_json::json!({"error": {
                "message": "slices: wanted 1 to 4096, got 0 (correct it)",
                "type": "invalid_request_error", "param": "fleming.slices", "code": null,
                "fleming": {"thing": "slices", "wanted": "1 to 4096", "got": "0", "hint": "correct it"},
            }})
        );
    }

    #[test]
    fn failures_of_the_machine_name_no_folder() {
        for error in [Error::runtime("/opt/x.so", "a library", "none"), Error::package("/srv/m", "a", "b")] {
            let fault = Fault::from(error.hint("look at it"));
            assert_eq!(fault.status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(!fault.facts.to_string().contains('/'), "{}", fault.facts);
            assert_eq!(fault.into_response().headers()[SHOULD_RETRY], "false");
        }
    }

    #[test]
    fn a_question_that_took_too_long_is_not_computed_again() {
        let response = Fault::from(Error::timed_out()).into_response();
        assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(response.headers()[SHOULD_RETRY], "false");
    }

    #[test]
    fn a_full_queue_says_when_to_come_again() {
        let response = Fault::from(Error::busy("queue", "room", "none").hint("wait")).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
