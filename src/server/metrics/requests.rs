//! Requests as HTTP sees them.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::ErrorCode;

/// Why a request was refused before any work was done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many wait as may.
    QueueFull,
    /// The package is still being loaded.
    Loading,
    /// The server is about to end.
    Draining,
    /// The engine stands still.
    Stalled,
    /// The bodies of other requests have all the memory that bodies may.
    NoRoom,
    /// The body has more bytes than it may.
    BodyTooLarge,
    /// No key, or one that is not known.
    Unauthorized,
    /// A name that is not the server's, or a page from elsewhere.
    Foreign,
    /// The request itself is wrong.
    BadRequest,
    /// No such path, model or file.
    NotFound,
}

impl Refusal {
    /// All of them.
    pub(super) const ALL: [Refusal; 10] = [
        Refusal::QueueFull,
        Refusal::Loading,
        Refusal::Draining,
        Refusal::Stalled,
        Refusal::NoRoom,
        Refusal::BodyTooLarge,
        Refusal::Unauthorized,
        Refusal::Foreign,
        Refusal::BadRequest,
        Refusal::NotFound,
    ];

    /// The value of the label.
    fn name(self) -> &'static str {
        match self {
            Refusal::QueueFull => "queue_full",
            Refusal::Loading => "loading",
            Refusal::Draining => "draining",
            Refusal::Stalled => "stalled",
            Refusal::NoRoom => "no_room",
            Refusal::BodyTooLarge => "body_too_large",
            Refusal::Unauthorized => "unauthorized",
            Refusal::Foreign => "foreign",
            Refusal::BadRequest => "bad_request",
            Refusal::NotFound => "not_found",
        }
    }
}

/// All kinds of errors.
const CODES: [ErrorCode; 7] = [
    ErrorCode::Input,
    ErrorCode::Request,
    ErrorCode::Package,
    ErrorCode::Runtime,
    ErrorCode::Busy,
    ErrorCode::Cancelled,
    ErrorCode::TimedOut,
];

type Label = [(&'static str, &'static str); 1];

/// Counts of requests and of what became of them.
pub(super) struct Requests {
    pub(super) accepted: Counter,
    refused: Family<Label, Counter>,
    failed: Family<Label, Counter>,
    responses: Family<[(&'static str, String); 2], Counter>,
    pub(super) streams: Gauge,
    pub(super) audit_lost: Counter,
}

impl Requests {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let all = Self {
            accepted: Counter::default(),
            refused: Family::default(),
            failed: Family::default(),
            responses: Family::default(),
            streams: Gauge::default(),
            audit_lost: Counter::default(),
        };
        // A series that is there from the start lets a rate see its first increase.
        for reason in Refusal::ALL {
            let _ = all.refused.get_or_create(&[("reason", reason.name())]);
        }
        for code in CODES {
            let _ = all.failed.get_or_create(&[("code", code.name())]);
        }
        registry.register("fleming_requests_accepted", "Requests handed to the engine", all.accepted.clone());
        registry.register(
            "fleming_requests_refused",
            "Requests refused before any work was done for them",
            all.refused.clone(),
        );
        registry.register(
            "fleming_requests_failed",
            "Accepted requests that ended with an error",
            all.failed.clone(),
        );
        registry.register(
            "fleming_http_responses",
            "Responses by the pattern of their path and their status",
            all.responses.clone(),
        );
        registry.register("fleming_streams", "Streamed replies that are open", all.streams.clone());
        registry.register(
            "fleming_audit_lines_lost",
            "Lines that could not be written to the audit file",
            all.audit_lost.clone(),
        );
        all
    }

    pub(super) fn refused(&self, reason: Refusal) {
        self.refused.get_or_create(&[("reason", reason.name())]).inc();
    }

    pub(super) fn failed(&self, code: ErrorCode) {
        self.failed.get_or_create(&[("code", code.name())]).inc();
    }

    pub(super) fn responded(&self, route: &str, status: u16) {
        let labels = [("route", route.to_owned()), ("status", status.to_string())];
        self.responses.get_or_create(&labels).inc();
    }
}
