//! The file that lines are appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;

/// A file that lines are appended to. What could not be written whole never runs into the next line.
pub(super) struct LineFile {
    path: PathBuf,
    file: File,
    /// Whether the file ends in the middle of a line.
    torn: bool,
}

impl LineFile {
    /// Opens the file, or makes one that only its owner reads and writes.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = appending(path)?;
        Ok(Self { path: path.to_owned(), torn: ends_within_a_line(path, &file), file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file of this name anew: the old one may have been renamed. If that fails, the old one stays open.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(&self.path)?;
        Ok(())
    }

    /// Appends lines, of which the last has its end.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        if self.torn {
            self.write(b"\n")?;
        }
        self.write(lines.as_bytes())
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.file.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    let (done, rest) = bytes.split_at(written);
                    self.torn = !done.ends_with(b"\n");
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    options.mode(0o600);
    options.open(path)
}

/// Whether an earlier process was cut off in the middle of a line. What cannot be read is not asked.
fn ends_within_a_line(path: &Path, file: &File) -> bool {
    let is_file = file.metadata().is_ok_and(|facts| facts.is_file() && facts.len() > 0);
    let last = || {
        let mut last = [0];
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        io::Result::Ok(last)
    };
    is_file && last().is_ok_and(|last| last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn half_a_line_does_not_run_into_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let mut file = LineFile::open(&path).unwrap();
        file.append("{\"a\":1}\n").unwrap();
        // As a full disk leaves it.
        file.write(b"{\"b\":").unwrap();
        file.append("{\"c\":3}\n").unwrap();
        file.append("{\"d\":4}\n").unwrap();
        // As the end of a process leaves it.
        file.write(b"{\"e\":").unwrap();
        drop(file);
        LineFile::open(&path).unwrap().append("{\"f\":5}\n").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"a\":1}\n{\"b\":\n{\"c\":3}\n{\"d\":4}\n{\"e\":\n{\"f\":5}\n");
    }
}
