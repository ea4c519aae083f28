//! Pictures as the decoder sees them.

use super::arguments::{StructOut, growing, held, taken, zeroed};
use super::status::{fleming_status, guard, guard_free};
use crate::ImageEmbeddings;

/// Image embeddings. They do not change: any thread may read them.
pub struct fleming_embeddings {
    shape: [usize; 3],
    values: Vec<f32>,
}

/// What embeddings hold: values[tile][token][number], without gaps. The values stand until the embeddings are freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fleming_embeddings_facts {
    /// sizeof(fleming_embeddings_facts)
    pub struct_size: usize,
    /// tiles × tokens × hidden numbers.
    pub values: *const f32,
    /// Tiles of all frames, in the order of the studies.
    pub tiles: usize,
    /// Tokens of a tile.
    pub tokens: usize,
    /// Numbers of a token.
    pub hidden: usize,
}

growing!(fleming_embeddings_facts: 40);

/// Tells what embeddings hold.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_embeddings_read(
    embeddings: *const fleming_embeddings,
    facts: *mut fleming_embeddings_facts,
) -> fleming_status {
    // SAFETY: the pointers are as the header asks.
    guard(|| unsafe {
        let (embeddings, facts) = (held("embeddings", embeddings)?, StructOut::at(facts)?);
        let [tiles, tokens, hidden] = embeddings.shape;
        facts.write(&fleming_embeddings_facts {
            values: embeddings.values.as_ptr(),
            tiles,
            tokens,
            hidden,
            ..zeroed()
        });
        Ok(fleming_status::Ok)
    })
}

/// Frees embeddings; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fleming_embeddings_free(embeddings: *mut fleming_embeddings) {
    // SAFETY: the pointer is as the header asks.
    guard_free(|| drop(unsafe { taken(embeddings) }));
}

impl fleming_embeddings {
    pub(super) fn new(embeddings: ImageEmbeddings) -> Self {
        let (tiles, tokens, hidden) = embeddings.values.dim();
        Self { shape: [tiles, tokens, hidden], values: embeddings.values.into_iter().collect() }
    }
}
