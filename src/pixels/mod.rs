//! Frames to tiles, and tiles to the numbers that the vision graph takes.

mod convert;
mod rows;
mod kernel;
mod resize;
mod tile;
mod tiling;
mod fit;

#[cfg(test)]
mod tests;

pub(crate) use fit::{count, picture, tiles};
pub(crate) use tile::{Digest, PixelGeometry, Tile, digest, normalize, stack};
pub(crate) use tiling::Tiling;
