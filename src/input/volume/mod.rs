//! Volumes: number types, windows, and the choice of slices, whatever format they come from.
//!
//! An array is looked at as it is (`grid`, `memory`). A volume in patient space (`space`) is turned upright (`axes`), brought
//! into a form (`trained`, `stacked`) and then looked at like an array (`stack`).

mod window;
mod number;
mod grid;
// ── in patient space
mod space;
mod asked;
mod axes;
mod block;
mod statistics;
mod trained;
mod survey;
mod planes;
mod stacked;
mod scout;
mod stack;
// ── either
mod memory;

pub(super) use grid::{Grid, SliceChoice, Slices};
pub(super) use memory::open;
pub(super) use number::{ByteOrder, Number};
pub(super) use space::{Kind, Placement, Samples, Space, UsualPlane, Values, cross, dot};
pub(super) use stack::choose;
pub(super) use window::{Scaled, Scaling, levels};
