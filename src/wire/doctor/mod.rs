//! What this machine has and lacks, and how fast it is.

mod machine;
mod measure;
mod agreement;
mod report;

pub use machine::{kernels, machine, onnxruntime};
pub use measure::{Round, Sample, gain, noise, overhead, round, summary};
pub use report::{Checks, doctor, package_facts};
