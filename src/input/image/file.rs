//! An image file as a study of one frame.

use super::super::reading::{Chosen, Header, Measured, ReadOptions};
use super::super::source::{Bytes, Opened};
use super::formats::Format;
use super::mend::finished;
use super::picture::Picture;
use crate::error::{Error, Result};
use crate::frame::{Frame, Modality, Provenance, Study};
use crate::study::Look;

/// The name of the image format that a file beginning with `head` has, judged by content alone.
pub(in crate::input) fn sniff(head: &[u8]) -> Option<&'static str> {
    Format::of(head).map(|format| format.name)
}

/// The picture in a file. The file is read as a whole.
///
/// # Errors
/// [`Error::Input`] if it is damaged, too large, or plainly of a form that cannot be reproduced.
pub(in crate::input) fn open(opened: Opened, options: &ReadOptions) -> Result<Box<dyn Header>> {
    let name = opened.name().to_owned();
    of_bytes(name, opened.into_bytes(&options.budget)?, options)
}

/// The picture in the bytes of a file.
///
/// # Errors
/// As [`open`].
pub(super) fn of_bytes(name: String, bytes: Bytes, options: &ReadOptions) -> Result<Box<dyn Header>> {
    let Some(format) = Format::of(&bytes) else {
        return Err(Error::input(name, "the same file again", "another")
            .hint("it changed while it was read: try again"));
    };
    let (width, height) = (format.size)(&bytes, options).map_err(|fault| fault.named(&name))?;
    Ok(Box::new(File { name, bytes, format, size: [width, height] }))
}

struct File {
    name: String,
    bytes: Bytes,
    format: &'static Format,
    /// Width and height.
    size: [u32; 2],
}

impl Header for File {
    fn modality(&self) -> Modality {
        Modality::Image
    }

    fn choose(self: Box<Self>, look: &Look) -> Result<Box<dyn Chosen>> {
        look.every_of(&self.name, 1)?;
        Ok(self)
    }
}

impl Chosen for File {
    fn measured(&self) -> Measured {
        Measured { modality: Modality::Image, sizes: vec![self.size], count: 1 }
    }

    fn read(self: Box<Self>, options: &ReadOptions) -> Result<Study> {
        let Self { name, bytes, format, .. } = *self;
        let picture = (format.decode)(&bytes, options).map_err(|fault| fault.named(&name))?;
        drop(bytes);
        options.watch.check()?;
        let picture = finished(picture, options.preprocessing).map_err(|fault| fault.named(&name))?;
        let Picture { width, height, mode, samples, remarks, .. } = picture;
        Ok(Study {
            modality: Modality::Image,
            frames: vec![Frame::new(width, height, mode, samples, Provenance::default())?],
            source: name,
            warnings: remarks,
        })
    }
}
