//! Which decoder reads a stream.

use super::super::markers::Segments;
use super::super::stream::{Decoded, Geometry, JPEG, StreamHeader, damaged, unsupported};
use super::header::{Process, State};
#[cfg(feature = "jpeg-turbo")]
use super::turbo;
use super::{lossless, sequential};
use crate::error::Result;
use crate::watch::Watch;

/// What the stream says of itself.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if it has no header that can be read.
pub(in super::super) fn header(bytes: &[u8]) -> Result<StreamHeader> {
    before_scans(bytes)?.header()
}

/// # Errors
/// [`Error::Input`](crate::Error::Input) if the stream is damaged, of another geometry, or of a kind that is not read.
pub(in super::super) fn decode(bytes: &[u8], geometry: &Geometry, watch: &Watch) -> Result<Decoded> {
    let state = before_scans(bytes)?;
    let header = state.header()?;
    geometry.check(JPEG, &header)?;
    let process = state.frame.map(|frame| frame.process);
    #[cfg(feature = "jpeg-turbo")]
    if process != Some(Process::Lossless) && turbo::reads(&header) {
        watch.check()?;
        return Ok(Decoded { samples: turbo::decode(bytes, geometry)?, header });
    }
    let samples = match process {
        Some(Process::Sequential | Process::Progressive) => sequential::decode(bytes, geometry, watch)?,
        Some(Process::Lossless) => lossless::decode(bytes, geometry, watch)?,
        Some(Process::Arithmetic) => {
            return Err(unsupported(JPEG, "Huffman codes", "arithmetic codes"));
        }
        None => return Err(damaged(JPEG, "no frame")),
    };
    Ok(Decoded { samples, header })
}

/// What stands before the first scan.
fn before_scans(bytes: &[u8]) -> Result<State> {
    let mut state = State::default();
    state.next_scan(&mut Segments::new(JPEG, bytes)?)?;
    Ok(state)
}
