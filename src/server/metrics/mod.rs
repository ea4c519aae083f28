//! What the server counts and measures, as text that Prometheus reads.
//!
//! Two kinds of families stand side by side. Those named `vllm:…` are what gateways, autoscalers and boards made for other
//! servers look for, with vLLM's names, labels and meaning. Those named `fleming_…` are our own.

mod bounds;
mod replies;
mod requests;
mod engine;
mod process;
mod all;

pub(crate) use all::Metrics;
pub(crate) use engine::{Build, Now};
pub(crate) use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;
pub(crate) use replies::Answered;
pub(crate) use requests::Refusal;
