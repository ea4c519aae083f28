//! Token ids and image embeddings to logits, through the KV cache.

mod logits;
mod recorded;

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array0, Array1, Array2, Axis};

use crate::error::{Error, Result};
use crate::onnx::{Graph, GraphOptions, KvArena, KvShape, Memory, Place, Ran, Rows, Runtime, Tensor};
use crate::package::{Dimension, GraphContract, Package};
use logits::Outputs;
pub(crate) use logits::{Best, Logits, Scores};
use recorded::{RecordedSteps, StepSizes};

/// How a graph is told how far the cache is filled: the length.
const LONGEST: &str = "total_sequence_length";
/// And in the other form: each position that is read, from 0 on, for the sizes in an engine are those of its inputs.
const POSITIONS: &str = "key_positions";

/// The language model with its cache.
pub(crate) struct Decoder {
    graph: Graph,
    arena: KvArena,
    images: Rows,
    memory: Memory,
    longest: Longest,
    /// Whether the graph gives the largest logits of each row.
    finds_best: bool,
    recorded: Option<RecordedSteps>,
}

/// What the graph is told of the length of the longest row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Longest {
    /// The length.
    Length,
    /// In steps the next power of two, no more than the capacity: a recording has it fixed, and a step that is not
    /// recorded shall compute the same.
    Doubling,
    /// The positions that are read; so many of them were told last.
    Positions(Option<usize>),
}

/// Tokens of one slot that run together.
pub(crate) struct Chunk<'a> {
    pub(crate) ids: &'a [i64],
    /// For each token its row of the tiles' embeddings one after the other, or −1 for text.
    pub(crate) splice: Vec<i64>,
    /// The tiles of which a row is wanted, `[tokens per tile, hidden]` each.
    pub(crate) tiles: Vec<Arc<Tensor>>,
}

/// The next token of a slot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Next {
    pub(crate) id: u32,
    /// Tokens in the slot before it.
    pub(crate) position: usize,
}

/// Inputs of a run.
struct Tokens<'a> {
    /// `[slots, tokens]`
    ids: Array2<i64>,
    /// `[slots, tokens]`
    splice: Array2<i64>,
    /// How many tokens each slot then has.
    totals: &'a [usize],
    /// Of which of the tokens the logits are wanted.
    logits_at: &'a [i64],
    longest: usize,
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
        let by_positions = by_positions(contract)?;
        let best = numbers_of_best(contract);
        let options = match !by_positions && best.is_some() {
            true => options.clone(),
            false => options.without_recording(),
        };
        let graph = Graph::open(runtime, &package.path(&contract.file), contract, &options)?;
        let memory = graph.memory()?;
        let arena = KvArena::new(shape, &memory)?;
        let vision = &manifest.vision;
        let images = Rows::new(graph.memory()?, vision.tokens_per_tile, vision.hidden_size)?;
        let (slots, vocabulary) = (shape.slots, manifest.tokens.vocabulary);
        let sizes = best.map(|best| StepSizes { slots, vocabulary, best });
        let sizes = sizes.filter(|_| options.device.records());
        let recorded = sizes.map(|sizes| RecordedSteps::new(&memory, &sizes)).transpose()?;
        let longest = match (by_positions, options.device.can_record()) {
            (true, _) => Longest::Positions(None),
            (false, false) => Longest::Length,
            (false, true) => Longest::Doubling,
        };
        Ok(Self { graph, arena, images, memory, longest, finds_best: best.is_some(), recorded })
    }

    /// Runs a chunk after the first `position` tokens of a slot. Returns the logits after its last token.
    pub(crate) fn prefill(&mut self, slot: usize, position: usize, chunk: Chunk<'_>) -> Result<Logits> {
        match chunk.tiles.as_slice() {
            [] => self.graph.bind_input("image_embeds", self.images.none())?,
            tiles => self.graph.bind_input("image_embeds", &self.images.join(tiles)?)?,
        }
        let row = |values: &[i64]| Array1::from(values.to_vec()).insert_axis(Axis(0));
        let total = position + chunk.ids.len();
        let (ids, splice) = (row(chunk.ids), row(&chunk.splice));
        let tokens = Tokens { ids, splice, totals: &[total], logits_at: LAST, longest: total };
        let logits = self.run(slot..slot + 1, tokens)?;
        logits.into_iter().next().ok_or_else(|| Error::runtime("logits", "a row", "none"))
    }

    /// Runs a guess of what comes after the first `position` tokens of a slot. Returns the logits after each of its tokens.
    pub(crate) fn verify(&mut self, slot: usize, position: usize, guess: &[u32]) -> Result<Vec<Logits>> {
        self.graph.bind_input("image_embeds", self.images.none())?;
        let ids = Array1::from_iter(guess.iter().map(|&id| i64::from(id))).insert_axis(Axis(0)); // [1, tokens]
        let splice = Array2::from_elem(ids.dim(), -1);
        let each: Vec<_> = (0..guess.len() as i64).collect();
        let total = position + guess.len();
        self.run(slot..slot + 1, Tokens { ids, splice, totals: &[total], logits_at: &each, longest: total })
    }

    /// Appends one token to each of the slots from `first` on. Returns the logits after them, slot by slot.
    pub(crate) fn step(&mut self, first: usize, next: &[Next]) -> Result<Vec<Logits>> {
        self.graph.bind_input("image_embeds", self.images.none())?;
        let slots = first..first + next.len();
        let totals: Vec<_> = next.iter().map(|next| next.position + 1).collect();
        let longest = self.longest.of_step(&totals, self.arena.shape().capacity);
        if let (0, Some(recorded)) = (first, &mut self.recorded) {
            self.arena.bind(&mut self.graph, slots)?;
            return Ok(recorded.run(&mut self.graph, next, longest)?.split());
        }
        let ids = Array1::from_iter(next.iter().map(|next| i64::from(next.id))).insert_axis(Axis(1)); // [slots, 1]
        let splice = Array2::from_elem(ids.dim(), -1);
        self.run(slots, Tokens { ids, splice, totals: &totals, logits_at: LAST, longest })
    }

    /// Whether steps are best those of the first slots, which are recorded and played again.
    pub(crate) fn records_steps(&self) -> bool {
        self.recorded.is_some()
    }

    /// What the graph has done so far.
    pub(crate) fn ran(&self) -> Ran {
        self.graph.ran()
    }

    /// The memory of the slots.
    pub(crate) fn arena(&mut self) -> &mut KvArena {
        &mut self.arena
    }

    /// Returns the logits that were asked for, slot by slot.
    fn run(&mut self, slots: Range<usize>, tokens: Tokens<'_>) -> Result<Vec<Logits>> {
        self.arena.bind(&mut self.graph, slots)?;
        let Tokens { ids, splice, totals, logits_at, longest } = tokens;
        let last = totals.iter().map(|&total| total as i32 - 1).collect::<Vec<_>>();
        self.graph.bind_input("input_ids", &Tensor::new(ids)?)?;
        self.graph.bind_input("splice", &Tensor::new(splice)?)?;
        self.graph.bind_input("seqlens_k", &Tensor::new(Array1::from(last))?)?;
        self.graph.bind_input("logits_at", &Tensor::new(Array1::from(logits_at.to_vec()))?)?;
        self.tell_longest(longest)?;
        let rows = totals.len() * logits_at.len();
        let outputs = match (self.finds_best, &self.memory) {
            (true, memory @ Memory::Device(_)) => {
                let [logits, best] =
                    self.graph.run([("logits", Place::In(memory)), ("best", Place::Host)])?;
                Outputs::on_device(logits, best, rows)
            }
            _ => {
                let [logits] = self.graph.run([("logits", Place::Host)])?;
                Outputs::on_host(logits, rows)
            }
        };
        Ok(outputs.split())
    }

    fn tell_longest(&mut self, longest: usize) -> Result<()> {
        let capacity = self.arena.shape().capacity;
        let Longest::Positions(told) = &mut self.longest else {
            return self.graph.bind_input(LONGEST, &Tensor::new(Array0::from_elem((), longest as i32))?);
        };
        let read = longest.next_multiple_of(POSITIONS_AT_ONCE).min(capacity);
        if *told != Some(read) {
            let positions = Array1::from_iter(0..read as i64);
            self.graph.bind_input(POSITIONS, &Tensor::new(positions)?)?;
            *told = Some(read);
        }
        Ok(())
    }
}

