//! Image embeddings: kept tile by tile in the memory that graphs compute in, and concatenated for a run of the decoder.

use std::sync::Arc;

use ndarray::Array2;
use ort::value::TensorElementType;

use super::memory::{Memory, Tensor, copy_values, failed};
use super::raw::Block;
use crate::error::{Error, Result};

/// Far more than any tower gives, and few enough that the numbers of thousands of tiles can be counted.
const MAX_NUMBERS_PER_TILE: usize = 1 << 30;

/// Concatenates the embeddings of tiles into the decoder's input.
pub(crate) struct EmbeddingBuffer {
    memory: Memory,
    tokens_per_tile: usize,
    hidden: usize,
    /// On a device: memory for the most tiles that a run has had so far, and their number.
    buffer: Option<(usize, Block)>,
    /// The input of runs without a picture, `[1, hidden]`.
    empty: Tensor,
}

impl EmbeddingBuffer {
    /// A buffer in that memory for embeddings of `hidden` numbers, `tokens_per_tile` to a tile.
    ///
    /// # Errors
    /// [`Error::Package`] for tiles whose numbers cannot be counted, [`Error::Runtime`] if memory cannot be had.
    pub(crate) fn new(memory: Memory, tokens_per_tile: usize, hidden: usize) -> Result<Self> {
        if tokens_per_tile.checked_mul(hidden).is_none_or(|numbers| numbers > MAX_NUMBERS_PER_TILE) {
            return Err(Error::package(
                "fleming.json: vision",
                format!("tiles of at most {MAX_NUMBERS_PER_TILE} numbers"),
                format!("{tokens_per_tile} tokens per tile of {hidden} numbers each"),
            )
            .hint("export the checkpoint again"));
        }
        let empty = memory.take(Tensor::new(Array2::<f32>::zeros((1, hidden)))?)?;
        Ok(Self { memory, tokens_per_tile, hidden, buffer: None, empty })
    }

    /// The input of a run without a picture, `[1, hidden]`.
    pub(crate) fn empty(&self) -> &Tensor {
        &self.empty
    }

    /// The embeddings of the tiles in their order, `[tiles × tokens per tile, hidden]`. Valid until the next call.
    ///
    /// # Errors
    /// [`Error::Runtime`] if a tile is of another size or the device fails.
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
            rows.map_err(|error| {
                Error::runtime("image embeddings", "rows of the hidden size", error).report()
            })?,
        )
    }

    fn join_on_device(&mut self, tiles: &[Arc<Tensor>]) -> ort::Result<Tensor> {
        let (tile_rows, hidden) = (self.tokens_per_tile, self.hidden);
        let sizes = [tiles.len() * tile_rows, hidden];
        let (_, block) = match self.buffer.take().filter(|(most, _)| *most >= tiles.len()) {
            Some(buffer) => self.buffer.insert(buffer),
            None => {
                let block = Block::new(self.memory.allocator(), TensorElementType::Float32, &sizes)?;
                self.buffer.insert((tiles.len(), block))
            }
        };
        for (place, tile) in tiles.iter().enumerate() {
            let mut view = block.view(place * tile_rows * hidden, &tile.sizes())?;
            copy_values(&tile.0, &mut view)?;
        }
        block.view(0, &sizes).map(Tensor)
    }
}

/// Splits a run's output `[tiles, tokens per tile, hidden]`, which is in that memory, into one tensor for each tile.
///
/// # Errors
/// [`Error::Runtime`] if the output has another rank or the device fails.
pub(crate) fn split_tiles(output: Tensor, memory: &Memory) -> Result<Vec<Arc<Tensor>>> {
    let sizes = output.sizes();
    let &[tiles, tokens, hidden] = sizes.as_slice() else {
        return Err(
            Error::runtime("image embeddings", "[tiles, tokens, hidden]", format!("{sizes:?}")).report()
        );
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
