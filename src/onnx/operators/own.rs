//! Which operators this crate computes itself.
//!
//! ONNX Runtime looks for schemas and kernels among a session's custom operators before its own, so an operator of the same
//! domain and name takes the place of the built-in one, and packages stay as they are. Weights are read where ONNX Runtime
//! mapped them: a custom operator packs none.

use std::thread;

use ort::operator::OperatorDomain;
use ort::session::builder::SessionBuilder;

use super::attention::{Apart, GroupQueryAttention, OpenAttention};
use super::elementwise::{Elementwise, ElementwiseOperator};
use super::norms::{Kind, SkipNorm};
use super::pool::Resources;
use super::products::{self, MatMulNBits};
use crate::error::Result;
use crate::kernels::Instructions;
use crate::onnx::provider::Device;
use crate::package::Manifest;

/// The domain of ONNX Runtime's own operators.
const CONTRIB: &str = "com.microsoft";
/// The domain of functions that the exporter writes.
const FUNCTIONS: &str = "fleming";

/// The operators of a package that this crate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnOperators {
    /// Products with weights in blocks.
    pub(crate) products: bool,
    pub(crate) attention: bool,
    pub(crate) instructions: Instructions,
}

impl OwnOperators {
    /// All are ONNX Runtime's.
    pub(crate) const NONE: Self =
        Self { products: false, attention: false, instructions: Instructions::Plain };

    /// All are this crate's.
    #[cfg(test)]
    pub(super) fn all(instructions: Instructions) -> Self {
        Self { products: true, attention: true, instructions }
    }

    /// Those of a package on a device.
    ///
    /// # Errors
    /// [`Error::Request`](crate::Error::Request) for instructions that the machine does not have.
    pub(crate) fn of(device: &Device, manifest: &Manifest) -> Result<Self> {
        // The graphs of the other targets have operators of ONNX alone, and do not import the domain: with operators of ours in
        // it, ONNX Runtime would not find those that it fuses.
        let has_domain = ["cpu", "cuda"].contains(&manifest.target.as_str());
        let Some(instructions) = device.kernels()?.filter(|_| has_domain) else { return Ok(Self::NONE) };
        let attention = manifest.kv.dtype == "float32";
        Ok(Self { products: products::takes(manifest), attention, instructions })
    }

    /// Whose they are, in reports.
    pub(crate) fn describe(self) -> String {
        let parts = [(self.products, "products"), (self.attention, "attention")];
        let own: Vec<_> = parts.into_iter().filter_map(|(own, name)| own.then_some(name)).collect();
        match own.is_empty() {
            true => "onnxruntime".into(),
            false => format!("fleming for {}, with {}", own.join(" and "), self.instructions.name()),
        }
    }

    /// Registers them for a session that computes with `threads`; `None` is one for each core.
    pub(in crate::onnx) fn register(
        self,
        builder: SessionBuilder,
        threads: Option<usize>,
    ) -> ort::Result<SessionBuilder> {
        if !self.products && !self.attention {
            return Ok(builder);
        }
        let [contrib, functions] = self.domains(threads)?;
        Ok(builder.with_operators(contrib)?.with_operators(functions)?)
    }

    pub(super) fn domains(self, threads: Option<usize>) -> ort::Result<[OperatorDomain; 2]> {
        let threads = threads.or_else(|| thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        let resources = Resources { instructions: self.instructions, threads };
        let mut contrib = OperatorDomain::new(CONTRIB)?;
        let mut functions = OperatorDomain::new(FUNCTIONS)?;
        if self.products {
            contrib = contrib.add(MatMulNBits { resources })?;
        }
        if self.attention {
            contrib = contrib.add(OpenAttention { apart: Apart::Inputs, resources })?;
            contrib = contrib.add(GroupQueryAttention { resources })?;
            functions = functions.add(OpenAttention { apart: Apart::Columns, resources })?;
        }
        for kind in Kind::ALL {
            contrib = contrib.add(SkipNorm { kind, resources })?;
        }
        for function in Elementwise::ALL {
            functions = functions.add(ElementwiseOperator { function, resources })?;
        }
        Ok([contrib, functions])
    }
}
