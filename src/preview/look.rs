//! What the model will see of studies, before it is asked.

use std::time::Instant;

use ndarray::{Array4, Axis};

use super::sheet::Picture;
use crate::engine::{Engine, with_room};
use crate::error::{Error, Result};
use crate::frame::{self, Study};
use crate::input::{self, OpenedStudy, ReadOptions};
use crate::limits;
use crate::package::Package;
use crate::pixels::{self, Tiling};
use crate::request::{AskOptions, FrameUsed, Reply, StudyInput};

/// What the model will see of studies.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Preview {
    /// The frames, in order, each with its number of tiles.
    pub frames: Vec<FrameUsed>,
    /// What the caller should know about the inputs, one sentence each.
    pub warnings: Vec<String>,
    /// All tiles, each with what it is, and where in their studies the frames lie.
    pub sheet: Picture,
    studies: Vec<Study>,
    /// `[tiles, 3, size, size]`
    tiles: Array4<u8>,
}

/// Reads studies as a request about them would, up to the tiles that the vision graph of a package takes. No graph is
/// loaded. An image is cut into at most `max_tiles` tiles; 1 by default.
///
/// # Errors
/// [`Error::Request`] if there are no studies and for options that cannot be met, [`Error::Input`] for studies that cannot be
/// read, [`Error::Cancelled`] or [`Error::TimedOut`] if the watch ended it.
pub fn preview(
    package: &Package,
    studies: &[StudyInput],
    max_tiles: Option<usize>,
    options: &ReadOptions,
) -> Result<Preview> {
    if studies.is_empty() {
        return Err(
            Error::request("studies", "at least one to look at", "none").hint("name a file or a folder")
        );
    }
    limits::STUDIES.check("studies", studies.len())?;
    let vision = &package.manifest().vision;
    let tiling = Tiling::new(vision.tiling, max_tiles)?;
    let options = &options.clone().with_scout();
    let opened = studies.iter().map(|study| input::open(study, options)).collect::<Result<Vec<_>>>()?;
    let (mut tiles, mut frames, mut read) = (Vec::new(), Vec::new(), Vec::new());
    for (place, study) in opened.into_iter().map(OpenedStudy::read).enumerate() {
        let study = study?;
        let cut = pixels::tiles(&study, vision.image_size, tiling, &options.watch)?;
        for (frame, cut) in study.frames.iter().zip(cut) {
            let (source, provenance) = (study.source.clone(), frame.provenance().clone());
            frames.push(FrameUsed { source, study: place, provenance, tiles: cut.len() });
            tiles.extend(cut);
        }
        read.push(study);
    }
    let warnings = frame::warnings(&read);
    let tiles = pixels::stack(&tiles, vision.image_size);
    let sheet = Picture::sheet(tiles.view(), &frames);
    Ok(Preview { frames, warnings, sheet, studies: read, tiles })
}

impl Engine {
    /// What an answer about these studies would see, by the same options: `preprocessing`, `max_tiles`, `cancel` and `timeout`
    /// matter. The engine's budget holds. No graph runs.
    ///
    /// # Errors
    /// As [`preview`], and [`Error::Runtime`] in a child of the process that opened the engine and after it was shut down.
    pub fn preview(&self, studies: &[StudyInput], options: &AskOptions) -> Result<Preview> {
        self.preview_as(studies, options, |preview| preview)
    }

    /// The same, made into something else where there is room on the stack.
    pub(crate) fn preview_as<T: Send>(
        &self,
        studies: &[StudyInput],
        options: &AskOptions,
        make: impl FnOnce(Preview) -> T + Send,
    ) -> Result<T> {
        options.check()?;
        self.refuse_unserved()?;
        let reading = ReadOptions::default().preprocessing(options.preprocessing).budget(self.budget());
        let reading = reading.watch(options.watch(Instant::now()));
        with_room("fleming-preview", || {
            preview(self.package(), studies, options.max_tiles, &reading).map(make)
        })
    }
}

impl Reply {
    /// The tiles of a frame, in order, as the vision graph took them; none if they were not kept
    /// ([`Tracing::Pixels`](crate::Tracing::Pixels)), or beyond the last frame.
    pub fn seen(&self, frame: usize) -> Vec<Picture> {
        self.pixels.as_ref().map(|pixels| tiles(pixels, &self.frames, frame)).unwrap_or_default()
    }
}

/// The tiles of a frame among those of all frames.
fn tiles(all: &Array4<u8>, frames: &[FrameUsed], frame: usize) -> Vec<Picture> {
    let before: usize = frames.iter().take(frame).map(|frame| frame.tiles).sum();
    let count = frames.get(frame).map_or(0, |frame| frame.tiles);
    all.axis_iter(Axis(0)).skip(before).take(count).map(Picture::of_tile).collect()
}

impl Preview {
    /// The tiles of a frame, in order, as the vision graph takes them; none beyond the last frame.
    pub fn tiles(&self, frame: usize) -> Vec<Picture> {
        tiles(&self.tiles, &self.frames, frame)
    }

    /// A frame as it was read, before it is brought to the size of a tile; none beyond the last.
    pub fn picture(&self, frame: usize) -> Option<Picture> {
        self.studies.iter().flat_map(|study| &study.frames).nth(frame).map(Picture::of_frame)
    }
}
