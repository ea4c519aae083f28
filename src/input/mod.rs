//! Files to studies. A reader's header tells what a file is and how much of it is looked at; then its pixels are made.
//!
//! This file is the map: a file uses only files declared above it.

mod limits;
mod location;
mod source;
mod reading;
mod sampling;
mod foreign;
mod codecs;
// ── readers
mod stored;
mod volume;
mod npy;
mod nifti;
#[cfg(feature = "video")]
mod video;
mod image;
mod dicom;
// ── pictures in memory
mod layouts;
// ── the table of them
mod readers;
mod browse;

pub use browse::{Browsed, Browser};
pub use limits::Budget;
pub(crate) use location::scheme;
pub(crate) use readers::{OpenedStudy, open};
pub use readers::{inspect, measure, read};
pub use reading::{Fact, FactValue, Measured, ReadOptions, StudyFacts};
pub(crate) use source::regular;
