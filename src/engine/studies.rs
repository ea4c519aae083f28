//! Studies to pixels: counted first, then read.

use std::time::Instant;

use super::clock::milliseconds;
use super::shared::Shared;
use crate::error::Result;
use crate::frame;
use crate::input::{self, OpenedStudy, ReadOptions};
use crate::limits;
use crate::pixels::{self, Digest, Tile, Tiling};
use crate::request::{AskOptions, FrameUsed, StudyInput, Timings};
use crate::watch::Watch;

/// How many positions of a prompt studies take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Extent {
    pub(super) frames_per_study: Vec<usize>,
    /// Of all frames of all studies in order.
    pub(super) tokens_per_frame: Vec<usize>,
}

impl Extent {
    pub(super) fn tokens(&self) -> usize {
        self.tokens_per_frame.iter().sum()
    }
}

/// Studies whose headers were read and whose frames were chosen.
pub(super) struct Studies<'a> {
    shared: &'a Shared,
    opened: Vec<OpenedStudy>,
    tiling: Tiling,
    watch: &'a Watch,
    /// What they come to, counted without pixels.
    pub(super) extent: Extent,
    timings: Timings,
}

/// Studies that are ready for the vision tower.
pub(super) struct PreparedStudies {
    /// All tiles of all frames of all studies in order.
    pub(super) tiles: Vec<Tile>,
    /// Of each tile, for this vision graph.
    pub(super) digests: Vec<Digest>,
    pub(super) frames: Vec<FrameUsed>,
    pub(super) extent: Extent,
    pub(super) warnings: Vec<String>,
    pub(super) timings: Timings,
}

impl<'a> Studies<'a> {
    /// Opens studies and counts what of them will be looked at. No pixel is made.
    pub(super) fn open(
        shared: &'a Shared,
        studies: &[StudyInput],
        options: &AskOptions,
        watch: &'a Watch,
    ) -> Result<Self> {
        let started = Instant::now();
        limits::STUDIES.check("studies", studies.len())?;
        let vision = &shared.package.manifest().vision;
        let tiling = Tiling::new(vision.tiling, options.max_tiles)?;
        let reading = ReadOptions::default()
            .preprocessing(options.preprocessing)
            .budget(shared.budget)
            .watch(watch.clone());
        let opened = studies.iter().map(|study| input::open(study, &reading)).collect::<Result<Vec<_>>>()?;
        let mut extent = Extent::default();
        for study in &opened {
            let measured = study.measured();
            extent.frames_per_study.push(measured.sizes.len());
            for size in measured.sizes {
                let tiles = pixels::count(measured.modality, size, vision.image_size, tiling);
                extent.tokens_per_frame.push(tiles * vision.tokens_per_tile);
            }
        }
        let timings = Timings { read: milliseconds(started), ..Timings::default() };
        Ok(Self { shared, opened, tiling, watch, extent, timings })
    }

    /// Reads the frames and brings them to the size that the vision graph takes.
    pub(super) fn read(self, scope: Option<&[u8]>) -> Result<PreparedStudies> {
        let Self { shared, opened, tiling, watch, mut timings, .. } = self;
        let vision = &shared.package.manifest().vision;
        let started = Instant::now();
        let studies = opened.into_iter().map(OpenedStudy::read).collect::<Result<Vec<_>>>()?;
        timings.read += milliseconds(started);

        let started = Instant::now();
        let (mut tiles, mut frames, mut extent) = (Vec::new(), Vec::new(), Extent::default());
        for (place, study) in studies.iter().enumerate() {
            let cut = pixels::tiles(study, vision.image_size, tiling, watch)?;
            extent.frames_per_study.push(study.frames.len());
            for (frame, cut) in study.frames.iter().zip(cut) {
                extent.tokens_per_frame.push(cut.len() * vision.tokens_per_tile);
                frames.push(FrameUsed {
                    source: study.source.clone(),
                    study: place,
                    provenance: frame.provenance().clone(),
                    tiles: cut.len(),
                });
                tiles.extend(cut);
            }
        }
        let key = shared.image_key(scope);
        let digests = tiles.iter().map(|tile| pixels::digest(tile, &shared.geometry, &key)).collect();
        timings.preprocess = milliseconds(started);
        let warnings = frame::warnings(&studies);
        Ok(PreparedStudies { tiles, digests, frames, extent, warnings, timings })
    }
}
