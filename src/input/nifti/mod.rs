//! Volumes in NIfTI, versions 1 and 2: alone, packed with gzip, or as a pair of header and voxels.

mod header;
mod orientation;
mod gzip;
mod volume;

#[cfg(test)]
mod tests;

pub(super) use volume::{open, sniff};
