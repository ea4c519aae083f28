//! What the store refuses, as clients read it.

use axum::http::StatusCode;

use crate::server::fault::Fault;
use crate::server::store::Refusal;

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let facts = refusal.facts().clone();
        match refusal {
            Refusal::NotFound(_) => Fault::new(StatusCode::NOT_FOUND, facts).code("not_found"),
            Refusal::TooLarge(_) => Fault::new(StatusCode::PAYLOAD_TOO_LARGE, facts).code("file_too_large"),
            Refusal::Share(_) => Fault::new(StatusCode::PAYLOAD_TOO_LARGE, facts).code("too_many_files"),
            Refusal::Full(_) => Fault::new(StatusCode::INSUFFICIENT_STORAGE, facts).code("storage_full"),
            Refusal::Failed(_) => {
                // They may name folders of this machine.
                tracing::error!(target: "fleming::server", "{facts}");
                Fault::internal()
            }
        }
    }
}
