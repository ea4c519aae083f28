//! Image embeddings: kept tile by tile in the memory that graphs compute in, and put side by side for a run of the decoder.

use std::sync::Arc;

use ndarray::Array2;
use ort::value::TensorElementType;

use super::memory::{Memory, Tensor, failed};
use super::raw::Block;
use crate::error::{Error, Result};

/// Puts the embeddings of tiles side by side.
pub(crate) struct Rows {
    memory: Memory,
    tokens_per_tile: usize,
    hidden: usize,
    /// On a device: room for as many tiles as a run has had so far.
    room: Option<(usize, Block)>,
    /// What stands in for embeddings where a run needs none, `[1, hidden]`.
    none: Tensor,
}

impl Rows {
    /// Rows of that width in that memory.
    pub(crate) fn new(memory: Memory, tokens_per_tile: usize, hidden: usize) -> Result<Self> {
        let none = memory.take(Tensor::new(Array2::<f32>::zeros((1, hidden)))?)?;
        Ok(Self { memory, tokens_per_tile, hidden, room: None, none })
    }

    /// What stands in for embeddings where a run needs none, `[1, hidden]`.
    pub(crate) fn none(&self) -> &Tensor {
        &self.none
    }

    /// The tiles one after the other, `[tiles × tokens per tile, hidden]`; good until the next call.
    pub(crate) fn join(&mut self, tiles: &[Arc<Tensor>]) -> Result<Tensor> {
        match &self.memory {
            Memory::Host(_) => self.join_on_host(tiles),
            Memory::Device(_) => self.join_on_device(tiles).map_err(|error| failed(&error)),
        }
    }

    fn join_on_host(&self, tiles: &[Arc<Tensor>]) -> Result<Tensor> {
        let mut values = Vec::with_capacity(tiles.len() * self.tokens_per_tile * self.hidden);
        for tile in tiles {
            values.extend_from_slice(tile.numbers()?);
        }
        let rows = Array2::from_shape_vec((tiles.len() * self.tokens_per_tile, self.hidden), values);
        Tensor::new(
            rows.map_err(|error| Error::runtime("image embeddings", "rows of the hidden size", error))?,
        )
    }

    fn join_on_device(&mut self, tiles: &[Arc<Tensor>]) -> ort::Result<Tensor> {
        let (tile_rows, hidden) = (self.tokens_per_tile, self.hidden);
        let sizes = [tiles.len() * tile_rows, hidden];
        let (_, block) = match self.room.take().filter(|(most, _)| *most >= tiles.len()) {
            Some(room) => self.room.insert(room),
            None => {
                let block = Block::new(self.memory.allocator(), TensorElementType::Float32, &sizes)?;
                self.room.insert((tiles.len(), block))
            }
        };
        for (place, tile) in tiles.iter().enumerate() {
            let mut view = block.view(place * tile_rows * hidden, &tile.sizes())?;
            tile.0.copy_into(&mut view)?;
        }
        block.view(0, &sizes).map(Tensor)
    }
}

/// The embeddings of each tile of a run, a tensor of `tokens per tile × hidden` numbers each, out of the run's output
/// `[tiles, tokens per tile, hidden]`, which is in that memory.
pub(crate) fn split_tiles(output: Tensor, memory: &Memory) -> Result<Vec<Arc<Tensor>>> {
    let sizes = output.sizes();
    let &[tiles, tokens, hidden] = sizes.as_slice() else {
        return Err(Error::runtime("image embeddings", "[tiles, tokens, hidden]", format!("{sizes:?}")));
    };
    if tiles == 1 {
        return Ok(vec![Arc::new(output)]);
    }
    let mut output = Block::of(output.0).map_err(|error| failed(&error))?;
    let tile = |tile: usize| {
        let view = output.view(tile * tokens * hidden, &[tokens, hidden]).map_err(|error| failed(&error))?;
        memory.copy_of(&Tensor(view)).map(Arc::new)
    };
    (0..tiles).map(tile).collect()
}
