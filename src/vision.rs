//! Pixels to image embeddings.

use std::sync::Arc;

use ndarray::Array4;

use crate::error::Result;
use crate::onnx::{Graph, GraphOptions, Memory, Place, Runtime, Tensor, split_tiles};
use crate::package::Package;

/// The vision tower with its projector.
pub(crate) struct VisionTower {
    graph: Graph,
    memory: Memory,
    tiles_per_run: usize,
}

impl VisionTower {
    /// Loads the package's vision graph.
    pub(crate) fn open(runtime: &Runtime, package: &Package, options: &GraphOptions) -> Result<Self> {
        let contract = &package.manifest().graphs.vision;
        // a picture is looked at once, and in any number of tiles
        let options = options.without_recording();
        let graph = Graph::open(runtime, &package.path(&contract.file), contract, &options)?;
        let memory = graph.memory()?;
        Ok(Self { graph, memory, tiles_per_run: options.tiles_per_run() })
    }

    /// Tiles that one run takes.
    pub(crate) fn tiles_per_run(&self) -> usize {
        self.tiles_per_run
    }

    /// The embeddings of each tile, `[tokens per tile, hidden]`, of normalised pixels `[tiles, 3, size, size]`. They stay
    /// in the memory that the graphs compute in.
    pub(crate) fn encode(&mut self, pixels: Array4<f32>) -> Result<Vec<Arc<Tensor>>> {
        self.graph.bind_input("pixel_values", &Tensor::new(pixels)?)?;
        let [embeddings] = self.graph.run([("image_embeds", Place::In(&self.memory))])?;
        split_tiles(embeddings, &self.memory)
    }
}
