//! Execution providers: which there are, what they need, and how a session gets one.

mod device;
mod tensorrt;
mod table;
#[cfg(feature = "fake-device")]
mod fake;
mod parse;
#[cfg(test)]
mod tests;

pub(crate) use device::{Device, Provider};
pub(crate) use table::{GPU_TILES, PROVIDERS};
pub(crate) use tensorrt::TIMING_INPUTS;
