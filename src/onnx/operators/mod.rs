//! Operators of ONNX Runtime that this crate computes itself.

mod pool;
mod nodes;
mod products;
mod attention;
mod elementwise;
mod norms;
mod own;
#[cfg(feature = "capi")]
mod lent;
#[cfg(test)]
mod model;

pub(crate) use own::OwnOperators;
