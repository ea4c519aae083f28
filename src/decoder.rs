//! Token ids and image embeddings to logits, through the KV cache.

use ndarray::{Array0, Array1, Array2};

use crate::error::Result;
use crate::onnx::{Graph, GraphOptions, KvArena, KvShape, Runtime, Tensor};
use crate::package::{Kv, Package};
use crate::prompt::Spliced;

/// Tokens that one run of the prefill takes: enough to keep the matrix products busy, few enough to report progress
/// and to stop in between.
const CHUNK: usize = 512;
/// Allocations of the cache are rounded up to this, so that questions of similar length share one.
const CAPACITY_STEP: usize = 256;

/// The language model with its cache.
pub(crate) struct Decoder {
    graph: Graph,
    kv: Kv,
    arena: Option<KvArena>,
    /// Tokens in the cache.
    length: usize,
    /// What stands in for the image embeddings where a run needs none: `[1, hidden]`.
    no_image: Tensor,
}

impl Decoder {
    /// Loads the package's decoder graph.
    pub(crate) fn open(runtime: &Runtime, package: &Package, options: GraphOptions) -> Result<Self> {
        let manifest = package.manifest();
        let contract = &manifest.graphs.decoder;
        let mut graph = Graph::open(runtime, &package.path(&contract.file), contract, options)?;
        graph.fetch_output("logits")?;
        let no_image = Tensor::new(Array2::<f32>::zeros((1, manifest.vision.hidden_size)))?;
        Ok(Self { graph, kv: manifest.kv.clone(), arena: None, length: 0, no_image })
    }

    /// Begins a conversation of at most `tokens` tokens.
    pub(crate) fn begin(&mut self, tokens: usize) -> Result<()> {
        self.length = 0;
        if self.arena.as_ref().is_none_or(|arena| arena.capacity() < tokens) {
            // The old cache goes first, so that both need not fit at once.
            self.arena = None;
            let capacity = tokens.next_multiple_of(CAPACITY_STEP);
            let Kv { layers, heads, head_dim, .. } = self.kv;
            let mut arena = KvArena::new(KvShape { layers, heads, capacity, head_dim })?;
            arena.bind(&mut self.graph)?;
            self.arena = Some(arena);
        }
        Ok(())
    }

    /// Runs the prompt and returns the logits after its last token, `[vocabulary]`. `embeddings` is
    /// `[rows, hidden]`. `progress` is told how many tokens are done and may stop the work by returning false; then there
    /// are no logits.
    pub(crate) fn prefill(
        &mut self,
        prompt: &Spliced,
        embeddings: Option<Array2<f32>>,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<Option<Vec<f32>>> {
        match embeddings {
            Some(rows) => self.graph.bind_input("image_embeds", &Tensor::new(rows)?)?,
            None => self.graph.bind_input("image_embeds", &self.no_image)?,
        }
        let mut logits = None;
        for (ids, rows) in prompt.ids.chunks(CHUNK).zip(prompt.rows.chunks(CHUNK)) {
            if !progress(self.length) {
                return Ok(None);
            }
            logits = Some(self.run(ids, rows)?);
        }
        progress(self.length);
        // The pictures are in the cache now; their embeddings need not be kept for the steps.
        self.graph.bind_input("image_embeds", &self.no_image)?;
        logits.map(|logits| logits.to_vec()).transpose()
    }

    /// Appends one token and returns the logits after it, `[vocabulary]`.
    pub(crate) fn step(&mut self, id: u32) -> Result<Vec<f32>> {
        self.run(&[i64::from(id)], &[-1])?.to_vec()
    }

    fn run(&mut self, ids: &[i64], rows: &[i64]) -> Result<Tensor> {
        let total = (self.length + ids.len()) as i32;
        let row = |values: &[i64]| Tensor::new(Array1::from(values.to_vec()).insert_axis(ndarray::Axis(0)));
        self.graph.bind_input("input_ids", &row(ids)?)?;
        self.graph.bind_input("splice", &row(rows)?)?;
        self.graph.bind_input("seqlens_k", &Tensor::new(Array1::from(vec![total - 1]))?)?;
        self.graph.bind_input("logits_at", &Tensor::new(Array1::from(vec![-1_i64]))?)?;
        self.graph.bind_input("total_sequence_length", &Tensor::new(Array0::from_elem((), total))?)?;
        let logits = self.graph.run("logits")?;
        self.length += ids.len();
        Ok(logits)
    }
}
