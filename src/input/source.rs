//! A source that was opened, once: its length and its first bytes are known.

use std::fs::{self, File, Metadata};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits::Budget;
use super::location::Location;
use crate::error::{Error, Result};
use crate::study::{Buffer, Source};
use crate::watch::Watch;
use crate::words::counted;

/// Bytes that are enough to tell the formats apart.
const HEAD: u64 = 4096;

/// The bytes of a source. Every read looks at the watch first.
pub(super) struct Opened {
    name: String,
    /// Which array of an archive is meant.
    member: Option<String>,
    length: u64,
    head: Vec<u8>,
    content: Content,
    /// Where it is, unless it is in memory.
    path: Option<PathBuf>,
    /// Frames a second, as whoever opened it knows.
    #[cfg(feature = "video")]
    rate: Option<f64>,
    watch: Watch,
}

enum Content {
    File(File),
    Memory(Cursor<Arc<[u8]>>),
}

impl Opened {
    /// Opens a source and reads its first bytes.
    ///
    /// # Errors
    /// [`Error::Input`] if it is not there, no regular file (which is found out before it is opened: a pipe would be waited
    /// for without end) or several files.
    pub(super) fn new(source: &Source, watch: &Watch) -> Result<Self> {
        let name = source.name();
        let (content, member) = match source {
            Source::Path(path) => located(path, &name)?,
            Source::Kept(file) => (Content::File(regular(file.path(), &name)?), None),
            Source::Bytes { bytes, .. } => (Content::Memory(Cursor::new(bytes.clone())), None),
            Source::Files(files) => match files.as_slice() {
                [path] => located(path, &name)?,
                _ => return Err(several(name, files.len())),
            },
            Source::Buffers(buffers) => match buffers.as_slice() {
                [Buffer { bytes, .. }] => (Content::Memory(Cursor::new(bytes.clone())), None),
                _ => return Err(several(name, buffers.len())),
            },
        };
        let path = match source {
            Source::Path(path) => Some(path.clone()),
            Source::Files(files) => files.first().cloned(),
            Source::Kept(_) | Source::Bytes { .. } | Source::Buffers(_) => None,
        };
        let mut opened = Self {
            name,
            member,
            length: 0,
            head: Vec::new(),
            content,
            path,
            #[cfg(feature = "video")]
            rate: None,
            watch: watch.clone(),
        };
        opened.begin().map_err(|error| opened.unreadable(error))?;
        Ok(opened)
    }

    fn begin(&mut self) -> io::Result<()> {
        self.length = self.seek(SeekFrom::End(0))?;
        self.rewind()?;
        let mut head = Vec::new();
        self.take(HEAD).read_to_end(&mut head)?;
        self.head = head;
        self.rewind()
    }

    /// The same source once more, from its beginning. The two must not be read in turns.
    pub(super) fn again(&self) -> Result<Self> {
        let content = match &self.content {
            Content::File(file) => Content::File(file.try_clone().map_err(|error| self.unreadable(error))?),
            Content::Memory(bytes) => Content::Memory(Cursor::new(bytes.get_ref().clone())),
        };
        let (name, head, watch) = (self.name.clone(), self.head.clone(), self.watch.clone());
        let mut again = Self {
            name,
            member: self.member.clone(),
            length: self.length,
            head,
            content,
            path: self.path.clone(),
            #[cfg(feature = "video")]
            rate: self.rate,
            watch,
        };
        again.rewind().map_err(|error| self.unreadable(error))?;
        Ok(again)
    }

    /// The file beside this one whose name is made of its name. None if there is none, or this is in memory.
    ///
    /// # Errors
    /// As [`Opened::new`], of a file that is there.
    pub(super) fn beside(&self, name_of: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let beside = self.path.as_deref().and_then(|path| {
            let name = name_of(path.file_name()?.to_str()?)?;
            Some(path.with_file_name(name)).filter(|beside| beside.exists())
        });
        beside.map(|path| Self::new(&Source::Path(path), &self.watch)).transpose()
    }

    /// The same, of so many frames a second where it does not say.
    #[cfg(feature = "video")]
    pub(super) fn at_rate(self, rate: Option<f64>) -> Self {
        Self { rate, ..self }
    }

    /// Frames a second of a clip that does not say.
    #[cfg(feature = "video")]
    pub(super) fn rate(&self) -> Option<f64> {
        self.rate
    }

