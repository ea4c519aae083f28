//! Image embeddings that are kept, so that no picture is encoded twice.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::onnx::Tensor;
use crate::pixels::Digest;

/// The embeddings of one tile, `[tokens per tile, hidden]`, in the memory that the graphs compute in.
pub(super) type Embeddings = Arc<Tensor>;

/// Tiles that are kept at most, however small they are: as many as a server sees again.
const MOST_TILES: usize = 512;

/// Embeddings by the digest of the pixels and of the vision graph, the least recently used dropped first. Those that a
/// request still holds are found even where there is no room to keep them.
pub(super) struct ImageCache {
    kept: HashMap<Digest, (Embeddings, u64)>,
    held: HashMap<Digest, Weak<Tensor>>,
    bytes: usize,
    most: usize,
    clock: u64,
    pub(super) hits: u64,
    pub(super) misses: u64,
}

impl ImageCache {
    /// A cache of at most this many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { kept: HashMap::new(), held: HashMap::new(), bytes: 0, most, clock: 0, hits: 0, misses: 0 }
    }

    /// What is known of a tile; counted as a hit or a miss.
    pub(super) fn get(&mut self, tile: &Digest) -> Option<Embeddings> {
        self.clock += 1;
        let kept = self.kept.get_mut(tile).map(|(embeddings, used)| {
            *used = self.clock;
            embeddings.clone()
        });
        let found = kept.or_else(|| self.held.get(tile)?.upgrade());
        match found {
            Some(_) => self.hits += 1,
            None => self.misses += 1,
        }
        found
    }

    /// Takes in a tile that was encoded.
    pub(super) fn insert(&mut self, tile: Digest, embeddings: &Embeddings) {
        self.held.retain(|_, held| held.strong_count() > 0);
        self.held.insert(tile, Arc::downgrade(embeddings));
        let size = embeddings.bytes();
        if size > self.most || self.kept.contains_key(&tile) {
            return;
        }
        while self.bytes + size > self.most || self.kept.len() >= MOST_TILES {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, (_, used))| *used).map(|(tile, _)| *tile)
            else {
                break;
            };
            if let Some((dropped, _)) = self.kept.remove(&oldest) {
                self.bytes -= dropped.bytes();
            }
        }
        self.clock += 1;
        self.bytes += size;
        self.kept.insert(tile, (embeddings.clone(), self.clock));
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::onnx::Runtime;

    fn tile(name: u8) -> (Digest, Embeddings) {
        let _runtime = Runtime::load(None).unwrap();
        (Digest([name; 32]), Arc::new(Tensor::new(Array1::from_elem(10, f32::from(name))).unwrap()))
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = ImageCache::new(80);
        for name in [1, 2] {
            let (digest, embeddings) = tile(name);
            assert!(cache.get(&digest).is_none());
            cache.insert(digest, &embeddings);
        }
        assert_eq!(cache.get(&tile(1).0).unwrap().to_vec().unwrap(), [1.0; 10]);
        let (digest, embeddings) = tile(3);
        cache.insert(digest, &embeddings);
        assert_eq!(cache.bytes(), 80);
        assert!(cache.get(&tile(2).0).is_none());
        assert!(cache.get(&tile(1).0).is_some() && cache.get(&tile(3).0).is_some());
        assert_eq!((cache.hits, cache.misses), (3, 3));
    }

    #[test]
    fn what_a_request_holds_is_found_without_room() {
        let mut cache = ImageCache::new(0);
        let (digest, embeddings) = tile(1);
        cache.insert(digest, &embeddings);
        assert!(cache.get(&digest).is_some());
        drop(embeddings);
        assert!(cache.get(&digest).is_none());
        assert_eq!(cache.bytes(), 0);
    }
}
