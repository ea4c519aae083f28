//! The files of a package.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::manifest::{self, FileFacts, Manifest};
use crate::digest::{hex, sha256_of};
use crate::error::{Error, Result};

const MANIFEST: &str = "fleming.json";

/// An exported model on disk.
#[derive(Debug, Clone)]
pub struct Package {
    folder: PathBuf,
    digest: String,
    manifest: Manifest,
}

impl Package {
    /// Reads the manifest and checks that every file is there at its full length.
    ///
    /// # Errors
    /// [`Error::Package`] naming the file that is missing, cut short or unreadable, or the schema that is unknown.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(MANIFEST);
        let text = fs::read(&path).map_err(|error| {
            Error::package(path.display(), "a package's manifest", error)
                .hint("give the folder that `python -m fleming_export` wrote")
        })?;
        let manifest = manifest::parse(&path, &text)?;
        for (name, facts) in &manifest.files {
            check_length(&folder.join(name), facts)?;
        }
        Ok(Self { folder: folder.to_path_buf(), digest: hex(&Sha256::digest(&text)), manifest })
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
        for (name, facts) in &self.manifest.files {
            let path = self.path(name);
            let got = fs::File::open(&path)
                .and_then(sha256_of)
                .map(|digest| hex(&digest))
                .map_err(|error| Error::package(path.display(), "a readable file", error))?;
            if got != facts.sha256 {
                return Err(Error::package(
                    path.display(),
                    format!("content with SHA-256 {}", facts.sha256),
                    got,
                )
                .hint("the file was altered after export: export again or restore it"));
            }
        }
        Ok(())
    }
}

fn check_length(path: &Path, facts: &FileFacts) -> Result<()> {
    let wanted = format!("{} bytes", facts.bytes);
    let got = match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() == facts.bytes => return Ok(()),
        Ok(found) => format!("{} bytes", found.len()),
        Err(error) => error.to_string(),
    };
    Err(Error::package(path.display(), wanted, got)
        .hint("the package is incomplete: copy it again or export it again"))
}
