//! The one array of an `.npz`: a ZIP archive of `.npy` files, as `numpy.savez` and `savez_compressed` write it.

use std::io::{self, Read};

use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::super::limits::Budget;
use super::super::source::{Opened, unreadable};
use crate::error::{Error, Result};

/// Whether a file that begins with these bytes is an archive.
pub(super) fn is_archive(head: &[u8]) -> bool {
    // The second is an archive of nothing.
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// An archive with one array.
pub(super) struct Archive {
    name: String,
    zip: ZipArchive<Opened>,
    /// Which of its members the array is.
    member: usize,
    budget: Budget,
}

/// The array, unpacked from front to back.
pub(super) struct Member<'a> {
    file: ZipFile<'a, Opened>,
    /// Bytes that were unpacked.
    position: u64,
    budget: Budget,
}

impl Archive {
    /// Finds the array.
    ///
    /// # Errors
    /// [`Error::Input`] if the archive is damaged, or has no array or several.
    pub(super) fn open(opened: Opened, budget: Budget) -> Result<Self> {
        let name = opened.name().to_owned();
        let zip = ZipArchive::new(opened).map_err(|error| damaged(&name, error))?;
        let names: Vec<_> =
            zip.file_names().collect::<std::result::Result<_, _>>().map_err(|error| damaged(&name, error))?;
        let arrays: Vec<&str> =
            names.iter().map(|name| &**name).filter(|name| name.ends_with(".npy")).collect();
        let member = match arrays[..] {
            [array] => zip.index_for_name(array),
            _ => {
                let got = format!("{} arrays", arrays.len());
                return Err(Error::input(&name, "an archive with one array", got)
                    .hint("save the volume alone, with numpy.savez_compressed(file, volume)"));
            }
        };
        drop(names);
        let member = member.ok_or_else(|| damaged(&name, ZipError::FileNotFound))?;
        Ok(Self { name, zip, member, budget })
    }

    /// The array from its beginning, and its length by the archive's directory, which may lie.
    ///
    /// # Errors
    /// [`Error::Input`] if the archive is damaged or the array too long.
    pub(super) fn array(&mut self) -> Result<(Member<'_>, u64)> {
        let file = self.zip.by_index(self.member).map_err(|error| damaged(&self.name, error))?;
        let length = file.size();
        self.budget.check_bytes(&self.name, length)?;
        Ok((Member { file, position: 0, budget: self.budget }, length))
    }
}

impl Read for Member<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Member<'_> {
    /// Goes on to an offset that has not been passed.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        let skipped = offset.saturating_sub(self.position);
        match io::copy(&mut self.by_ref().take(skipped), &mut io::sink())? == skipped {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Unpacks what is left: the check sum is that of the whole.
    ///
    /// # Errors
    /// [`Error::Input`] if the archive is damaged or the array too long.
    pub(super) fn finish(mut self, name: &str) -> Result<()> {
        let most = (self.budget.unpacked_bytes + 1).saturating_sub(self.position);
        io::copy(&mut self.by_ref().take(most), &mut io::sink()).map_err(|error| unreadable(name, error))?;
        self.budget.check_bytes(name, self.position)
    }
}

fn damaged(name: &str, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => unreadable(name, error),
        error => Error::input(name, "a NumPy array, or an .npz archive of one", error),
    }
}
