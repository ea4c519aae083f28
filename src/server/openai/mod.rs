//! OpenAI's chat completions: what clients send, and what they get.

mod once;
mod body;
mod data_url;
mod options;
mod content;
mod asked;
mod reply;
pub(super) mod responses;
mod responses_body;

pub(super) use asked::{Asked, Delivery, StreamForm};
pub(super) use body::{ChatBody, parse};
pub(super) use content::PARTS;
pub(super) use options::{EFFORTS, FIELDS, HARMLESS, is_ours, with_param};
pub(super) use reply::{ChatCompletion, Chunk, Head};
pub(super) use responses_body::{ResponsesBody, renamed};
