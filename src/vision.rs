//! Pixels to image embeddings.

use ndarray::{Array3, ArrayView4, Axis, s};

use crate::error::{Error, Result};
use crate::onnx::{Graph, GraphOptions, Runtime, Tensor};
use crate::package::{Package, Vision};

/// The vision tower with its projector.
pub(crate) struct VisionTower {
    graph: Graph,
    geometry: Vision,
    tiles_per_run: usize,
}

impl VisionTower {
    /// Loads the package's vision graph.
    pub(crate) fn open(runtime: &Runtime, package: &Package, options: GraphOptions) -> Result<Self> {
        let contract = &package.manifest().graphs.vision;
        let mut graph = Graph::open(runtime, &package.path(&contract.file), contract, options)?;
        graph.fetch_output("image_embeds")?;
        let geometry = package.manifest().vision.clone();
        Ok(Self { graph, geometry, tiles_per_run: options.provider.tiles_per_run })
    }

    /// Image embeddings `[tiles, tokens per tile, hidden]` of normalised pixels `[tiles, 3, size, size]`. `progress` is
    /// told how many tiles are done and may stop the work by returning false; then there are no embeddings.
    pub(crate) fn encode(
        &mut self,
        pixels: ArrayView4<f32>,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<Option<Array3<f32>>> {
        let tiles = pixels.len_of(Axis(0));
        let mut embeddings =
            Vec::with_capacity(tiles * self.geometry.tokens_per_tile * self.geometry.hidden_size);
        for start in (0..tiles).step_by(self.tiles_per_run) {
            if !progress(start) {
                return Ok(None);
            }
            let end = tiles.min(start + self.tiles_per_run);
            let batch = Tensor::new(pixels.slice(s![start..end, .., .., ..]).to_owned())?;
            self.graph.bind_input("pixel_values", &batch)?;
            embeddings.extend(self.graph.run("image_embeds")?.to_vec()?);
        }
        progress(tiles);
        let shape = (tiles, self.geometry.tokens_per_tile, self.geometry.hidden_size);
        let embeddings = Array3::from_shape_vec(shape, embeddings)
            .map_err(|error| Error::runtime("image_embeds", format!("shape {shape:?}"), error))?;
        Ok(Some(embeddings))
    }
}
