//! Files that clients upload, until they are deleted or expire. Nothing here knows of HTTP.
//!
//! A file is in the store when its record is: the content is written first, under another name. So a process that is killed
//! leaves whole files, and leftovers that the next one deletes.

mod refusal;
mod name;
mod id;
mod record;
mod ledger;
mod folder;
mod stored;
mod shelf;
mod upload;
mod files;

pub(super) use files::Store;
pub(super) use name::clean_name;
pub(super) use record::{About, FileRecord};
pub(super) use refusal::Refusal;
pub(super) use upload::Upload;
