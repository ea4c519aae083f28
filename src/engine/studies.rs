//! Studies to pixels.

use std::time::Instant;

use super::clock::milliseconds;
use super::shared::Shared;
use crate::error::{Error, Result};
use crate::input;
use crate::package::TilingLimits;
use crate::pixels::{self, Digest, Tile, Tiling};
use crate::request::{AskOptions, FrameUsed, StudyInput, Timings};
use crate::watch::Watch;

/// The studies of a request, ready for the vision tower.
pub(super) struct Prepared {
    /// All frames of all studies in order.
    pub(super) tiles: Vec<Tile>,
    /// Of each tile, for this vision graph.
    pub(super) digests: Vec<Digest>,
    pub(super) frames: Vec<FrameUsed>,
    pub(super) frames_per_study: Vec<usize>,
    /// Positions that each frame takes in the prompt.
    pub(super) tokens_per_frame: Vec<usize>,
    pub(super) warnings: Vec<String>,
}

/// Reads the studies, picks their frames and brings them to the size that the vision graph takes.
pub(super) fn prepare(
    shared: &Shared,
    studies: &[StudyInput],
    options: &AskOptions,
    watch: &Watch,
    timings: &mut Timings,
) -> Result<Prepared> {
    let vision = &shared.package.manifest().vision;
    let tiling = tiling(vision.tiling, options.max_tiles)?;
    let started = Instant::now();
    let read = |study| {
        watch.check()?;
        input::read(study, options.preprocessing)
    };
    let studies = studies.iter().map(read).collect::<Result<Vec<_>>>()?;
    watch.check()?;
    timings.read = milliseconds(started);

    let started = Instant::now();
    let mut tiles = Vec::new();
    let mut frames = Vec::new();
    for (place, study) in studies.iter().enumerate() {
        let cut = pixels::tiles(study, vision.image_size, tiling);
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
    let key = shared.image_key(options.scope.as_deref());
    let digests = tiles.iter().map(|tile| pixels::digest(tile, &shared.geometry, &key)).collect();
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
