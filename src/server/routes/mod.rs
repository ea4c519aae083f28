//! What the server answers to, one file for each kind of call.

mod fails;
mod query;
mod pictures;
mod refusals;
mod health;
mod models;
mod chat;
mod metrics;
mod responses;
mod files;
mod upload;
mod slices;
mod preview;
mod rules;
mod openapi;
mod page;

mod router;

pub(super) use router::router;
