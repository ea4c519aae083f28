//! `fleming.json`: every number of the model.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::contract::{Dimension, Graphs};
use super::profiles::{self, Profiles};
use super::self_test::{self, SelfTest};
use crate::error::{Error, Result};
use crate::quality::Quality;
use crate::request::Instruction;

/// The version of `fleming.json` that this code reads.
const SCHEMA: u64 = 2;
/// The target whose packages need profiles.
const NEEDS_PROFILES: &str = "tensorrt";
/// Element types of keys and values.
const KV_TYPES: [&str; 3] = ["float32", "float16", "bfloat16"];

/// The content of `fleming.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// Name of the model.
    pub name: String,
    /// What it was exported for: `cpu`, `cuda`, `tensorrt`.
    pub target: String,
    /// Precision of the weights: `f32`, `int8`, ….
    pub precision: String,
    /// Every file of the package but `fleming.json`.
    pub files: BTreeMap<String, FileFacts>,
    pub(crate) graphs: Graphs,
    pub(crate) vision: Vision,
    pub(crate) normalization: Normalization,
    pub(crate) tokens: Tokens,
    pub(crate) prompt: PromptTemplate,
    pub(crate) generation: Generation,
    pub(crate) kv: Kv,
    pub(crate) source: Checkpoint,
    /// Absent where weights are not stored in blocks.
    pub(crate) quantization: Option<Quantization>,
    /// How near an int8 or int4 package is to the f32 package; `None` where that was not measured.
    pub quality: Option<Quality>,
    /// Absent where the target does not need them.
    pub(crate) profiles: Option<Profiles>,
    /// Absent in packages that were exported before it was written.
    pub(crate) work: Option<Work>,
    /// Absent where the exporter could not ask the package.
    pub self_test: Option<SelfTest>,
    /// Most tokens in a conversation.
    pub max_positions: usize,
}

/// Size and content of a file.
#[derive(Debug, Clone, Deserialize)]
pub struct FileFacts {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Vision {
    /// Side of a tile in pixels.
    pub image_size: u32,
    /// Tokens of one tile in the prompt.
    pub tokens_per_tile: usize,
    /// Side of a patch, one position of the tower, in pixels.
    pub patch_size: u32,
    /// Numbers in an image embedding.
    pub hidden_size: usize,
    pub tiling: TilingLimits,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct TilingLimits {
    pub min_tiles: usize,
    pub thumbnail: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Normalization {
    pub rescale: f64,
    pub mean: [f32; 3],
    pub std: [f32; 3],
    pub resample: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Tokens {
    pub vocabulary: usize,
    pub eos: u32,
    pub image_context: u32,
    /// Ids that decode to no text.
    pub skip: Vec<u32>,
}

/// The pieces of a prompt, as text.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PromptTemplate {
    pub system: String,
    pub system_start: String,
    pub user_start: String,
    pub assistant_start: String,
    pub turn_end: String,
    pub stop: String,
    pub placeholder: String,
    pub image_start: String,
    pub image_context: String,
    pub image_end: String,
    pub instructions: Instructions,
    pub thought: [String; 2],
    pub answer: [String; 2],
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Instructions {
    pub reasoning: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Generation {
    pub max_new_tokens: usize,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Kv {
    pub layers: usize,
    pub heads: usize,
    pub head_dim: usize,
    pub dtype: String,
}

/// How weights are stored in blocks.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Quantization {
    /// Memory that ONNX Runtime takes for them beyond the size of the files.
    pub packing_bytes: u64,
    /// That of `MatMulNBits`: 4 rounds activations to 8 bits for the product, 0 does not.
    pub accuracy_level: Option<i64>,
    pub language: Option<Scheme>,
    pub head: Option<Scheme>,
    pub vision: Option<Scheme>,
    /// Layers that are not stored as their part is, by what their name contains.
    #[serde(default)]
    pub apart: BTreeMap<String, Option<Scheme>>,
}

/// How a weight is stored in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Scheme {
    pub bits: usize,
    pub block: usize,
    /// Whether the level of zero is stored.
    pub zero_points: bool,
}

impl Quantization {
    /// How all products' weights are stored.
    pub(crate) fn schemes(&self) -> impl Iterator<Item = &Scheme> {
        let parts = [&self.language, &self.head, &self.vision];
        parts.into_iter().chain(self.apart.values()).flatten()
    }
}

/// Bytes that runs of both graphs take. `engine/memory.rs` has the formula.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Work {
    /// ONNX Runtime, the graphs, the tokenizer.
    pub base_bytes: u64,
    /// Of each new position.
    pub position_bytes: u64,
    /// Of each pair of a new position and a position of the context.
    pub score_bytes: u64,
    /// New positions that every run has room for; absent where a run has room for as many as it reads.
    pub positions: Option<u64>,
    /// Most tiles of one run.
    pub tiles: usize,
    /// Of each of them.
    pub tile_bytes: u64,
    /// Of each slot.
    pub logits_bytes: u64,
}

/// The checkpoint that was exported.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Checkpoint {
    pub config: Configuration,
}

/// The part of the checkpoint's configuration that the memory of a run depends on.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Configuration {
    /// transformers' own layout calls it `text_config`.
    #[serde(alias = "text_config")]
    pub llm_config: Widths,
    pub vision_config: Widths,
}

/// Widths of a stack of layers.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Widths {
    #[serde(rename = "hidden_size")]
    pub hidden: u64,
    #[serde(rename = "intermediate_size")]
    pub intermediate: u64,
    #[serde(rename = "num_attention_heads")]
    pub heads: u64,
}

