//! Token ids and image embeddings to logits, through the KV cache.

mod logits;
mod length;
mod recorded;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use ndarray::{Array1, Array2, Axis};

use crate::error::{Error, Result};
use crate::onnx::{
    Destination, EmbeddingBuffer, Graph, GraphOptions, KvArena, KvShape, Memory, Runtime, Tensor,
};
use crate::package::{Dimension, GraphContract, Package};
use length::LengthInput;
pub(crate) use length::Next;
use logits::Outputs;
pub(crate) use logits::{Best, Logits, Scores};
use recorded::{RecordedSteps, StepSizes};

/// The language model with its cache.
pub(crate) struct Decoder {
    graph: Graph,
    arena: KvArena,
    embeddings: EmbeddingBuffer,
    memory: Memory,
    length_input: LengthInput,
    /// Whether the graph gives the largest logits of each row.
    finds_best: bool,
    recorded: Option<RecordedSteps>,
}

/// Tokens of one slot that run together.
pub(crate) struct Chunk<'a> {
    pub(crate) ids: &'a [i64],
    /// For each token its row of the tiles' embeddings one after the other, or −1 for text.
    pub(crate) splice: Vec<i64>,
    /// The tiles that `splice` refers to, `[tokens per tile, hidden]` each.
    pub(crate) tiles: Vec<Arc<Tensor>>,
}

/// The inputs of a run.
struct RunInputs<'a> {
    /// `[slots, tokens]`
    ids: Array2<i64>,
    /// `[slots, tokens]`
    splice: Array2<i64>,
    /// Tokens in each slot after the run, `[slots]`.
    totals: &'a [usize],
    /// The tokens whose logits are computed, as indices into a row of `ids`; −1 is the last.
    logits_at: &'a [i64],
    /// The length of the longest row, as the graph gets it.
    longest: usize,
}

/// The last token alone.
const LAST: &[i64] = &[-1];

impl Decoder {
    /// Loads the package's decoder graph and allocates the cache.
    ///
    /// # Errors
    /// Those of [`Graph::open`] and [`KvArena::new`], and [`Error::Package`] for a graph without an input for the length.
    pub(crate) fn open(
        runtime: &Runtime,
        package: &Package,
        options: &GraphOptions,
        shape: KvShape,
    ) -> Result<Self> {
        let manifest = package.manifest();
        let contract = &manifest.graphs.decoder;
        let length_input = LengthInput::of(contract, &options.device)?;
        let best = best_width(contract);
        let recorded_sizes = match (length_input, best) {
            (LengthInput::PowerOfTwo, Some(best)) if options.device.records() => {
                Some(StepSizes { slots: shape.slots, vocabulary: manifest.tokens.vocabulary, best })
            }
            _ => None,
        };
        let options = match recorded_sizes {
            Some(_) => options.clone(),
            None => options.without_recording(),
        };
        let graph = Graph::open(runtime, &package.path(&contract.file), contract, &options)?;
        let memory = graph.memory()?;
        let arena = KvArena::new(shape, &memory)?;
        let vision = &manifest.vision;
        let embeddings = EmbeddingBuffer::new(graph.memory()?, vision.tokens_per_tile, vision.hidden_size)?;
        let recorded = recorded_sizes.map(|sizes| RecordedSteps::new(&memory, &sizes)).transpose()?;
        Ok(Self { graph, arena, embeddings, memory, length_input, finds_best: best.is_some(), recorded })
    }

    /// Runs a chunk after the first `position` tokens of a slot. Returns the logits after its last token.
    ///
    /// # Errors
    /// [`Error::Request`] for a shape that the graph's plan does not take, [`Error::Runtime`] if the run fails.
    pub(crate) fn prefill(&mut self, slot: usize, position: usize, chunk: Chunk<'_>) -> Result<Logits> {
        match chunk.tiles.as_slice() {
            [] => self.graph.bind_input("image_embeds", self.embeddings.empty())?,
            tiles => self.graph.bind_input("image_embeds", &self.embeddings.join(tiles)?)?,
        }
        let row = |values: &[i64]| Array1::from(values.to_vec()).insert_axis(Axis(0));
        let total = position + chunk.ids.len();
        let (ids, splice) = (row(chunk.ids), row(&chunk.splice));
        let inputs = RunInputs { ids, splice, totals: &[total], logits_at: LAST, longest: total };
        let logits = self.run(slot..slot + 1, inputs)?;
        logits.into_iter().next().ok_or_else(|| Error::runtime("logits", "a row", "none").report())
    }

