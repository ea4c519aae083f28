//! One array of an `.npz`: a ZIP archive of `.npy` files, as `numpy.savez` and `savez_compressed` write it.

use std::io::{self, Read};

use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use super::super::limits::Budget;
use super::super::source::{Opened, unreadable};
use crate::error::{Error, Result, shortened};

/// Whether a file that begins with these bytes is an archive.
pub(in crate::input) fn is_archive(head: &[u8]) -> bool {
    // The second is an archive of nothing.
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}

/// An archive, and which of its arrays is meant.
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
    /// Finds the array: that of the source's name for it, or the only one.
    ///
    /// # Errors
    /// [`Error::Input`] if the archive is damaged, has no array of that name, or without a name none or several.
    pub(super) fn open(opened: Opened, budget: Budget) -> Result<Self> {
        let (name, wanted) = (opened.name().to_owned(), opened.member().map(String::from));
        let zip = ZipArchive::new(opened).map_err(|error| damaged(&name, error))?;
        let names: Vec<_> =
            zip.file_names().collect::<std::result::Result<_, _>>().map_err(|error| damaged(&name, error))?;
        let arrays: Vec<&str> =
            names.iter().map(|name| &**name).filter(|name| name.ends_with(ENDING)).collect();
        let member = chosen(&name, &arrays, wanted.as_deref())?;
        let member = zip.index_for_name(member).ok_or_else(|| damaged(&name, ZipError::FileNotFound));
        let member = member?;
        drop(names);
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

/// What the names of arrays end in, in an archive.
const ENDING: &str = ".npy";

/// The array that is meant.
fn chosen<'a>(name: &str, arrays: &[&'a str], wanted: Option<&str>) -> Result<&'a str> {
    let is_wanted = |array: &&&str| {
        wanted.is_some_and(|wanted| **array == wanted || array.strip_suffix(ENDING) == Some(wanted))
    };
    match (arrays, wanted) {
        ([only], None) => Ok(only),
        ([], None) => Err(Error::input(name, "an archive with an array or with DICOM files", "neither")
            .hint("unpack it, and name the files in it")),
        (_, None) => Err(Error::input(name, "the name of one array", listed(arrays))
            .hint(format!("name one of them after the file: {name}#{}", short(arrays[0])))),
        _ => arrays.iter().find(is_wanted).copied().ok_or_else(|| {
            Error::input(name, "the name of an array in the archive", listed(arrays))
                .hint("name one of them after the #")
        }),
    }
}

/// The names of arrays, as NumPy gives them.
fn listed(arrays: &[&str]) -> String {
    const MOST: usize = 8;
    let names: Vec<_> = arrays.iter().take(MOST).map(|array| short(array)).collect();
    let more = if arrays.len() > MOST { " and others" } else { "" };
    match arrays.len() {
        0 => "no array".into(),
        1 => format!("one array: {}", names.join("")),
        count => format!("{count} arrays: {}{more}", names.join(", ")),
    }
}

fn short(array: &str) -> String {
    shortened(array.strip_suffix(ENDING).unwrap_or(array), 40)
}

fn damaged(name: &str, error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => unreadable(name, error),
        error => Error::input(name, "an .npz archive of NumPy arrays", error)
            .hint("save it again with numpy.savez"),
    }
}
