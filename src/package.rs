//! What was exported: `fleming.json` and the files it names.
//!
//! Every number of the model comes from here; nothing about a particular size is known to the code.

mod profiles;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::quality::Quality;
use crate::request::Instruction;

pub(crate) use profiles::{Profile, Profiles, Sizes};

/// The version of `fleming.json` that this code reads.
const SCHEMA: u64 = 2;
const MANIFEST: &str = "fleming.json";
/// Element types of keys and values, as a package's target has them.
const KV_TYPES: [&str; 3] = ["float32", "float16", "bfloat16"];

/// An exported model on disk.
#[derive(Debug, Clone)]
pub struct Package {
    folder: PathBuf,
    digest: String,
    manifest: Manifest,
}

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
    pub(crate) source: Source,
    /// Nothing where the weights are not in blocks.
    pub(crate) quantization: Option<Quantization>,
    /// How near an int8 or int4 package is to the f32 package; nothing where that was not measured.
    pub quality: Option<Quality>,
    /// Nothing where the target has no use for them.
    pub(crate) profiles: Option<Profiles>,
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
pub(crate) struct Graphs {
    pub vision: GraphContract,
    pub decoder: GraphContract,
}

/// A graph file and the tensors it promises.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GraphContract {
    pub file: String,
    pub inputs: Vec<TensorContract>,
    pub outputs: Vec<TensorContract>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TensorContract {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<Dimension>,
}

/// A size that is fixed, or the name of one that is not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Dimension {
    Fixed(i64),
    Named(String),
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Vision {
    /// Side of a tile in pixels.
    pub image_size: u32,
    /// Positions that one tile takes in the prompt.
    pub tokens_per_tile: usize,
    /// Side of what becomes one position of the tower, in pixels.
    pub patch_size: u32,
    /// Width of an image embedding.
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
    /// Ids that leave no text behind.
    pub skip: Vec<u32>,
}

/// The pieces a prompt is made of, as text.
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
    /// What ONNX Runtime takes for them beside the files.
    pub packing_bytes: u64,
}

/// The checkpoint that was exported.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Source {
    pub config: Configuration,
}

/// Of the checkpoint's own configuration, what a run's memory depends on.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Configuration {
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

    /// Side of a tile in pixels.
    pub fn tile_size(&self) -> u32 {
        self.vision.image_size
    }

    /// Tokens that a slot must have room for, where the decoder has it fixed.
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

impl Package {
    /// Reads the manifest and checks that every file is there at its full length.
    ///
    /// # Errors
    /// [`Error::Package`] naming the file that is missing, cut short or unreadable, or the schema that is unknown.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let text = fs::read(&path).map_err(|error| {
            Error::package(path.display(), "a package's manifest", error)
                .hint("give the folder that `python -m fleming_export` wrote")
        })?;
        let manifest = parse(&path, &text)?;
        for (name, facts) in &manifest.files {
            check_length(&folder.join(name), facts)?;
        }
        Ok(Self { folder: folder.to_path_buf(), digest: hex(&Sha256::digest(&text)), manifest })
    }

    /// SHA-256 of `fleming.json`, which itself holds the digest of every other file.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where a file of the package is.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Reads every file once and compares it with its recorded digest.
    ///
    /// # Errors
    /// [`Error::Package`] naming the first file whose content is not what was exported.
    pub fn verify(&self) -> Result<()> {
        for (name, facts) in &self.manifest.files {
            let path = self.path(name);
            let got =
                digest_of(&path).map_err(|error| Error::package(path.display(), "a readable file", error))?;
            if got != facts.sha256 {
                return Err(Error::package(
                    path.display(),
                    format!("content with SHA-256 {}", facts.sha256),
                    got,
                )
                .hint("the file was altered after export: export again or restore it"));
            }
        }
        Ok(())
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Manifest> {
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
    profiles::check(path, manifest)?;
    let sizes = [
        ("vision.image_size", manifest.vision.image_size as usize),
        ("vision.tokens_per_tile", manifest.vision.tokens_per_tile),
        ("vision.patch_size", manifest.vision.patch_size as usize),
        ("vision.hidden_size", manifest.vision.hidden_size),
        ("tokens.vocabulary", manifest.tokens.vocabulary),
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

fn check_length(path: &Path, facts: &FileFacts) -> Result<()> {
    let wanted = format!("{} bytes", facts.bytes);
    let got = match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() == facts.bytes => return Ok(()),
        Ok(found) => format!("{} bytes", found.len()),
        Err(error) => error.to_string(),
    };
    Err(Error::package(path.display(), wanted, got)
        .hint("the package is incomplete: copy it again or export it again"))
}

/// SHA-256 of a file's content.
fn digest_of(path: &Path) -> io::Result<String> {
    Ok(hex(&sha256_of(fs::File::open(path)?)?))
}

/// SHA-256 of all that there is to read.
pub(crate) fn sha256_of(mut bytes: impl Read) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match bytes.read(&mut block)? {
            0 => return Ok(hash.finalize().into()),
            n => hash.update(&block[..n]),
        }
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
