//! The files of a package.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::external;
use super::manifest::{self, FileFacts, Manifest};
use crate::digest::{hex, sha256_while};
use crate::error::{Error, Result};
use crate::watch::Watch;

const MANIFEST: &str = "fleming.json";

/// An exported model on disk.
#[derive(Debug, Clone)]
pub struct Package {
    /// Links resolved: one that is set to another package later does not mix the two.
    folder: PathBuf,
    digest: String,
    manifest: Manifest,
    found: BTreeMap<String, Identity>,
}

/// What a file is known by. It differs once the file was written to, or another was put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds of the last write.
    written: (i64, i64),
    /// Of the last change, a new name included. No program sets it.
    changed: (i64, i64),
}

impl Identity {
    fn of(facts: &Metadata) -> Self {
        Self {
            device: facts.dev(),
            inode: facts.ino(),
            bytes: facts.len(),
            written: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        }
    }
}

impl Package {
    /// Reads the manifest and checks that every file is there at its full length, lies in the folder, and that the graphs take
    /// weights from no other.
    ///
    /// # Errors
    /// [`Error::Package`] naming the file that is missing, cut short, unreadable, not listed or elsewhere, or the schema that
    /// is unknown.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let unreadable = |error: std::io::Error| {
            Error::package(path.display(), "a package's manifest", error)
                .hint("give the folder that `python -m fleming_export` wrote")
        };
        let resolved = folder.canonicalize().map_err(unreadable)?;
        let text = fs::read(resolved.join(MANIFEST)).map_err(unreadable)?;
        let manifest = manifest::parse(&path, &text)?;
        check_place(&resolved, MANIFEST)?;
        let mut found = BTreeMap::new();
        for (name, facts) in &manifest.files {
            found.insert(name.clone(), check_length(&resolved.join(name), facts)?);
            check_place(&resolved, name)?;
        }
        for graph in [&manifest.graphs.vision, &manifest.graphs.decoder] {
            check_weights(&resolved.join(&graph.file), &manifest.files)?;
        }
        Ok(Self { folder: resolved, digest: hex(&Sha256::digest(&text)), manifest, found })
    }

    /// SHA-256 of `fleming.json`, which holds the digests of all other files.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The path of a file of the package.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// Reads every file once and compares its digest with the recorded one.
    ///
    /// # Errors
    /// [`Error::Package`] naming the first file that differs from what was exported.
    pub fn verify(&self) -> Result<()> {
        self.verify_watched(&Watch::default())
    }

    /// The same, for a caller who may end it early. Its listener is told how many of all bytes were read: at the beginning and
    /// at the end, and now and then where it takes longer.
    ///
    /// # Errors
    /// [`Error::Cancelled`] or [`Error::TimedOut`] too.
    pub(crate) fn verify_watched(&self, watch: &Watch) -> Result<()> {
        let total = self.found.values().map(|identity| identity.bytes as usize).sum();
        let mut done = 0;
        watch.tell_now(done, total);
        for (name, facts) in &self.manifest.files {
            let path = self.path(name);
            let block_was_read = |bytes| {
                done += bytes;
                watch.tell(done, total);
                watch.check().is_ok()
            };
            let got = fs::File::open(&path).and_then(|file| sha256_while(file, block_was_read));
            watch.check()?;
            let got = got.map(|digest| hex(&digest)).map_err(|error| {
                Error::package(path.display(), "a readable file", error)
                    .hint("check the rights, or copy the package again")
            })?;
            if got != facts.sha256 {
                return Err(Error::package(
                    path.display(),
                    format!("content with SHA-256 {}", facts.sha256),
                    got,
                )
                .hint("the file was altered after export: export again or restore it"));
            }
        }
        watch.tell_now(total, total);
        Ok(())
    }

    /// Refuses a package whose files were written to or exchanged since it was opened: whoever read them since may have read
    /// others than [`verify`](Self::verify) did.
    ///
    /// # Errors
    /// [`Error::Package`] naming the first file.
    pub(crate) fn unchanged(&self) -> Result<()> {
        for (name, before) in &self.found {
            let path = self.path(name);
            let now = fs::metadata(&path).map(|facts| Identity::of(&facts));
            if now.as_ref().ok() != Some(before) {
                return Err(Error::package(
                    path.display(),
                    "a file that stays as it is while it is loaded",
                    "one that was written to or replaced",
                )
                .hint("write a new package to a folder of its own and open that"));
            }
        }
        Ok(())
    }
}

fn check_length(path: &Path, facts: &FileFacts) -> Result<Identity> {
    let wanted = format!("{} bytes", facts.bytes);
    let got = match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() == facts.bytes => return Ok(Identity::of(&found)),
        Ok(found) if !found.is_file() => "something that is no regular file".into(),
        Ok(found) => format!("{} bytes", found.len()),
        Err(error) => error.to_string(),
    };
    Err(Error::package(path.display(), wanted, got)
        .hint("the package is incomplete: copy it again or export it again"))
}

/// Refuses a link that leads out of the folder.
fn check_place(folder: &Path, name: &str) -> Result<()> {
    let path = folder.join(name);
    let wanted = "a file in the package's folder";
    match path.canonicalize() {
        Ok(place) if place.starts_with(folder) => Ok(()),
        Ok(place) => Err(Error::package(path.display(), wanted, format!("a link to {}", place.display()))
            .hint("copy the package with `cp -rL`; a download: `hf download --local-dir`")),
        Err(error) => Err(Error::package(path.display(), wanted, error)
            .hint("the package is incomplete: copy it again or export it again")),
    }
}

