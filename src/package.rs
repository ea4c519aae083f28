//! What was exported: `fleming.json` and the files it names.
//!
//! Every number of the model comes from here; the code knows no number of any size of the model.

mod contract;
mod profiles;
mod self_test;
mod manifest;
mod external;
mod folder;

pub(crate) use contract::{Dimension, GraphContract, TensorContract};
pub use folder::Package;
pub(crate) use manifest::Scheme;
pub(crate) use manifest::{Configuration, PromptTemplate, TilingLimits, Tokens, Work};
pub use manifest::{FileFacts, Manifest};
pub(crate) use profiles::{Profile, ShapeRange};
pub use self_test::SelfTest;
pub(crate) use self_test::{RecordedTensor, TestAnswer, TestCase, TestInstruction, TestRun};