impl Manifest {
    /// What stands before the question in the user's turn, if anything.
    pub fn instruction<'a>(&'a self, instruction: &'a Instruction) -> Option<&'a str> {
        self.prompt.instruction(instruction)
    }

    /// What stands for a study in a text of the reference script's grammar; see
    /// [`Request::tagged`](crate::Request::tagged).
    pub fn placeholder(&self) -> &str {
        &self.prompt.placeholder
    }

    /// A reply as the model writes it, of its thought and its answer.
    pub fn reply_text(&self, thought: &str, answer: &str) -> String {
        let ([think, thought_end], [begin, end]) = (&self.prompt.thought, &self.prompt.answer);
        format!("{think}{thought}{thought_end}{begin}{answer}{end}")
    }

    /// Side of a tile in pixels.
    pub fn tile_size(&self) -> u32 {
        self.vision.image_size
    }

    /// Tokens in a slot, where the decoder graph fixes that.
    pub(crate) fn kv_capacity(&self) -> Option<usize> {
        let cache = self.graphs.decoder.inputs.iter().find(|tensor| tensor.name == "past_key.0")?;
        match cache.shape.as_slice() {
            [_, _, Dimension::Fixed(capacity), _] => usize::try_from(*capacity).ok(),
            _ => None,
        }
    }
}

impl PromptTemplate {
    /// What stands before the question in the user's turn, if anything.
    pub(crate) fn instruction<'a>(&'a self, instruction: &'a Instruction) -> Option<&'a str> {
        match instruction {
            Instruction::Reasoning => Some(&self.instructions.reasoning),
            Instruction::Direct => None,
            Instruction::Custom(text) => Some(text),
        }
    }
}

/// Reads a manifest and checks its numbers. `path` is for errors.
///
/// # Errors
/// [`Error::Package`] naming what is missing, unknown or contradictory.
pub(super) fn parse(path: &Path, text: &[u8]) -> Result<Manifest> {
    #[derive(Deserialize)]
    struct Head {
        schema: u64,
    }
    let broken = |error: serde_json::Error| {
        Error::package(path.display(), "a manifest of this version", error)
            .hint("export the checkpoint again")
    };
    let head: Head = serde_json::from_slice(text).map_err(broken)?;
    if head.schema != SCHEMA {
        return Err(Error::package(
            path.display(),
            format!("schema {SCHEMA}"),
            format!("schema {}", head.schema),
        )
        .hint("export the checkpoint again with the exporter of this version"));
    }
    let manifest: Manifest = serde_json::from_slice(text).map_err(broken)?;
    check_numbers(path, &manifest)?;
    Ok(manifest)
}

/// Refuses a manifest whose parts contradict each other or the code.
fn check_numbers(path: &Path, manifest: &Manifest) -> Result<()> {
    let complain = |what: &str, wanted: &str, got: String| {
        Err(Error::package(format!("{}: {what}", path.display()), wanted, got)
            .hint("export the checkpoint again"))
    };
    let outside = |name: &String| Path::new(name).components().count() != 1 || name.contains(['/', '\\']);
    if let Some(name) = manifest.files.keys().find(|name| outside(name)) {
        return complain("files", "names without a folder", name.clone());
    }
    for graph in [&manifest.graphs.vision, &manifest.graphs.decoder] {
        if !manifest.files.contains_key(&graph.file) {
            return complain("graphs", "files that are listed", graph.file.clone());
        }
    }
    if !manifest.files.contains_key("tokenizer.json") {
        return complain("files", "tokenizer.json among them", "no such entry".into());
    }
    if manifest.normalization.resample != "bicubic" {
        return complain("normalization.resample", "bicubic", manifest.normalization.resample.clone());
    }
    if !KV_TYPES.contains(&manifest.kv.dtype.as_str()) {
        return complain("kv.dtype", &KV_TYPES.join(" or "), manifest.kv.dtype.clone());
    }
    if let Some(test) = &manifest.self_test {
        self_test::check(path, test)?;
    }
    match &manifest.profiles {
        Some(profiles) => profiles::check(path, profiles, &manifest.graphs)?,
        None if manifest.target == NEEDS_PROFILES => {
            return complain("profiles", "ranges of the inputs, for TensorRT", "none".into());
        }
        None => {}
    }
    let sizes = [
        ("vision.image_size", manifest.vision.image_size as usize),
        ("vision.tokens_per_tile", manifest.vision.tokens_per_tile),
        ("vision.patch_size", manifest.vision.patch_size as usize),
        ("vision.hidden_size", manifest.vision.hidden_size),
        ("tokens.vocabulary", manifest.tokens.vocabulary),
        ("work.tiles", manifest.work.as_ref().map_or(1, |work| work.tiles)),
        ("kv.layers", manifest.kv.layers),
        ("kv.heads", manifest.kv.heads),
        ("kv.head_dim", manifest.kv.head_dim),
        ("max_positions", manifest.max_positions),
    ];
    match sizes.iter().find(|(_, size)| *size == 0 || *size > 1 << 30) {
        Some((name, size)) => complain(name, "a number from 1 to 2^30", size.to_string()),
        None => Ok(()),
    }
}
