//! The HTTP server: OpenAI's protocol for programs, and a page for people.
//!
//! It is a surface like the command line: it calls the engine through the public API. A file here imports only files declared
//! above it.

mod settings;
mod allocator;
mod identity;
mod keys;
mod metrics;
mod audit;
mod store;
mod slices;
mod fault;
mod state;
mod receive;
mod work;
// ── OpenAI's protocol
mod openai;
mod record;
mod job;
mod asking;
mod stream;
mod answering;
// ── the way of a request
mod paths;
mod guard;
mod routes;
// ── the server itself
mod tls;
mod listen;
mod serve;

pub use serve::serve;
pub use settings::{FileSettings, ServerSettings, TlsFiles};
