//! Pictures of what the model sees, for people: frames side by side, each with what it is, and where in their studies they
//! lie. No label names a file or a patient.

mod labels;
mod ink;
mod scout;
mod ruler;
mod sheet;
mod look;

pub use look::{Preview, preview};
pub use sheet::Picture;
