//! What may be read at most, whatever a header says.

use crate::error::{Error, Result};

/// Pixels of one picture or slice. Pillow refuses larger pictures as decompression bombs.
pub(super) const MOST_PIXELS: u64 = 178_956_970;
/// Bytes of the frames of one study.
const MOST_FRAME_BYTES: u64 = 4 << 30;
/// Bytes of a file that is read as a whole. The largest picture uncompressed, at 16 bits and four channels, fits.
pub(super) const MOST_FILE_BYTES: u64 = 2 << 30;

/// Zeros of which a file sets the number: running out of memory is an error and no end of the process.
///
/// # Errors
/// [`Error::Input`] naming `thing` if there is not that much memory.
pub(super) fn zeros(thing: &str, bytes: usize) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    match buffer.try_reserve_exact(bytes) {
        Ok(()) => {
            buffer.extend(std::iter::repeat_n(0, bytes));
            Ok(buffer)
        }
        Err(_) => Err(Error::input(thing, format!("{bytes} bytes of memory"), "less")
            .hint("close other programs, or look at less of it")),
    }
}

/// Refuses more pixels than are held at once. A frame has `bytes` bytes a pixel; `thing` is what the error is about.
///
/// # Errors
/// [`Error::Input`] naming the number and size of the frames.
pub(super) fn check_frames(thing: &str, frames: usize, [width, height]: [u32; 2], bytes: u64) -> Result<()> {
    let frame = u64::from(width).saturating_mul(u64::from(height)).saturating_mul(bytes);
    match frame.saturating_mul(frames as u64) > MOST_FRAME_BYTES {
        true => Err(Error::input(
            thing,
            format!("at most {} GiB of pixels", MOST_FRAME_BYTES >> 30),
            format!("{frames} frames of {width}×{height}"),
        )
        .hint("look at less of it")),
        false => Ok(()),
    }
}
