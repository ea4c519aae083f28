//! Pixels to image embeddings.

use std::sync::Arc;

use ndarray::Array4;

use crate::error::Result;
use crate::onnx::{Destination, Graph, GraphOptions, Memory, Runtime, Tensor, split_tiles};
use crate::package::Package;

/// The vision tower with its projector.
pub(crate) struct VisionTower {
    graph: Graph,
    memory: Memory,
    tiles_per_run: usize,
}

impl VisionTower {
    /// Loads the package's vision graph.
    ///
    /// # Errors
    /// Those of [`Graph::open`].
    pub(crate) fn open(runtime: &Runtime, package: &Package, options: &GraphOptions) -> Result<Self> {
        let contract = &package.manifest().graphs.vision;
        // pictures have any number of tiles, so runs seldom repeat
        let options = options.without_recording();
        let graph = Graph::open(runtime, &package.path(&contract.file), contract, &options)?;
        let memory = graph.memory()?;
        // no more than the package reckons memory for
        let most = package.manifest().work.as_ref().map_or(usize::MAX, |work| work.tiles);
        Ok(Self { graph, memory, tiles_per_run: options.tiles_per_run().min(most) })
    }

    /// Tiles in one run.
    pub(crate) fn tiles_per_run(&self) -> usize {
        self.tiles_per_run
    }

    /// Encodes normalised pixels `[tiles, 3, size, size]`. Returns the embeddings of each tile, `[tokens per tile, hidden]`, in
    /// the memory that the graphs compute in.
    ///
    /// # Errors
    /// [`Error::Request`](crate::Error::Request) for more tiles than the graph's plan takes,
    /// [`Error::Runtime`](crate::Error::Runtime) if the run fails.
    pub(crate) fn encode(&mut self, pixels: Array4<f32>) -> Result<Vec<Arc<Tensor>>> {
        self.graph.bind_input("pixel_values", &Tensor::new(pixels)?)?;
        let [embeddings] = self.graph.run([("image_embeds", Destination::Memory(&self.memory))])?;
        split_tiles(embeddings, &self.memory)
    }
}
