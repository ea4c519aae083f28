//! How near a package is to the model it was made of, as the exporter measured and wrote into `fleming.json`.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What the exporter found when it ran a package beside the f32 package of the same checkpoint.
#[derive(Debug, Clone, Deserialize)]
pub struct Quality {
    /// Whether every bar was met.
    pub passed: bool,
    /// Positions at which the two were compared.
    pub positions: usize,
    /// Share of them at which the likeliest token was the same.
    pub top1_agreement: f64,
    /// How far the distributions of the next token are apart.
    pub kl_divergence: Divergence,
    /// Right answers to questions, by kind.
    #[serde(default)]
    pub answers: BTreeMap<String, Accuracy>,
}

/// Kullback-Leibler divergence over positions, in nats.
#[derive(Debug, Clone, Deserialize)]
pub struct Divergence {
    /// The mean.
    pub mean: f64,
    /// What 99 % of the positions are not above.
    pub p99: f64,
}

/// Shares of right answers to questions of one kind.
#[derive(Debug, Clone, Deserialize)]
pub struct Accuracy {
    /// How many were asked.
    pub cases: usize,
    /// What the f32 package has right.
    pub reference: f64,
    /// What the package has right.
    pub package: f64,
}
