//! AVX2: products of 16 bits, added up in pairs. Those of 8 bits would saturate.

mod few;
mod many;

pub(super) use few::few;
pub(super) use many::{COLUMNS, many, transpose};
