//! The files of a study: one, several, those of a folder, those of an archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use zip::ZipArchive;

use super::super::source::{Opened, unreadable};
use super::place::{Bytes, Place, damaged};
use crate::error::{Error, Result};
use crate::study::{Buffer, Source};
use crate::watch::Watch;

/// Files of one study. A study of the whole body has some 5,000.
const MOST_FILES: usize = 100_000;
/// Folders within folders.
const MOST_DEPTH: usize = 32;

/// The files in a folder and in those below it, in the order of their paths. Links to folders are not followed: they may
/// lead back.
///
/// # Errors
/// [`Error::Input`] if a folder cannot be read, or holds more than any study.
pub(super) fn folder(root: &Path, watch: &Watch) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    let mut folders = vec![(root.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        watch.check()?;
        let name = folder.display().to_string();
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&name, error))? {
            let entry = entry.map_err(|error| unreadable(&name, error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| unreadable(&name, error))?;
            let part = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if is_clutter(&part) {
                continue;
            }
            if kind.is_dir() && depth < MOST_DEPTH {
                folders.push((path, depth + 1));
            } else if kind.is_file() || (kind.is_symlink() && path.is_file()) {
                places.push(Place {
                    name: path.display().to_string(),
                    part: Some(part),
                    bytes: Bytes::Path(path),
                });
            }
        }
        check_count(&root.display().to_string(), places.len())?;
    }
    places.sort_by(|one, other| one.part.cmp(&other.part));
    Ok(places)
}

/// Files that were named one by one.
///
/// # Errors
/// [`Error::Input`] if there are more than any study has.
pub(super) fn files(paths: &[PathBuf]) -> Result<Vec<Place>> {
    check_count("files", paths.len())?;
    let place = |path: &PathBuf| {
        let name = path.display().to_string();
        Place { part: Some(name.clone()), name, bytes: Bytes::Path(path.clone()) }
    };
    Ok(paths.iter().map(place).collect())
}

/// Files in memory.
///
/// # Errors
/// [`Error::Input`] if there are more than any study has.
pub(super) fn buffers(buffers: &[Buffer], watch: &Watch) -> Result<Vec<Place>> {
    check_count("buffers", buffers.len())?;
    let place = |Buffer { name, bytes }: &Buffer| {
        let source = Source::Bytes { name: name.clone(), bytes: bytes.clone() };
        let opened = Arc::new(Mutex::new(Opened::new(&source, watch)?));
        Ok(Place { part: Some(name.clone()), name: name.clone(), bytes: Bytes::Opened(opened) })
    };
    buffers.iter().map(place).collect()
}

/// The files in an archive, in the order of their names.
///
/// # Errors
/// [`Error::Input`] if it is damaged or holds more than any study.
pub(super) fn archive(opened: Opened) -> Result<Vec<Place>> {
    let name = opened.name().to_owned();
    let archive = ZipArchive::new(opened).map_err(|error| damaged(&name, error))?;
    check_count(&name, archive.len())?;
    let mut parts = Vec::new();
    for (index, part) in archive.file_names().enumerate() {
        let part = part.map_err(|error| damaged(&name, error))?;
        if !part.ends_with('/') && !is_clutter(&part) {
            parts.push((part.to_string(), index));
        }
    }
    parts.sort();
    let archive = Arc::new(Mutex::new(archive));
    let place = |(part, index): (String, usize)| Place {
        name: format!("{name}: {part}"),
        part: Some(part),
        bytes: Bytes::Member(archive.clone(), index),
    };
    Ok(parts.into_iter().map(place).collect())
}

fn check_count(name: &str, count: usize) -> Result<()> {
    match count > MOST_FILES {
        true => {
            Err(Error::input(name, format!("at most {MOST_FILES} files"), "more")
                .hint("name one series of it"))
        }
        false => Ok(()),
    }
}

/// What operating systems and archivers leave beside files: hidden files, and macOS's shadow of an archive. Archivers may begin
/// a name with `./` or `../`, which hides nothing.
fn is_clutter(part: &str) -> bool {
    let hidden = |name: &str| name.starts_with('.') && name != "." && name != "..";
    part.split('/').any(|name| hidden(name) || name == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_order_and_without_what_systems_leave_in_them() {
        let root = tempfile::tempdir().unwrap();
        for file in ["b/2", "b/1", "a", ".DS_Store", "__MACOSX/._a", "b/.hidden/x"] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"x").unwrap();
        }
        let places = folder(root.path(), &Watch::default()).unwrap();
        let parts: Vec<_> = places.iter().map(|place| place.part.as_deref().unwrap()).collect();
        assert_eq!(parts, ["a", "b/1", "b/2"]);
        for (part, clutter) in [("./s/1", false), ("../s/1", false), ("./.DS_Store", true), ("s/..x/1", true)]
        {
            assert_eq!(is_clutter(part), clutter, "{part}");
        }
        assert!(folder(&root.path().join("nowhere"), &Watch::default()).is_err());
    }
}
