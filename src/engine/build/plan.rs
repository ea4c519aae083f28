//! What is known of a graph's plan.

use std::path::PathBuf;

/// The folder that new plans are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanFolder {
    /// That of [`EngineOptions::plan_cache`](crate::EngineOptions::plan_cache).
    Cache,
    /// `engines` in the package's folder, so that plans are shipped with the package.
    Package,
}

/// The plan of a graph: what TensorRT built of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// File of the graph.
    pub graph: String,
    /// Name of the plan's folder: SHA-256 of all that the plan depends on.
    pub key: String,
    /// The folder.
    pub folder: PathBuf,
    /// Length of all files in it.
    pub bytes: u64,
    /// Seconds that it took to open the graph, the build included.
    pub seconds: f64,
    /// The least cosine between outputs of the plan and of another provider; `None` for a plan that was there already.
    pub cosine: Option<f64>,
}

/// Whether the plan of a graph is there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanState {
    /// File of the graph.
    pub graph: String,
    /// Name of the plan's folder: SHA-256 of all that the plan depends on.
    pub key: String,
    /// The folder, if it is there.
    pub folder: Option<PathBuf>,
    /// What is wrong with the plan, if it was altered.
    pub damage: Option<String>,
}
