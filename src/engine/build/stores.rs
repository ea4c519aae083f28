//! Where the plans of a package are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::plan::PlanFolder;
use crate::error::{Error, Result};
use crate::onnx::{TIMING_ENDING, TIMING_INPUTS};
use crate::plan_store::{self, BuildInputs, PlanStore, StoredPlan};

/// The store that plans are looked up and stored in, and a store that they can be copied from.
pub(super) struct Stores {
    pub(super) own: PlanStore,
    other: Option<PlanStore>,
}

impl Stores {
    /// The stores of a package with plans in its folder `shipped`, and in `cache` or else in the user's folder.
    ///
    /// # Errors
    /// [`Error::Request`] for a folder whose name is not UTF-8, and if the user has no folder for plans.
    pub(super) fn new(shipped: PathBuf, cache: Option<&Path>, folder: PlanFolder) -> Result<Self> {
        let cache = cache.map_or_else(plan_store::usual_folder, |folder| Ok(folder.to_path_buf()));
        // ONNX Runtime takes paths as UTF-8
        for folder in [Some(&shipped), cache.as_ref().ok()].into_iter().flatten() {
            if folder.to_str().is_none() {
                return Err(Error::request("engine-cache", "a folder named in UTF-8", folder.display())
                    .hint("rename it, or name another one with --engine-cache"));
            }
        }
        // whose package it is decides already what runs
        let owner = shipped.parent().and_then(|package| fs::metadata(package).ok()).map(|facts| facts.uid());
        let store = |folders| PlanStore::new(folders, owner);
        Ok(match folder {
            PlanFolder::Cache => Self { own: store(vec![shipped, cache?]), other: None },
            // a package with plans needs no cache
            PlanFolder::Package => {
                Self { own: store(vec![shipped]), other: cache.ok().map(|folder| store(vec![folder])) }
            }
        })
    }

    /// The plan with these build inputs, copied from the other store if only that has it.
    ///
    /// # Errors
    /// [`Error::Request`] if it cannot be copied.
    pub(super) fn find(&self, inputs: &BuildInputs) -> Result<Option<StoredPlan>> {
        if let Some(plan) = self.own.find(inputs)? {
            return Ok(Some(plan));
        }
        let Some(other) = &self.other else { return Ok(None) };
        let Some(plan) = other.find(inputs)? else { return Ok(None) };
        plan.copy_to(&self.own, inputs)?.publish().map(Some)
    }

    /// A file of kernel timings from other plans for the same GPU.
    pub(super) fn timings(&self, inputs: &BuildInputs) -> Option<PathBuf> {
        let stores = [Some(&self.own), self.other.as_ref()];
        stores.into_iter().flatten().find_map(|store| store.newest(TIMING_ENDING, inputs, &TIMING_INPUTS))
    }
}