/// Below, it makes no difference worth a recording.
const LEAST_DOUBLING: usize = 512;
/// An engine works out all its sizes anew for every other shape: not in every step.
const POSITIONS_AT_ONCE: usize = 256;

impl Longest {
    /// What a step tells that gives the slots so many tokens.
    fn of_step(self, totals: &[usize], capacity: usize) -> usize {
        let longest = totals.iter().max().copied().unwrap_or_default();
        match self {
            Self::Length | Self::Positions(_) => longest,
            // Attention on a GPU is shared out among as many workers as that many tokens are worth: the capacity would
            // leave one worker with all of a short conversation.
            Self::Doubling => longest.next_power_of_two().max(LEAST_DOUBLING).min(capacity),
        }
    }
}

/// Whether the graph is told positions instead of a length.
fn by_positions(contract: &GraphContract) -> Result<bool> {
    let mut names = contract.inputs.iter().map(|tensor| tensor.name.as_str());
    match names.find(|name| [LONGEST, POSITIONS].contains(name)) {
        Some(name) => Ok(name == POSITIONS),
        None => Err(Error::package(
            format!("{}: inputs", contract.file),
            format!("{LONGEST} or {POSITIONS}"),
            "neither",
        )
        .hint("export the checkpoint again, with this version's exporter")),
    }
}

/// How many numbers the graph gives of each row's largest logits, if it does.
fn numbers_of_best(contract: &GraphContract) -> Option<usize> {
    let best = contract.outputs.iter().find(|tensor| tensor.name == "best")?;
    match best.shape.as_slice() {
        [_, Dimension::Fixed(numbers)] => usize::try_from(*numbers).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_graph_says_how_it_is_told_how_far_to_read() {
        let told = |inputs: &[&str]| {
            let inputs = inputs.iter().map(|name| json!({"name": name, "dtype": "int64", "shape": []}));
            let contract = json!({
                "file": "decoder.onnx", "data": [], "inputs": inputs.collect::<Vec<_>>(), "outputs": []
            });
            by_positions(&serde_json::from_value(contract).unwrap())
        };
        assert!(!told(&["input_ids", LONGEST]).unwrap());
        assert!(told(&["input_ids", POSITIONS]).unwrap());
        let error = told(&["input_ids", "seqlens_k"]).unwrap_err().to_string();
        assert!(error.contains("decoder.onnx: inputs") && error.contains(POSITIONS), "{error}");
    }

    #[test]
    fn there_are_few_recordings_for_many_lengths() {
        let told = |longest| Longest::Doubling.of_step(&[3, longest, 1], 3000);
        let lengths = [1, 512, 513, 1024, 1025, 2048, 2049, 3000].map(told);
        assert_eq!(lengths, [512, 512, 1024, 1024, 2048, 2048, 3000, 3000]);
        assert_eq!(Longest::Doubling.of_step(&[7], 64), 64);
        assert_eq!(Longest::Length.of_step(&[7, 600], 3000), 600);
    }
}
