//! Tiles, and the numbers that the vision graph takes of them.

use std::borrow::Borrow;

use ndarray::{Array4, Axis};
use sha2::{Digest as _, Sha256};

/// A picture as the vision tower sees it, before normalising: `size × size` pixels, 8-bit RGB.
pub(crate) struct Tile(pub(super) Vec<u8>);

/// SHA-256 of a tile's pixels, of how they are normalised and of the vision graph that takes them: what it makes of them
/// is the same where this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// Of any bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// Size and range of the vision graph's input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelGeometry {
    /// Side of a tile in pixels.
    pub(crate) size: u32,
    pub(crate) rescale: f64,
    pub(crate) mean: [f32; 3],
    pub(crate) std: [f32; 3],
}

/// Normalised pixels `[tiles, 3, size, size]`. The arithmetic is that of transformers' CLIP image processor: a byte
/// times the factor in double precision, rounded to single, then mean and deviation in single.
pub(crate) fn normalize(tiles: &[impl Borrow<Tile>], geometry: &PixelGeometry) -> Array4<f32> {
    let table = |channel: usize| -> [f32; 256] {
        let (mean, std) = (geometry.mean[channel], geometry.std[channel]);
        std::array::from_fn(|value| ((value as f64 * geometry.rescale) as f32 - mean) / std)
    };
    let tables = [table(0), table(1), table(2)];
    planes(tiles, geometry.size, |channel, value| tables[channel][usize::from(value)])
}

/// The digest of a tile for the vision graph of this digest. The pixels are those before normalising, a quarter of the
/// bytes: with the constants they determine what the graph takes.
pub(crate) fn digest(tile: &Tile, geometry: &PixelGeometry, graph: &str) -> Digest {
    let PixelGeometry { size, rescale, mean, std } = geometry;
    let hash = Sha256::new().chain_update(graph).chain_update(size.to_le_bytes());
    let hash = hash.chain_update(rescale.to_le_bytes());
    let constants = mean.iter().chain(std).flat_map(|constant| constant.to_le_bytes());
    let hash = hash.chain_update(constants.collect::<Vec<u8>>());
    Digest(hash.chain_update(&tile.0).finalize().into())
}

/// The 8-bit pixels `[tiles, 3, size, size]`.
pub(crate) fn stack(tiles: &[Tile], size: u32) -> Array4<u8> {
    planes(tiles, size, |_, value| value)
}

/// Interleaved tiles to planes.
fn planes<T: Clone + Default>(
    tiles: &[impl Borrow<Tile>],
    size: u32,
    value: impl Fn(usize, u8) -> T,
) -> Array4<T> {
    let side = size as usize;
    let mut array = Array4::default((tiles.len(), 3, side, side));
    for (tile, mut planes) in tiles.iter().zip(array.outer_iter_mut()) {
        for (channel, mut plane) in planes.axis_iter_mut(Axis(0)).enumerate() {
            for (to, from) in plane.iter_mut().zip(tile.borrow().0.iter().skip(channel).step_by(3)) {
                *to = value(channel, *from);
            }
        }
    }
    array
}