/// Refuses a graph that takes weights from a file whose digest is not recorded.
fn check_weights(graph: &Path, files: &BTreeMap<String, FileFacts>) -> Result<()> {
    let refuse = |wanted: &str, got: String| {
        Err(Error::package(graph.display(), wanted, got).hint("export the checkpoint again"))
    };
    match external::files_of(graph) {
        Ok(found) => match found.iter().find(|name| !files.contains_key(*name)) {
            Some(name) => refuse("weights in files that fleming.json lists", format!("a file called {name}")),
            None => Ok(()),
        },
        Err(error) => refuse("an ONNX graph", error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const DEMO: &str = "models/demo";

    /// A copy of the demo package.
    fn copy(folder: &Path) -> PathBuf {
        let copy = folder.join("package");
        fs::create_dir(&copy).unwrap();
        for file in fs::read_dir(DEMO).unwrap().map(|file| file.unwrap().path()) {
            fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
        }
        copy
    }

    fn refusal(package: &Path) -> String {
        let error = Package::open(package).unwrap_err();
        assert!(matches!(error, Error::Package(_)), "{error}");
        error.to_string()
    }

    #[test]
    fn links_stay_in_the_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let package = copy(scratch.path());
        let link = scratch.path().join("current");
        symlink(&package, &link).unwrap();
        let opened = Package::open(&link).unwrap();
        assert_eq!(opened.path("x"), package.canonicalize().unwrap().join("x"));
        fs::rename(package.join("tokenizer.json"), package.join("words")).unwrap();
        symlink("words", package.join("tokenizer.json")).unwrap();
        Package::open(&package).unwrap();
        for name in ["tokenizer.json", "decoder.onnx.data", "vision.onnx", MANIFEST] {
            let elsewhere = scratch.path().join(name);
            fs::rename(package.join(name).canonicalize().unwrap(), &elsewhere).unwrap();
            let _ = fs::remove_file(package.join(name));
            symlink(&elsewhere, package.join(name)).unwrap();
            let message = refusal(&package);
            assert!(message.contains(name) && message.contains("a link to"), "{message}");
            fs::remove_file(package.join(name)).unwrap();
            fs::rename(&elsewhere, package.join(name)).unwrap();
        }
    }

    #[test]
    fn whoever_watches_hears_of_every_byte_and_may_end_it() {
        use std::sync::{Arc, Mutex};

        use crate::watch::Cancel;
        let package = Package::open(Path::new(DEMO)).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (all, cancel) = (Arc::clone(&heard), Cancel::default());
        let watch = Watch::default().eager(move |done, total| all.lock().unwrap().push((done, total)));
        package.verify_watched(&watch).unwrap();
        let total = package.found.values().map(|identity| identity.bytes as usize).sum();
        let heard = heard.lock().unwrap().clone();
        assert!(heard.is_sorted() && heard.len() > package.found.len(), "{heard:?}");
        assert_eq!(heard.last(), Some(&(total, total)));
        // A short one is told too.
        let heard = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&heard);
        let watch = Watch::default().listener(move |done, total| all.lock().unwrap().push((done, total)));
        package.verify_watched(&watch).unwrap();
        let heard = heard.lock().unwrap();
        assert_eq!([heard.first(), heard.last()], [Some(&(0, total)), Some(&(total, total))]);
        let switch = cancel.clone();
        let watch = Watch::default().switch(&cancel).eager(move |_, _| switch.cancel());
        assert!(matches!(package.verify_watched(&watch), Err(Error::Cancelled(_))));
    }

    #[test]
    fn weights_are_in_files_that_are_listed() {
        let scratch = tempfile::tempdir().unwrap();
        let package = copy(scratch.path());
        let graph = package.join("decoder.onnx");
        let sound = fs::read(&graph).unwrap();
        let name = b"decoder.onnx.data";
        for other in [b"decoder.onnx.date", b"/tmp/../etc/shado", b"../../escape.data"] {
            let mut bytes = sound.clone();
            let places: Vec<_> =
                bytes.windows(name.len()).enumerate().filter(|(_, w)| w == name).map(|(at, _)| at).collect();
            assert!(places.len() > 10);
            // the last one alone
            bytes[places[places.len() - 1]..][..name.len()].copy_from_slice(other);
            fs::write(&graph, &bytes).unwrap();
            let message = refusal(&package);
            let other = String::from_utf8_lossy(other).into_owned();
            assert!(
                message.contains("decoder.onnx: wanted weights") && message.contains(&other),
                "{message}"
            );
        }
        fs::write(&graph, vec![0xff; sound.len()]).unwrap();
        assert!(refusal(&package).contains("an ONNX graph"));
        fs::write(&graph, sound).unwrap();
        Package::open(&package).unwrap();
    }

    #[test]
    fn a_file_that_changes_while_it_is_loaded_is_noticed() {
        let scratch = tempfile::tempdir().unwrap();
        let package = copy(scratch.path());
        let weights = package.join("decoder.onnx.data");
        let content = fs::read(&weights).unwrap();
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(&weights, &content[1..]).unwrap(),
            &|| fs::write(&weights, &content).unwrap(),
            &|| {
                let aside = package.join("aside");
                fs::write(&aside, &content).unwrap();
                fs::rename(&aside, &weights).unwrap();
            },
            &|| {
                let aside = package.join("aside");
                fs::rename(&weights, &aside).unwrap();
                fs::rename(&aside, &weights).unwrap();
            },
        ];
        for (number, change) in changes.iter().enumerate() {
            fs::write(&weights, &content).unwrap();
            let opened = Package::open(&package).unwrap();
            opened.unchanged().unwrap();
            // the file system's clock has ticks
            std::thread::sleep(std::time::Duration::from_millis(20));
            change();
            let error = opened.unchanged().unwrap_err().to_string();
            assert!(error.contains("decoder.onnx.data"), "{number}: {error}");
        }
        fs::remove_file(&weights).unwrap();
    }
}
