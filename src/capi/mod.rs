//! The C library: `include/fleming.h`, which is made from this folder.
//!
//! Every function reads its arguments, calls the crate's public API within [`status::guard`] and writes what came of it.
//! Handles are `Arc`s: a call that is under way holds what it uses, whatever is freed meanwhile.

#![allow(non_camel_case_types, reason = "types bear the names that they have in C")]

mod names;
mod status;
mod arguments;
mod error;
mod buffer;
mod aside;
mod enums;
mod log;
mod event;
mod bell;
mod options;
mod study;
mod frames;
mod volume;
mod request;
mod picture;
mod reply;
mod pending;
mod embeddings;
mod engine;
mod asking;
mod session;
mod doctor;
mod preview;
mod version;
mod operators;

#[cfg(test)]
mod tests;
