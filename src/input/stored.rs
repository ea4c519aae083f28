//! Frames that the caller already has.

use super::reading::{Chosen, Measured, ReadOptions};
use crate::error::{Error, Result};
use crate::frame::Study;
use crate::study::Look;

/// The frames of a study that is in memory.
///
/// # Errors
/// [`Error::Input`] if there are none, [`Error::Request`] if there are too many.
pub(super) fn open(study: Study) -> Result<Box<dyn Chosen>> {
    check_count(&study.source, study.frames.len())?;
    Ok(Box::new(Stored(study)))
}

/// Refuses no frames, and too many.
///
/// # Errors
/// [`Error::Input`] if there are none, [`Error::Request`] if there are too many.
pub(super) fn check_count(source: &str, frames: usize) -> Result<()> {
    if frames == 0 {
        return Err(Error::input(source, "at least one frame", "none").hint("hand one in"));
    }
    let checked = Look::FRAME_COUNT.range.check(format_args!("{source}: frames"), frames);
    checked.map_err(|error| error.hint("hand in fewer frames"))
}

struct Stored(Study);

impl Chosen for Stored {
    fn measured(&self) -> Measured {
        let size = |frame: &crate::frame::Frame| [frame.width(), frame.height()];
        let sizes = self.0.frames.iter().map(size).collect();
        Measured { modality: self.0.modality, sizes, count: self.0.frames.len() }
    }

    fn read(self: Box<Self>, _: &ReadOptions) -> Result<Study> {
        Ok(self.0)
    }
}
