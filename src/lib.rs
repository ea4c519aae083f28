//! Fleming answers questions about medical images, videos and volumes with a vision-language model.
//!
//! This file is the map. A module uses only modules declared above it, so an input meets them in this order.

// ── words
mod error;
mod frame;
mod request;
// ── stages
mod input;
mod pixels;

pub use error::{Error, ErrorCode, Facts, Result};
pub use frame::{Frame, Modality, PixelMode, Provenance, Study};
pub use request::*;