    /// Runs guessed tokens after the first `position` tokens of a slot. Returns the logits after each of them.
    ///
    /// # Errors
    /// Those of [`prefill`](Self::prefill).
    pub(crate) fn verify(&mut self, slot: usize, position: usize, guess: &[u32]) -> Result<Vec<Logits>> {
        self.graph.bind_input("image_embeds", self.embeddings.empty())?;
        let ids = Array1::from_iter(guess.iter().map(|&id| i64::from(id))).insert_axis(Axis(0)); // [1, tokens]
        let splice = Array2::from_elem(ids.dim(), -1);
        let each: Vec<_> = (0..guess.len() as i64).collect();
        let total = position + guess.len();
        self.run(
            slot..slot + 1,
            RunInputs { ids, splice, totals: &[total], logits_at: &each, longest: total },
        )
    }

    /// Appends one token to each of the slots from `first` on. Returns the logits after them, slot by slot.
    ///
    /// # Errors
    /// Those of [`prefill`](Self::prefill).
    pub(crate) fn step(&mut self, first: usize, next: &[Next]) -> Result<Vec<Logits>> {
        self.graph.bind_input("image_embeds", self.embeddings.empty())?;
        let slots = first..first + next.len();
        let totals: Vec<_> = next.iter().map(|next| next.position + 1).collect();
        let longest = self.length_input.of_step(&totals, self.arena.shape().capacity);
        if let (0, Some(recorded)) = (first, &mut self.recorded) {
            self.arena.bind(&mut self.graph, slots)?;
            return Ok(recorded.run(&mut self.graph, next, longest)?.split());
        }
        let ids = Array1::from_iter(next.iter().map(|next| i64::from(next.id))).insert_axis(Axis(1)); // [slots, 1]
        let splice = Array2::from_elem(ids.dim(), -1);
        self.run(slots, RunInputs { ids, splice, totals: &totals, logits_at: LAST, longest })
    }

    /// Whether steps of the first slots are recorded and replayed, which makes them faster than others.
    pub(crate) fn records_steps(&self) -> bool {
        self.recorded.is_some()
    }

    /// The time that ONNX Runtime has taken for all runs so far.
    pub(crate) fn run_time(&self) -> Duration {
        self.graph.run_time()
    }

    /// The KV cache.
    pub(crate) fn arena(&mut self) -> &mut KvArena {
        &mut self.arena
    }

    /// Returns the logits of `logits_at`, slot by slot.
    fn run(&mut self, slots: Range<usize>, inputs: RunInputs<'_>) -> Result<Vec<Logits>> {
        self.arena.bind(&mut self.graph, slots)?;
        let RunInputs { ids, splice, totals, logits_at, longest } = inputs;
        let last = totals.iter().map(|&total| total as i32 - 1).collect::<Vec<_>>();
        self.graph.bind_input("input_ids", &Tensor::new(ids)?)?;
        self.graph.bind_input("splice", &Tensor::new(splice)?)?;
        self.graph.bind_input("seqlens_k", &Tensor::new(Array1::from(last))?)?;
        self.graph.bind_input("logits_at", &Tensor::new(Array1::from(logits_at.to_vec()))?)?;
        self.length_input.bind(&mut self.graph, longest, self.arena.shape().capacity)?;
        let rows = totals.len() * logits_at.len();
        let outputs = match (self.finds_best, &self.memory) {
            (true, memory @ Memory::Device(_)) => {
                let [logits, best] =
                    self.graph.run([("logits", Destination::Memory(memory)), ("best", Destination::Host)])?;
                Outputs::on_device(logits, best, rows)
            }
            _ => {
                let [logits] = self.graph.run([("logits", Destination::Host)])?;
                Outputs::on_host(logits, rows)
            }
        };
        Ok(outputs.split())
    }
}

/// The width of the output with each row's largest logits, if the graph has it.
fn best_width(contract: &GraphContract) -> Option<usize> {
    let best = contract.outputs.iter().find(|tensor| tensor.name == "best")?;
    match best.shape.as_slice() {
        [_, Dimension::Fixed(numbers)] => usize::try_from(*numbers).ok(),
        _ => None,
    }
}
