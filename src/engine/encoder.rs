//! Tiles to image embeddings, none of them twice.

use std::sync::Arc;

use super::images::{Embeddings, ImageCache};
use super::sequence::{Sequence, Sizes};
use crate::error::{Error, Result};
use crate::pixels::{self, Digest, PixelGeometry, Tile};
use crate::vision::VisionTower;

/// The vision tower and the embeddings that are kept.
pub(super) struct Encoder {
    tower: VisionTower,
    pub(super) images: ImageCache,
    geometry: PixelGeometry,
}

impl Encoder {
    /// Keeps embeddings up to this many bytes.
    pub(super) fn new(tower: VisionTower, geometry: PixelGeometry, most: usize) -> Self {
        Self { tower, images: ImageCache::new(most), geometry }
    }

    /// Encodes one run of the tiles that a sequence still needs after `done` tokens. Returns whether there was one.
    pub(super) fn encode_some(&mut self, sequence: &mut Sequence, done: usize, sizes: Sizes) -> Result<bool> {
        let missing = sequence.missing_tiles(done, sizes);
        if sequence.served_first_time() {
            sequence.tell_encoding(missing.len());
        }
        let mut unknown = Vec::new();
        for tile in missing {
            if unknown.len() == self.tower.tiles_per_run() {
                break;
            }
            match self.images.get(&sequence.prompt.digests[tile]) {
                Some(embeddings) => sequence.take_embeddings(tile, embeddings),
                None => unknown.push(tile),
            }
        }
        if !unknown.is_empty() {
            let prompt = Arc::clone(&sequence.prompt);
            let tiles: Vec<_> =
                unknown.iter().map(|&tile| (&prompt.tiles[tile], prompt.digests[tile])).collect();
            for (tile, embeddings) in unknown.iter().zip(self.encode(&tiles)?) {
                sequence.take_embeddings(*tile, embeddings);
            }
        }
        sequence.tell_encoding(sequence.missing_tiles(done, sizes).len());
        Ok(!unknown.is_empty())
    }

    /// The embeddings of one tile.
    pub(super) fn embed(&mut self, tile: &Tile, digest: Digest) -> Result<Embeddings> {
        if let Some(embeddings) = self.images.get(&digest) {
            return Ok(embeddings);
        }
        let encoded = self.encode(&[(tile, digest)])?;
        encoded
            .into_iter()
            .next()
            .ok_or_else(|| Error::runtime("image_embeds", "a row for each tile", "none").report())
    }

    /// The embeddings of tiles, in one run.
    fn encode(&mut self, tiles: &[(&Tile, Digest)]) -> Result<Vec<Embeddings>> {
        let pixels: Vec<_> = tiles.iter().map(|(tile, _)| *tile).collect();
        let encoded = self.tower.encode(pixels::normalize(&pixels, &self.geometry))?;
        for ((_, digest), embeddings) in tiles.iter().zip(&encoded) {
            self.images.insert(*digest, embeddings);
        }
        Ok(encoded)
    }
}
