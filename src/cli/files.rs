//! Files that are as confidential as the study: readable by their owner alone, made under a name that nobody can foresee, and
//! never written through a link.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use anyhow::Result;
use tempfile::NamedTempFile;

use super::refusal::{unusable, unwritable};

/// Writes a file, whole or not at all. One of the same name, or a link, is replaced; a device or a pipe is refused.
pub(super) fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<()> {
    let write = || {
        no_stream(path)?;
        let mut file = NamedTempFile::new_in(folder(path))?;
        let mut writer = BufWriter::new(file.as_file_mut());
        content(&mut writer)?;
        writer.flush()?;
        drop(writer);
        file.persist(path).map(drop).map_err(|refused| refused.error)
    };
    write().map_err(|error| refused(path, &error))
}

/// A new file to be written bit by bit. One of the same name, or a link, is replaced; a device or a pipe is written to.
pub(super) fn create(path: &Path) -> Result<File> {
    let create = || match is_stream(path) {
        true => OpenOptions::new().write(true).open(path),
        false => NamedTempFile::new_in(folder(path))?.persist(path).map_err(|refused| refused.error),
    };
    create().map_err(|error| refused(path, &error))
}

/// A file to read and to append to, made if there is none. One that is there keeps its permissions.
pub(super) fn append(path: &Path) -> Result<File> {
    let unwritable = |error: io::Error| refused(path, &error);
    let mut open = OpenOptions::new();
    open.read(true).append(true);
    if is_stream(path) {
        return open.open(path).map_err(unwritable);
    }
    if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        let made = NamedTempFile::new_in(folder(path)).map_err(unwritable)?.persist_noclobber(path);
        // Another run may have made it in between.
        made.map(drop)
            .or_else(|refused| match refused.error.kind() {
                io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(refused.error),
            })
            .map_err(unwritable)?;
    }
    let file = open.open(path).map_err(unwritable)?;
    let (opened, named) =
        (file.metadata().map_err(unwritable)?, path.symlink_metadata().map_err(unwritable)?);
    match (opened.dev(), opened.ino()) == (named.dev(), named.ino()) {
        true => Ok(file),
        false => {
            let name = path.display().to_string();
            Err(unusable(&name, "a file", &"a link to one", "name the file that the link leads to"))
        }
    }
}

/// Makes a folder, for its owner alone, where there is none, and finds out whether files can be made in it.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    let make = || {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        try_folder(path)
    };
    make().map_err(|error| refused(path, &error))
}

/// Refuses a file that could not be made, or not replaced.
pub(super) fn try_file(path: &Path) -> Result<()> {
    no_stream(path).and_then(|()| try_folder(folder(path))).map_err(|error| refused(path, &error))
}

/// Refuses what would be put in the place of a device or a pipe.
fn no_stream(path: &Path) -> io::Result<()> {
    match is_stream(path) {
        true => Err(io::Error::new(io::ErrorKind::InvalidInput, "a device or a pipe, and no file")),
        false => Ok(()),
    }
}

/// What could not be written, without the unforeseeable name, which nobody gave.
fn refused(path: &Path, error: &io::Error) -> anyhow::Error {
    let said = error.to_string();
    unwritable(path, &said.split(" at path ").next().unwrap_or_default())
}

/// Whether a file can be made in a folder, found out by making one.
fn try_folder(path: &Path) -> io::Result<()> {
    NamedTempFile::new_in(if path.as_os_str().is_empty() { Path::new(".") } else { path })?.close()
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether a path is no place in a file system but what it leads to: a pipe, a device, or what this process has open.
fn is_stream(path: &Path) -> bool {
    let of_process =
        path.parent().is_some_and(|folder| ["/dev", "/dev/fd"].iter().any(|dev| Path::new(dev) == folder));
    // A link is looked at itself.
    of_process
        || fs::symlink_metadata(path)
            .is_ok_and(|facts| !facts.is_file() && !facts.is_symlink() && !facts.is_dir())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_their_owners_and_links_are_not_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let path = |name: &str| scratch.path().join(name);
        fs::write(path("precious"), "precious").unwrap();
        for name in ["written", "created", "appended"] {
            symlink(path("precious"), path(name)).unwrap();
        }
        write(&path("written"), |file| file.write_all(b"new")).unwrap();
        create(&path("created")).unwrap().write_all(b"new").unwrap();
        assert!(append(&path("appended")).unwrap_err().to_string().contains("a link to one"));
        append(&path("fresh")).unwrap().write_all(b"n").unwrap();
        append(&path("fresh")).unwrap().write_all(b"ew").unwrap();
        for name in ["written", "created", "fresh"] {
            assert_eq!(
                (fs::read(path(name)).unwrap(), mode(&path(name))),
                (b"new".to_vec(), 0o600),
                "{name}"
            );
        }
        assert_eq!(fs::read(path("precious")).unwrap(), b"precious");
        // Only a file is replaced by one.
        let socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for name in [&path("socket"), Path::new("/dev/fd/1"), Path::new("/dev/nowhere")] {
            let error = write(name, |file| file.write_all(b"new")).unwrap_err().to_string();
            assert!(error.contains("a device or a pipe"), "{error}");
            assert!(try_file(name).is_err());
        }
        drop(socket);
        // What fails leaves what was there, and nothing beside it.
        let before = fs::read_dir(scratch.path()).unwrap().count();
        assert!(write(&path("written"), |_| Err(io::ErrorKind::StorageFull.into())).is_err());
        assert_eq!(fs::read(path("written")).unwrap(), b"new");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), before);
    }

    #[test]
    fn folders_are_their_owners() {
        let scratch = tempfile::tempdir().unwrap();
        let made = scratch.path().join("a/b");
        make_folder(&made).unwrap();
        assert_eq!((mode(&made), fs::read_dir(&made).unwrap().count()), (0o700, 0));
        fs::write(made.join("file"), "x").unwrap();
        assert!(make_folder(&made.join("file/c")).is_err());
        assert!(create(Path::new("/dev/full")).unwrap().write_all(b"x").is_err());
    }
}
