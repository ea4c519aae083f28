//! Studies to pixels.

use std::time::Instant;

use ndarray::Array4;

use crate::error::{Error, Result};
use crate::input;
use crate::package::{Package, TilingLimits};
use crate::pixels::{self, PixelGeometry, Tile, Tiling};
use crate::request::{AskOptions, FrameUsed, Request, Timings};

/// The studies of a request, ready for the vision tower.
pub(super) struct Prepared {
    /// All frames of all studies in order.
    pub(super) tiles: Vec<Tile>,
    /// The tiles normalised, `[tiles, 3, size, size]`.
    pub(super) pixels: Array4<f32>,
    pub(super) frames: Vec<FrameUsed>,
    pub(super) frames_per_study: Vec<usize>,
    /// Positions that each frame takes in the prompt.
    pub(super) tokens_per_frame: Vec<usize>,
    pub(super) warnings: Vec<String>,
}

/// Reads the studies, picks their frames and brings them to the size and range that the vision graph takes.
pub(super) fn prepare(
    package: &Package,
    request: &Request,
    options: &AskOptions,
    timings: &mut Timings,
) -> Result<Prepared> {
    let (vision, normalization) = (&package.manifest().vision, &package.manifest().normalization);
    let tiling = tiling(vision.tiling, options.max_tiles)?;
    let started = Instant::now();
    let studies = request
        .studies
        .iter()
        .map(|study| input::read(study, options.preprocessing))
        .collect::<Result<Vec<_>>>()?;
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
    let geometry = PixelGeometry {
        size: vision.image_size,
        rescale: normalization.rescale,
        mean: normalization.mean,
        std: normalization.std,
    };
    let pixels = pixels::normalize(&tiles, &geometry);
    timings.preprocess = milliseconds(started);
    Ok(Prepared {
        pixels,
        tiles,
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

pub(super) fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
