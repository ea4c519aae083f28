//! AMX: tiles of 16 rows and 16 columns, with products in bfloat16 that are added up in float32.
//!
//! Activations are rounded to bfloat16, which loses less than levels of 8 bits do and knows no outliers. A weight's levels times
//! their scale are rounded once, so nothing is left to be scaled afterwards. Attention, which must not lose anything, multiplies
//! numbers in three parts (`parts.rs`).

mod tiles;
mod left;
mod right;
mod many;
mod parts;

pub(super) use many::many;
pub(super) use parts::{Parts, Sums, split};
pub(super) use tiles::{DEPTH, SIDE, Tiles};
