//! How calls may fail, for the description of the server.

use utoipa::IntoResponses;

use crate::server::fault::ErrorBody;

/// How a call fails that takes a question and its studies.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it is only described")]
pub(super) enum AskingFails {
    /// A field cannot be taken, or a study cannot be read
    #[response(status = 400)]
    Refused(ErrorBody),
    /// The key is missing or unknown
    #[response(status = 401)]
    Unauthorized(ErrorBody),
    /// The model or a file is not there
    #[response(status = 404)]
    NotFound(ErrorBody),
    /// The time was up before there was anything to return
    #[response(status = 408)]
    TimedOut(ErrorBody),
    /// The body is too long
    #[response(status = 413)]
    TooLong(ErrorBody),
    /// The body is no JSON
    #[response(status = 415)]
    NoJson(ErrorBody),
    /// Too many requests wait
    #[response(status = 429)]
    Busy(ErrorBody),
    /// The server loads, stands still or is about to end
    #[response(status = 503)]
    Unavailable(ErrorBody),
}

/// How every call fails that needs a key.
#[derive(IntoResponses)]
#[response(status = 401, description = "The key is missing or unknown")]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct NoKey(ErrorBody);

/// How a call fails that has fields.
#[derive(IntoResponses)]
#[response(status = 400, description = "A field cannot be taken")]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct NoField(ErrorBody);

/// How a call fails that names a file.
#[derive(IntoResponses)]
#[response(status = 404, description = "There is no such file with this key")]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct NoFile(ErrorBody);

/// How a call fails that reads a study.
#[derive(IntoResponses)]
#[response(status = 408, description = "It took too long")]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct TooSlow(ErrorBody);

/// How a call fails that needs the model.
#[derive(IntoResponses)]
#[response(status = 503, description = "The server loads, stands still or is about to end")]
#[expect(dead_code, reason = "it is only described")]
pub(super) struct NotReady(ErrorBody);
