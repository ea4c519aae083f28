//! `com.microsoft::MatMulNBits` with this crate's own arithmetic: products with weights in blocks, with activations rounded to
//! 8 bits (accuracy level 4).

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput, ShapeInferenceContext,
};
use ort::value::{Shape, TensorElementType};

use super::nodes::{Constant, Node, guarded, infer_sizes, refused};
use super::pool::{Pool, Resources};
use crate::kernels::{self, Blockwise, Zeros};
use crate::onnx::raw;
use crate::package::{Manifest, Scheme};

const NAME: &str = "MatMulNBits";

/// The inputs of a node by their places, in the words of its schema.
const ROWS: (usize, &str) = (0, "A");
const LEVELS: (usize, &str) = (1, "B");
const SCALES: (usize, &str) = (2, "scales");
const ZEROS: (usize, &str) = (3, "zero_points");
const GROUPS: (usize, &str) = (4, "g_idx");
const BIAS: (usize, &str) = (5, "bias");

/// The accuracy level at which activations are rounded to 8 bits.
const LEVEL: i64 = 4;

/// Whether all products of a package with weights in blocks can be this crate's.
pub(super) fn takes(manifest: &Manifest) -> bool {
    manifest.quantization.as_ref().is_some_and(|quantization| {
        let takes = |scheme: &Scheme| {
            let zeros = if scheme.zero_points { Zeros::Stored } else { Zeros::Middle };
            Blockwise::takes(scheme.bits, scheme.block, zeros)
        };
        quantization.accuracy_level == Some(LEVEL) && quantization.schemes().all(takes)
    })
}

pub(super) struct MatMulNBits {
    pub(super) resources: Resources,
}

impl Operator for MatMulNBits {
    type Kernel<'attr> = Product<'attr>;

    fn name(&self) -> &str {
        NAME
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [
            OperatorInput::required(TensorElementType::Float32),
            OperatorInput::required(TensorElementType::Uint8),
            OperatorInput::required(TensorElementType::Float32),
            OperatorInput::optional(TensorElementType::Uint8),
            OperatorInput::optional(TensorElementType::Int32),
            OperatorInput::optional(TensorElementType::Float32),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        guarded(NAME, || {
            let outputs = context.attr::<i64>("N")?;
            infer_sizes(context, 0, |_| outputs)
        })
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Product<'attr>> {
        let node = context.node_name()?;
        guarded(&node, || Product::new(&node, context, self.resources))
    }
}

/// A node: its weight, checked.
pub(super) struct Product<'a> {
    node: String,
    resources: Resources,
    bits: usize,
    block: usize,
    outputs: usize,
    inputs: usize,
    levels: Constant<'a, u8>,
    scales: Constant<'a, f32>,
    zeros: Option<Constant<'a, u8>>,
    bias: Option<Constant<'a, f32>>,
}

impl<'a> Product<'a> {
    fn new(node: &str, context: &KernelContext<'a>, resources: Resources) -> ort::Result<Self> {
        let node = Node { name: node, operator: NAME, context };
        let (inputs, outputs) = (node.size("K")?, node.size("N")?);
        let bits = node.attribute("bits", &[4, 8])?;
        let block = node.attribute("block_size", &[32, 64, 128, 256])? as usize;
        node.attribute("accuracy_level", &[LEVEL])?;
        if raw::has_input(context, GROUPS.0)? {
            return Err(node.refused(GROUPS.1, "none", "an order of the inputs"));
        }
        let stored = if raw::has_input(context, ZEROS.0)? { Zeros::Stored } else { Zeros::Middle };
        if !Blockwise::takes(bits as usize, block, stored) {
            return Err(node.refused(ZEROS.1, &format!("none for {bits} bits"), "some"));
        }
        let blocks = inputs.div_ceil(block);
        let zeros = (blocks * bits as usize).div_ceil(8);
        Ok(Self {
            resources,
            bits: bits as usize,
            block,
            outputs,
            inputs,
            levels: node.constant(LEVELS, &[outputs, blocks, block * bits as usize / 8])?,
            scales: node.constant(SCALES, &[outputs, blocks])?,
            zeros: node.optional(ZEROS, &[outputs, zeros])?,
            bias: node.optional(BIAS, &[outputs])?,
            node: node.name.into(),
        })
    }

    fn compute(&self, context: &ComputeContext) -> ort::Result<()> {
        let refused = |wanted: String, got: String| refused(&self.node, NAME, ROWS.1, &wanted, &got);
        let rows = context.input(ROWS.0)?.ok_or_else(|| refused("numbers".into(), "nothing".into()))?;
        let (shape, rows) = rows.try_extract_tensor::<f32>()?;
        let Some((_, counts)) = shape.split_last().filter(|(inputs, _)| **inputs == self.inputs as i64)
        else {
            return Err(refused(format!("[.., {}]", self.inputs), format!("{shape:?}")));
        };
        let sizes: Shape = counts.iter().copied().chain([self.outputs as i64]).collect();
        let mut out = context.output(0, sizes)?.ok_or_else(|| ort::Error::new("no output"))?;
        let (_, out) = out.try_extract_tensor_mut::<f32>()?;
        if rows.is_empty() {
            return Ok(());
        }
        let weight = Blockwise {
            bits: self.bits,
            block: self.block,
            outputs: self.outputs,
            inputs: self.inputs,
            levels: self.levels.try_extract_tensor()?.1,
            scales: self.scales.try_extract_tensor()?.1,
            zeros: self
                .zeros
                .as_ref()
                .map(|zeros| zeros.try_extract_tensor())
                .transpose()?
                .map(|(_, zeros)| zeros),
        };
        let bias =
            self.bias.as_ref().map(|bias| bias.try_extract_tensor()).transpose()?.map(|(_, bias)| bias);
        let threads = Pool::new(context, self.resources);
        kernels::product(self.resources.instructions, (rows, bias), &weight, out, &threads);
        Ok(())
    }
}

impl Kernel for Product<'_> {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        guarded(&self.node, || Product::compute(self, context))
    }
}

#[cfg(test)]
mod tests;
