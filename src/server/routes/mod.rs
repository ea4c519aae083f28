//! What the server answers to, one file for each kind of call.

mod health;
mod models;
mod chat;
mod metrics;
mod responses;
mod openapi;
mod page;

mod router;

pub(super) use router::router;
