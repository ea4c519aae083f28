//! Pixels to image embeddings.

use std::sync::Arc;

use ndarray::Array4;

use crate::error::Result;
use crate::onnx::{Graph, GraphOptions, Runtime, Tensor};
use crate::package::Package;

/// The vision tower with its projector.
pub(crate) struct VisionTower {
    graph: Graph,
    /// Numbers in the embeddings of one tile.
    tile_numbers: usize,
    tiles_per_run: usize,
}

impl VisionTower {
    /// Loads the package's vision graph.
    pub(crate) fn open(runtime: &Runtime, package: &Package, options: &GraphOptions) -> Result<Self> {
        let contract = &package.manifest().graphs.vision;
        let graph = Graph::open(runtime, &package.path(&contract.file), contract, options)?;
        let vision = &package.manifest().vision;
        let tile_numbers = vision.tokens_per_tile * vision.hidden_size;
        Ok(Self { graph, tile_numbers, tiles_per_run: options.device.provider.tiles_per_run })
    }

    /// Tiles that one run takes.
    pub(crate) fn tiles_per_run(&self) -> usize {
        self.tiles_per_run
    }

    /// The embeddings of each tile, `[tokens per tile, hidden]`, of normalised pixels `[tiles, 3, size, size]`.
    pub(crate) fn encode(&mut self, pixels: Array4<f32>) -> Result<Vec<Arc<[f32]>>> {
        self.graph.bind_input("pixel_values", &Tensor::new(pixels)?)?;
        let embeddings = self.graph.run("image_embeds")?;
        Ok(embeddings.numbers()?.chunks(self.tile_numbers).map(Arc::from).collect())
    }
}
