//! Pictures to embeddings, without a question.

use std::time::Instant;

use ndarray::Array3;

use super::api::Engine;
use super::queue::Command;
use super::studies::Studies;
use super::threads;
use crate::error::{Error, Result};
use crate::request::{AskOptions, FrameUsed, StudyInput};

/// Output of the vision tower for studies: the decoder's only view of them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ImageEmbeddings {
    /// `[tiles, tokens per tile, hidden]`; the tiles of the first frame come first.
    pub values: Array3<f32>,
    /// The frames, in order, each with its number of tiles.
    pub frames: Vec<FrameUsed>,
    /// What the caller should know about the inputs, one sentence each.
    pub warnings: Vec<String>,
}

impl Engine {
    /// The image embeddings of studies alone. Of the options only `preprocessing`, `max_tiles`, `scope`, `cancel` and
    /// `timeout` matter. Answers under way continue: one tile at a time is encoded between their steps. A tile whose
    /// embeddings are in memory is not encoded again.
    ///
    /// # Errors
    /// [`Error::Input`] for studies that cannot be read, [`Error::Request`] if there are none and for options that cannot be
    /// met, [`Error::Cancelled`] or [`Error::TimedOut`] if it was stopped, [`Error::Runtime`] if the graph fails.
    pub fn embed(&self, studies: &[StudyInput], options: &AskOptions) -> Result<ImageEmbeddings> {
        self.0.queue.refuse_unserved()?;
        if studies.is_empty() {
            return Err(Error::request("studies", "at least one to embed", "none").hint("name one"));
        }
        let shared = &self.0.shared;
        let watch = options.watch(Instant::now()).switch(&self.0.stopped);
        let prepared = threads::with_room("fleming-embed", || {
            Studies::open(shared, studies, options, &watch)?.read(options.scope.as_deref())
        })?;
        let vision = &shared.package.manifest().vision;
        let shape = (prepared.tiles.len(), vision.tokens_per_tile, vision.hidden_size);
        let mut values = Vec::with_capacity(shape.0 * shape.1 * shape.2);
        for (tile, digest) in prepared.tiles.into_iter().zip(prepared.digests) {
            watch.check()?;
            let embeddings = self.command(|reply| Command::Embed(tile, digest, reply))??;
            values.extend(embeddings.to_vec()?);
        }
        let values = Array3::from_shape_vec(shape, values)
            .map_err(|error| Error::runtime("image embeddings", "rows of the hidden size", error).report())?;
        Ok(ImageEmbeddings { values, frames: prepared.frames, warnings: prepared.warnings })
    }
}
