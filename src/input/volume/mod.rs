//! Volumes: number types, windows, and the choice of slices, whatever format they come from.

mod window;
mod number;
mod grid;
mod memory;

pub(super) use grid::{Grid, SliceChoice, Slices};
pub(super) use memory::open;
pub(super) use number::{ByteOrder, Number};
pub(super) use window::{Scaled, Scaling};
