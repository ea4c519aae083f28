//! AVX2: products of 16 bits, added up in pairs. Those of 8 bits would saturate.

mod many;
mod few;

pub(super) use few::{few, fold};
pub(super) use many::{COLUMNS, many, transpose};
