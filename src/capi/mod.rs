//! The C library: `include/fleming.h`, which is made from this folder.
//!
//! Every function reads its arguments, calls the crate's public API within [`status::guard`] and writes what came of it.
//! Handles are `Arc`s: a call that is under way holds what it uses, whatever is freed meanwhile.

mod status;
mod arguments;
mod log;
mod options;
mod engine;
mod request;
mod reply;
mod pending;
mod embeddings;
mod version;

#[cfg(test)]
mod tests;
