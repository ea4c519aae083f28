//! `seen.png`: the frames as the model saw them, side by side.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Result;
use fleming::{FrameUsed, Picture};
use ndarray::ArrayView4;

use super::files;
use super::refusal::unwritable;

/// Writes the sheet of `[tiles, 3, size, size]`. Where nothing was seen there is none, nor is an older one left behind.
pub(super) fn write(path: &Path, pixels: ArrayView4<u8>, frames: &[FrameUsed]) -> Result<()> {
    match frames.is_empty() {
        true => remove(path),
        false => save(path, &Picture::sheet(pixels, frames)),
    }
}

/// Writes a picture.
pub(super) fn save(path: &Path, picture: &Picture) -> Result<()> {
    let png = picture.png()?;
    files::write(path, |file| file.write_all(&png))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}
