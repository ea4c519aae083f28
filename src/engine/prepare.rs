//! Studies to pixels.

use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use super::answering::Asked;
use super::reply::Tagging;
use super::slots::Token;
use crate::error::{Error, Result};
use crate::input::{self, ReadOptions};
use crate::package::TilingLimits;
use crate::pixels::{self, Digest, Tile, Tiling};
use crate::prompt::{self, Spliced};
use crate::request::{AskOptions, ConversationId, FrameUsed, Request, StudyInput, Timings, Tracing};

/// A request, ready for the graphs. All answers to it share it.
pub(super) struct Question {
    pub(super) submitted: Instant,
    pub(super) prompt: Spliced,
    /// What stands at each position of the prompt.
    pub(super) tokens: Vec<Token>,
    /// All frames of all studies in order.
    pub(super) tiles: Vec<Tile>,
    /// Of each tile's pixels, and of what is made of them.
    pub(super) digests: Vec<Digest>,
    /// Most tokens to generate.
    pub(super) limit: usize,
    /// The prompt before `<image>` was expanded.
    pub(super) text: String,
    pub(super) image_tokens: usize,
    pub(super) frames: Vec<FrameUsed>,
    pub(super) warnings: Vec<String>,
    pub(super) timings: Timings,
}

impl Question {
    /// Reads the studies and writes the prompt.
    pub(super) fn new(shared: &Shared, request: &Request, options: &AskOptions) -> Result<Arc<Self>> {
        let submitted = Instant::now();
        let manifest = shared.package.manifest();
        let mut timings = Timings::default();
        let prepared = prepare(shared, &request.studies, options, &mut timings)?;
        let tagged =
            prompt::write(&manifest.prompt, request, &prepared.frames_per_study, options.preprocessing)?;
        let prompt = prompt::splice(
            &manifest.prompt,
            &manifest.tokens,
            &shared.tokenizer,
            &tagged.text,
            &prepared.tokens_per_frame,
        )?;
        Ok(Arc::new(Self {
            submitted,
            limit: shared.reply_limit(prompt.ids.len(), options)?,
            tokens: tokens(&prompt, &prepared.digests, manifest.vision.tokens_per_tile),
            prompt,
            tiles: prepared.tiles,
            digests: prepared.digests,
            text: tagged.text,
            image_tokens: prepared.tokens_per_frame.iter().sum(),
            frames: prepared.frames,
            warnings: [prepared.warnings, tagged.warnings].concat(),
            timings,
        }))
    }

    /// What a reply says of the request.
    pub(super) fn asked(self: &Arc<Self>, options: &AskOptions, tagging: Tagging) -> Asked {
        Asked {
            conversation: ConversationId::next(),
            question: match options.tracing {
                Tracing::Tensors => Some(Arc::clone(self)),
                Tracing::Off => None,
            },
            prompt_tokens: self.prompt.ids.len(),
            image_tokens: self.image_tokens,
            frames: self.frames.clone(),
            warnings: self.warnings.clone(),
            options: options.clone(),
            tagging,
        }
    }
}

/// The studies of a request, ready for the vision tower.
pub(super) struct Prepared {
    /// All frames of all studies in order.
    pub(super) tiles: Vec<Tile>,
    /// Of each tile, for this vision graph.
    pub(super) digests: Vec<Digest>,
    pub(super) frames: Vec<FrameUsed>,
    frames_per_study: Vec<usize>,
    /// Positions that each frame takes in the prompt.
    tokens_per_frame: Vec<usize>,
    pub(super) warnings: Vec<String>,
}

/// Reads the studies, picks their frames and brings them to the size that the vision graph takes.
pub(super) fn prepare(
    shared: &Shared,
    studies: &[StudyInput],
    options: &AskOptions,
    timings: &mut Timings,
) -> Result<Prepared> {
    let vision = &shared.package.manifest().vision;
    let tiling = tiling(vision.tiling, options.max_tiles)?;
    let started = Instant::now();
    let reading = ReadOptions::default().preprocessing(options.preprocessing);
    let opened = studies.iter().map(|study| input::open(study, &reading)).collect::<Result<Vec<_>>>()?;
    let studies = opened.into_iter().map(|study| study.read()).collect::<Result<Vec<_>>>()?;
    timings.read = milliseconds(started);

    let started = Instant::now();
    let mut tiles = Vec::new();
    let mut frames = Vec::new();
    for (place, study) in studies.iter().enumerate() {
        let cut = pixels::tiles(study, vision.image_size, tiling, &reading.watch)?;
        for (frame, cut) in study.frames.iter().zip(cut) {
            let provenance = frame.provenance().clone();
            frames.push(FrameUsed {
                source: study.source.clone(),
                study: place,
                provenance,
                tiles: cut.len(),
            });
            tiles.extend(cut);
        }
    }
    let digests =
        tiles.iter().map(|tile| pixels::digest(tile, &shared.geometry, &shared.vision_digest)).collect();
    timings.preprocess = milliseconds(started);
    Ok(Prepared {
        tiles,
        digests,
        tokens_per_frame: frames.iter().map(|frame| frame.tiles * vision.tokens_per_tile).collect(),
        frames,
        frames_per_study: studies.iter().map(|study| study.frames.len()).collect(),
        warnings: studies.into_iter().flat_map(|study| study.warnings).collect(),
    })
}

/// What stands at each position of a prompt.
fn tokens(prompt: &Spliced, digests: &[Digest], tokens_per_tile: usize) -> Vec<Token> {
    let token = |(&id, &row): (&i64, &i64)| match usize::try_from(row) {
        Ok(row) => {
            Token::Picture { tile: digests[row / tokens_per_tile], row: (row % tokens_per_tile) as u32 }
        }
        Err(_) => Token::Text(id as u32),
    };
    prompt.ids.iter().zip(&prompt.rows).map(token).collect()
}

/// Far more tiles than any context holds.
const MOST_TILES: usize = 256;

fn tiling(limits: TilingLimits, max_tiles: Option<usize>) -> Result<Tiling> {
    match max_tiles {
        Some(most) if most == 0 || most > MOST_TILES => {
            Err(Error::request("max-tiles", format!("1 to {MOST_TILES}"), most))
        }
        most => Ok(Tiling {
            min_tiles: limits.min_tiles,
            max_tiles: most.unwrap_or(1),
            thumbnail: limits.thumbnail,
        }),
    }
}

pub(super) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
