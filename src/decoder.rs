//! Token ids and image embeddings to logits, through the KV cache.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array0, Array1, Array2, Axis};

use crate::error::{Error, Result};
use crate::onnx::{Graph, GraphOptions, KvArena, KvShape, Ran, Rows, Runtime, Tensor};
use crate::package::Package;

const LONGEST: &str = "total_sequence_length";

/// The language model with its cache.
pub(crate) struct Decoder {
    graph: Graph,
    arena: KvArena,
    images: Rows,
    vocabulary: usize,
    /// Whether the form of this graph wants the length of the longest row, which the other finds out itself.
    wants_longest: bool,
}

/// Tokens of one slot that run together.
pub(crate) struct Chunk<'a> {
    pub(crate) ids: &'a [i64],
    /// For each token its row of the tiles' embeddings one after the other, or −1 for text.
    pub(crate) splice: Vec<i64>,
    /// The tiles of which a row is wanted, `[tokens per tile, hidden]` each.
    pub(crate) tiles: Vec<Arc<Tensor>>,
}

/// The logits after one token, where the run left them: at the size of a vocabulary a copy would cost as much as the choice.
pub(crate) struct Logits {
    run: Arc<Tensor>,
    place: Range<usize>,
}

/// The next token of a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Next {
    pub(crate) id: u32,
    /// Tokens in the slot before it.
    pub(crate) position: usize,
}

impl Logits {
    /// `[vocabulary]`
    pub(crate) fn numbers(&self) -> Result<&[f32]> {
        let wanted = || Error::runtime("logits", "a row for each position", "fewer");
        self.run.numbers()?.get(self.place.clone()).ok_or_else(wanted)
    }
}

/// Of the last token alone.
const LAST: &[i64] = &[-1];

impl Decoder {
    /// Loads the package's decoder graph and allocates the cache.
    pub(crate) fn open(
        runtime: &Runtime,
        package: &Package,
        options: &GraphOptions,
        shape: KvShape,
    ) -> Result<Self> {
        let manifest = package.manifest();
        let contract = &manifest.graphs.decoder;
        let graph = Graph::open(runtime, &package.path(&contract.file), contract, options)?;
        let arena = KvArena::new(shape, &graph.memory()?)?;
        let vision = &manifest.vision;
        let images = Rows::new(graph.memory()?, vision.tokens_per_tile, vision.hidden_size)?;
        let wants_longest = contract.inputs.iter().any(|tensor| tensor.name == LONGEST);
        Ok(Self { graph, arena, images, vocabulary: manifest.tokens.vocabulary, wants_longest })
    }

    /// Runs a chunk after the first `position` tokens of a slot. Returns the logits after its last token.
    pub(crate) fn prefill(&mut self, slot: usize, position: usize, chunk: Chunk<'_>) -> Result<Logits> {
        match chunk.tiles.as_slice() {
            [] => self.graph.bind_input("image_embeds", self.images.none())?,
            tiles => self.graph.bind_input("image_embeds", &self.images.join(tiles)?)?,
        }
        let row = |values: &[i64]| Array1::from(values.to_vec()).insert_axis(Axis(0));
        let total = position + chunk.ids.len();
        let logits = self.run(slot..slot + 1, row(chunk.ids), row(&chunk.splice), &[total], LAST)?;
        logits.into_iter().next().ok_or_else(|| Error::runtime("logits", "a row", "none"))
    }

    /// Runs a guess of what comes after the first `position` tokens of a slot. Returns the logits after each of its tokens.
    pub(crate) fn verify(&mut self, slot: usize, position: usize, guess: &[u32]) -> Result<Vec<Logits>> {
        self.graph.bind_input("image_embeds", self.images.none())?;
        let ids = Array1::from_iter(guess.iter().map(|&id| i64::from(id))).insert_axis(Axis(0)); // [1, tokens]
        let splice = Array2::from_elem(ids.dim(), -1);
        let each: Vec<_> = (0..guess.len() as i64).collect();
        self.run(slot..slot + 1, ids, splice, &[position + guess.len()], &each)
    }

    /// Appends one token to each of the slots from `first` on. Returns the logits after them, slot by slot.
    pub(crate) fn step(&mut self, first: usize, next: &[Next]) -> Result<Vec<Logits>> {
        self.graph.bind_input("image_embeds", self.images.none())?;
        let column = |value: &dyn Fn(&Next) -> i64| {
            Array1::from_iter(next.iter().map(value)).insert_axis(Axis(1)) // [slots, 1]
        };
        let totals: Vec<_> = next.iter().map(|next| next.position + 1).collect();
        let ids = column(&|next| i64::from(next.id));
        self.run(first..first + next.len(), ids, column(&|_| -1), &totals, LAST)
    }

    /// What the graph has done so far.
    pub(crate) fn ran(&self) -> Ran {
        self.graph.ran()
    }

    /// The memory of the slots.
    pub(crate) fn arena(&mut self) -> &mut KvArena {
        &mut self.arena
    }

    /// `ids` and `splice` are `[slots, tokens]`; `totals` tells for each slot how many tokens it then has, `logits_at` of
    /// which of the tokens the logits are wanted. Returns them slot by slot.
    fn run(
        &mut self,
        slots: Range<usize>,
        ids: Array2<i64>,
        splice: Array2<i64>,
        totals: &[usize],
        logits_at: &[i64],
    ) -> Result<Vec<Logits>> {
        self.arena.bind(&mut self.graph, slots)?;
        let last = totals.iter().map(|&total| total as i32 - 1).collect::<Vec<_>>();
        let longest = totals.iter().max().map_or(0, |&total| total as i32);
        self.graph.bind_input("input_ids", &Tensor::new(ids)?)?;
        self.graph.bind_input("splice", &Tensor::new(splice)?)?;
        self.graph.bind_input("seqlens_k", &Tensor::new(Array1::from(last))?)?;
        self.graph.bind_input("logits_at", &Tensor::new(Array1::from(logits_at.to_vec()))?)?;
        if self.wants_longest {
            self.graph.bind_input(LONGEST, &Tensor::new(Array0::from_elem((), longest))?)?;
        }
        let rows = totals.len() * logits_at.len();
        let run = Arc::new(self.graph.run("logits")?);
        let place = |row| row * self.vocabulary..(row + 1) * self.vocabulary;
        Ok((0..rows).map(|row| Logits { run: Arc::clone(&run), place: place(row) }).collect())
    }
}
