//! DICOM: studies as a clinic stores them.
//!
//! `scan` reads what a file says of itself, from an allow-list of elements (`tag`), and stops before its pixels. `series`,
//! `order` and `split` find the one volume, clip or picture that is looked at among all files of a study. `frames` unpacks the
//! pixels of single frames, of which `stack` makes slices of a volume and `shown` pictures.

mod tag;
mod value;
mod syntax;
mod stream;
mod element;
mod scan;
mod place;
mod gather;
// ── what a data set says
mod groups;
mod layout;
mod samples;
mod table;
mod modality;
mod voi;
mod padding;
mod geometry;
mod times;
// ── pixels
mod fragments;
mod frames;
mod palette;
mod colour;
mod grey;
// ── what is looked at
mod instance;
mod series;
mod order;
mod alike;
mod split;
mod stack;
mod shown;
mod memory;
mod clip;
mod video;
mod open;

#[cfg(test)]
mod writer;
#[cfg(test)]
mod tests;

pub(super) use memory::open as open_picture;
pub(super) use open::{open, several, sniff, sniff_bare};
