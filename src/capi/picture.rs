//! Pictures as the model sees them.

use super::arguments::{growing, zeroed};
use crate::Picture;

/// A picture as the vision tower takes it, before its numbers are normalised. It stands until what it came from is freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_picture {
    /// sizeof(fleming_picture)
    pub struct_size: usize,
    /// height rows of width pixels of 3 bytes, red, green, blue, without gaps. The tiles of a frame stand one below the other,
    /// in the tower's order: width is fleming_engine_facts.tile_size, height is that times fleming_frame_facts.tiles.
    pub rgb: *const u8,
    pub width: usize,
    pub height: usize,
}

growing!(fleming_picture: 32);

/// The tiles of a frame, one below the other.
pub(super) struct Tiles {
    rgb: Vec<u8>,
    width: usize,
    height: usize,
}

impl Tiles {
    pub(super) fn new(tiles: &[Picture]) -> Self {
        Self {
            rgb: tiles.iter().flat_map(|tile| tile.rgb()).copied().collect(),
            width: tiles.first().map_or(0, |tile| tile.width() as usize),
            height: tiles.iter().map(|tile| tile.height() as usize).sum(),
        }
    }

    pub(super) fn facts(&self) -> fleming_picture {
        let Self { rgb, width, height } = self;
        fleming_picture { rgb: rgb.as_ptr(), width: *width, height: *height, ..zeroed() }
    }
}
