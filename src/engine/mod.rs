//! The one way from a request to a reply, for any number of requests at a time.
//!
//! [`Engine::submit`] queues a request and returns. A preparing thread reads the studies, prepares the pixels and writes the
//! prompt. The loop in [`worker`] encodes, prefills and steps. The caller's thread turns tokens into text.
//!
//! A file here imports only files declared above it.

mod clock;
mod threads;
mod options;
mod memory;
// ── plans of providers that build them
mod build;
// ── a request
mod counts;
mod shared;
mod contents;
mod images;
mod session;
mod studies;
mod prompt;
mod guesses;
mod writer;
mod caller;
mod schedule;
mod sequence;
mod queue;
// ── the threads
mod preparing;
mod encoder;
mod slots;
mod worker;
mod verify;
// ── what callers hold
mod handle;
mod pending;
mod api;
mod embed;
mod count;

pub use api::Engine;
pub(crate) use build::own_operators;
pub use build::{Plan, PlanFolder, PlanState, graph_providers, plan_states, warm};
pub use count::TokenCount;
pub use counts::Counts;
pub use embed::ImageEmbeddings;
pub use memory::MemoryNeeds;
pub use options::EngineOptions;
pub use pending::Pending;
pub(crate) use threads::with_room;
