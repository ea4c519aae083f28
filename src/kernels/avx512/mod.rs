//! AVX-512 with VNNI: four products of 8 bits in each of 16 lanes, exact.

mod levels;
mod many;
mod few;

pub(super) use few::few;
pub(super) use many::{COLUMNS, many, transpose};