    /// The name used in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name of the array that is meant, where the source is `FILE.npz#NAME`.
    pub(super) fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// Bytes in all.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The first bytes.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// All bytes.
    ///
    /// # Errors
    /// [`Error::Input`] if there are more than the budget has, or they cannot be read.
    pub(super) fn into_bytes(mut self, budget: &Budget) -> Result<Bytes> {
        budget.check_input(&self.name, self.length)?;
        if let Content::Memory(bytes) = self.content {
            return Ok(Bytes::Shared(bytes.into_inner()));
        }
        let mut bytes = Vec::new();
        let reserved = bytes.try_reserve_exact(self.length as usize).map_err(io::Error::other);
        // A file that grows meanwhile is read as far as it was.
        let length = self.length;
        match reserved.and_then(|()| self.by_ref().take(length).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Bytes::Own(bytes)),
            Err(error) => Err(self.unreadable(error)),
        }
    }

    /// What a failed read comes to: the end of the work if the watch ended it.
    pub(super) fn unreadable(&self, error: io::Error) -> Error {
        unreadable(&self.name, error)
    }
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.check().map_err(io::Error::other)?;
        match &mut self.content {
            Content::File(file) => file.read(buffer),
            Content::Memory(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Opened {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match &mut self.content {
            Content::File(file) => file.seek(to),
            Content::Memory(bytes) => bytes.seek(to),
        }
    }
}

/// The whole content of a source.
pub(super) enum Bytes {
    Own(Vec<u8>),
    Shared(Arc<[u8]>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Own(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
        }
    }
}

/// What several files come to where one is read.
fn several(name: String, count: usize) -> Error {
    Error::input(name, "one file", counted(count, "file"))
        .hint("hand over several files for a DICOM series alone, or each as a study")
}

/// What a failed read of the named source comes to.
pub(super) fn unreadable(name: &str, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ended) => ended,
        // Of a member of an archive.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            Error::input(name, "a file that is stored or packed with Deflate", error).hint("unpack it first")
        }
        Err(error) => Error::input(name, "a readable file", error).hint("check the path and the file"),
    }
}

/// The file that a path leads to, and which array of it is meant.
fn located(path: &Path, name: &str) -> Result<(Content, Option<String>)> {
    let Location { file, member } = Location::of(path, name)?;
    Ok((Content::File(regular(&file, name)?), member))
}

/// A regular file, opened. Anything else is refused before it is opened: a pipe would be waited for without end.
pub(crate) fn regular(path: &Path, name: &str) -> Result<File> {
    let failed = |error| unreadable(name, error);
    check(&fs::metadata(path).map_err(failed)?, name)?;
    let file = File::open(path).map_err(failed)?;
    // The path may lead elsewhere by now.
    check(&file.metadata().map_err(failed)?, name)?;
    Ok(file)
}

fn check(facts: &Metadata, name: &str) -> Result<()> {
    let (got, hint) = match (facts.is_file(), facts.is_dir()) {
        (true, _) => return Ok(()),
        (_, true) => ("a folder", "name a file in it; a folder of DICOM files is read as a whole"),
        _ => ("something that is no regular file", "copy it to a file"),
    };
    Err(Error::input(name, "a readable file", got).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Cancel;

    fn memory(bytes: &[u8]) -> Source {
        Source::Bytes { name: "memory".into(), bytes: bytes.into() }
    }

    #[test]
    fn a_file_and_its_bytes_in_memory_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..10_000).map(|i| (i % 251) as u8).collect();
        fs::write(&path, &content).unwrap();
        for source in [Source::Path(path.clone()), Source::Files(vec![path]), memory(&content)] {
            let mut opened = Opened::new(&source, &Watch::default()).unwrap();
            assert_eq!((opened.length(), opened.head()), (10_000, &content[..4096]));
            let mut part = [0; 100];
            opened.read_exact(&mut part).unwrap();
            assert_eq!(part, content[..100]);
            assert_eq!(&*opened.again().unwrap().into_bytes(&Budget::default()).unwrap(), content);
        }
    }

    #[derive(Debug)]
    struct Copied(PathBuf);

    impl crate::study::KeptFile for Copied {
        fn name(&self) -> &str {
            "scan.hdr"
        }

        fn path(&self) -> &Path {
            &self.0
        }
    }

    #[test]
    fn a_kept_file_has_the_name_that_it_is_given_and_no_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["copy", "copy#a", "scan.img"] {
            fs::write(folder.path().join(name), b"abc").unwrap();
        }
        let source = |name| Source::Kept(Arc::new(Copied(folder.path().join(name))));
        let opened = Opened::new(&source("copy"), &Watch::default()).unwrap();
        assert_eq!((opened.name(), opened.length(), opened.member()), ("scan.hdr", 3, None));
        assert!(opened.beside(|_| Some("scan.img".into())).unwrap().is_none());
        let error = Opened::new(&source("none"), &Watch::default()).err().unwrap();
        assert!(!error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_before_it_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = vec![folder.path().to_path_buf(), folder.path().join("nowhere")];
        if cfg!(target_os = "linux") {
            paths.extend(["/dev/null".into(), "/proc/self/fd".into()]);
            let pipe = folder.path().join("pipe");
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            paths.push(pipe);
        }
        for path in paths {
            let error = Opened::new(&Source::Path(path.clone()), &Watch::default()).err().unwrap();
            assert!(
                matches!(&error, Error::Input(facts) if facts.thing == path.display().to_string()),
                "{error}"
            );
        }
        let both = Source::Files(vec!["a".into(), "b".into()]);
        assert!(Opened::new(&both, &Watch::default()).is_err());
    }

    #[test]
    fn a_read_ends_when_the_watch_does() {
        let cancel = Cancel::default();
        let watch = Watch::default().switch(&cancel);
        let mut opened = Opened::new(&memory(&[1; 9000]), &watch).unwrap();
        cancel.cancel();
        let error = opened.read(&mut [0; 10]).unwrap_err();
        assert!(matches!(opened.unreadable(error), Error::Cancelled(_)));
        assert!(matches!(Opened::new(&memory(&[1]), &watch).err().unwrap(), Error::Cancelled(_)));
    }
}
