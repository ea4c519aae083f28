//! Volumes in NumPy's `.npy` format, alone or in an `.npz`.

mod cube;
mod header;
mod archive;
mod array;

pub(super) use archive::is_archive;
pub(super) use array::{open, sniff};
