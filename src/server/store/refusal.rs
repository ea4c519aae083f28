//! Why the store does not do what it is asked.

use std::fmt::Display;
use std::io;

use crate::error::{Facts, shortened};

/// Why the store does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) enum Refusal {
    /// There is no such file, or it is another's.
    NotFound(Box<Facts>),
    /// The file is larger than a file may be.
    TooLarge(Box<Facts>),
    /// Whoever uploads has as much as they may have.
    Share(Box<Facts>),
    /// The store or its disk has no room.
    Full(Box<Facts>),
    /// The machine failed. The facts name folders of this machine.
    Failed(Box<Facts>),
}

impl Refusal {
    /// A file that is not there. Nobody learns whether another has it.
    pub(in crate::server) fn not_found(id: &str) -> Self {
        /// Letters of an id that is repeated.
        const LONGEST: usize = 60;
        let facts =
            Facts::new(shortened(id, LONGEST), "the id of a file that was uploaded", "none of that name");
        Refusal::NotFound(hinted(facts, "GET /v1/files lists them; a file is deleted when it expires"))
    }

    pub(super) fn too_large(most: u64) -> Self {
        let facts = Facts::new("file", format!("at most {most} bytes"), "more");
        Refusal::TooLarge(hinted(facts, "send a part of the study, or have the server's limit raised"))
    }

    /// More than one key may have.
    pub(super) fn share(wanted: impl Display) -> Self {
        Refusal::Share(hinted(Facts::new("files", wanted, "more"), "delete some with DELETE /v1/files/{id}"))
    }

    pub(super) fn full(wanted: impl Display, got: impl Display) -> Self {
        Refusal::Full(hinted(
            Facts::new("files", wanted, got),
            "delete some, or try again when others have expired",
        ))
    }

    /// What a failure of the system comes to.
    pub(super) fn of(what: impl Display, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::full("room on the server's disk", "none")
            }
            _ => Refusal::Failed(Box::new(Facts::new(what, "a file that can be written and read", error))),
        }
    }

    pub(in crate::server) fn facts(&self) -> &Facts {
        match self {
            Refusal::NotFound(facts)
            | Refusal::TooLarge(facts)
            | Refusal::Share(facts)
            | Refusal::Full(facts)
            | Refusal::Failed(facts) => facts,
        }
    }
}

fn hinted(facts: Facts, hint: &str) -> Box<Facts> {
    Box::new(Facts { hint: hint.into(), ..facts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_no_failure_and_names_no_folder() {
        const NO_SPACE: i32 = 28;
        const QUOTA: i32 = 122;
        for code in [NO_SPACE, QUOTA] {
            let refusal = Refusal::of("/srv/files/x", &io::Error::from_raw_os_error(code));
            assert!(matches!(refusal, Refusal::Full(_)), "{refusal:?}");
            assert!(!refusal.facts().to_string().contains("/srv"), "{refusal:?}");
        }
        assert!(matches!(Refusal::of("x", &io::ErrorKind::PermissionDenied.into()), Refusal::Failed(_)));
    }
}
