//! Where the bytes of a file of a study are: on disk, in memory, in an archive.

use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zip::ZipArchive;
use zip::result::ZipError;

use super::super::source::{Opened, unreadable};
use super::scan::Pixels;
use super::stream::{Stream, ended};
use crate::error::{Error, Result};
use crate::study::Source;
use crate::watch::Watch;

/// A file of a study.
#[derive(Clone)]
pub(super) struct Place {
    /// For messages: the path, or the archive and what it is called in there.
    pub(super) name: String,
    /// What it is called within its folder or archive; nothing where it is the whole study.
    pub(super) part: Option<String>,
    pub(super) bytes: Bytes,
}

#[derive(Clone)]
pub(super) enum Bytes {
    /// Opened whenever it is read: a study has more files than a process may hold open.
    Path(PathBuf),
    Opened(Arc<Mutex<Opened>>),
    Member(Arc<Mutex<ZipArchive<Opened>>>, usize),
}

/// What a thread left behind that panicked is a place in a file, which every use sets anew.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    /// What it is called among the files of its study.
    pub(super) fn called(&self) -> &str {
        self.part.as_deref().unwrap_or(&self.name)
    }

    /// Does something with the bytes, from the first on.
    ///
    /// # Errors
    /// [`Error::Input`] if they cannot be read, and what `work` says.
    pub(super) fn read<T>(&self, watch: &Watch, work: impl FnOnce(Stream<'_>) -> Result<T>) -> Result<T> {
        match &self.bytes {
            Bytes::Path(path) => {
                let mut opened = Opened::new(&Source::Path(path.clone()), watch)?;
                work(Stream::of_opened(&self.name, &mut opened)?)
            }
            Bytes::Opened(opened) => work(Stream::of_opened(&self.name, &mut lock(opened))?),
            Bytes::Member(archive, member) => {
                let mut archive = lock(archive);
                let file = archive.by_index(*member).map_err(|error| damaged(&self.name, error))?;
                let packed = file.compressed_size();
                work(Stream::of_unpacked(&self.name, file, packed))
            }
        }
    }

    /// Whether the pixels must be unpacked as a whole before any part of them can be had.
    pub(super) fn is_packed(&self, pixels: &Pixels) -> bool {
        matches!(self.bytes, Bytes::Member(..)) || pixels.deflated_from.is_some()
    }

    /// The pixels, so that any part of them can be had. What is packed is unpacked as a whole, at most `most` bytes of it.
    ///
    /// # Errors
    /// [`Error::Input`] if they cannot be read.
    pub(super) fn pixels(&self, pixels: &Pixels, most: u64, watch: &Watch) -> Result<Access> {
        let name = self.name.clone();
        match (&self.bytes, pixels.deflated_from) {
            (Bytes::Path(path), None) => {
                let opened = Opened::new(&Source::Path(path.clone()), watch)?;
                let end = opened.length();
                Ok(Access {
                    name,
                    start: pixels.at,
                    end,
                    content: Content::File(Arc::new(Mutex::new(opened))),
                })
            }
            (Bytes::Opened(opened), None) => {
                let end = lock(opened).length();
                Ok(Access { name, start: pixels.at, end, content: Content::File(opened.clone()) })
            }
            (_, deflated_from) => {
                let bytes = self.read(watch, |mut stream| {
                    if let Some(from) = deflated_from {
                        stream.pass(from, "the meta group")?;
                        stream = stream.inflated();
                    }
                    stream.pass(pixels.at, "the data set")?;
                    stream.rest(pixels.length.unwrap_or(most).min(most))
                })?;
                let end = bytes.len() as u64;
                Ok(Access { name, start: 0, end, content: Content::Memory(bytes) })
            }
        }
    }
}

/// Bytes of which any part can be had.
pub(super) struct Access {
    name: String,
    /// Where the pixels begin.
    start: u64,
    end: u64,
    content: Content,
}

enum Content {
    File(Arc<Mutex<Opened>>),
    Memory(Vec<u8>),
}

impl Access {
    /// For messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes from the first pixel to the end of the file.
    pub(super) fn length(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// A part, by its distance from the first byte of the pixels.
    ///
    /// # Errors
    /// [`Error::Input`] if the file ends before it does, or cannot be read.
    pub(super) fn part(&self, at: u64, bytes: u64, what: &str) -> Result<Vec<u8>> {
        let left = self.length().saturating_sub(at);
        if bytes > left {
            return Err(ended(&self.name, what, bytes, left));
        }
        match &self.content {
            Content::Memory(all) => {
                let from = (self.start + at) as usize;
                Ok(all.get(from..from + bytes as usize).unwrap_or_default().to_vec())
            }
            Content::File(file) => {
                let mut part = super::super::limits::zeros(&self.name, bytes as usize)?;
                let mut file = lock(file);
                let read =
                    file.seek(SeekFrom::Start(self.start + at)).and_then(|_| file.read_exact(&mut part));
                read.map_err(|error| unreadable(&self.name, error))?;
                Ok(part)
            }
        }
    }
}

/// What an archive that cannot be read comes to.
pub(super) fn damaged(name: &str, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => unreadable(name, error),
        error => Error::input(name, "a ZIP archive that can be unpacked", error).hint("unpack it first"),
    }
}
