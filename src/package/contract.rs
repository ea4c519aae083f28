//! What a package promises of the inputs and outputs of its graphs.

use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Graphs {
    pub vision: GraphContract,
    pub decoder: GraphContract,
}

/// A graph file and the tensors it promises.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GraphContract {
    pub file: String,
    pub inputs: Vec<TensorContract>,
    pub outputs: Vec<TensorContract>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TensorContract {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<Dimension>,
}

/// A size that is fixed, or the name of one that is not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Dimension {
    Fixed(i64),
    Named(String),
}
