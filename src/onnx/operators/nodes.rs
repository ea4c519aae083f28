//! Nodes that become kernels of this crate.

use std::any::Any;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ort::operator::{KernelContext, ShapeInferenceContext};
use ort::value::{PrimitiveTensorElementType, TensorValueType, ValueRef, ValueType};

use crate::onnx::raw;

/// A tensor that is a part of the graph.
pub(super) type Constant<'a, T> = ValueRef<'a, TensorValueType<T>>;

/// A node that is being made into a kernel.
pub(super) struct Node<'n, 'a> {
    pub(super) name: &'n str,
    pub(super) operator: &'static str,
    pub(super) context: &'n KernelContext<'a>,
}

impl<'a> Node<'_, 'a> {
    pub(super) fn refused(&self, part: &str, wanted: &str, got: &str) -> ort::Error {
        refused(self.name, self.operator, part, wanted, got)
    }

    /// An attribute that is one of these numbers.
    pub(super) fn attribute(&self, name: &str, known: &[i64]) -> ort::Result<i64> {
        let got = self.context.get::<i64>(name);
        got.filter(|number| known.contains(number)).ok_or_else(|| {
            let known: Vec<_> = known.iter().map(i64::to_string).collect();
            self.refused(
                name,
                &known.join(" or "),
                &got.map_or("nothing".into(), |number| number.to_string()),
            )
        })
    }

    /// An attribute that is a number of rows or columns.
    pub(super) fn size(&self, name: &str) -> ort::Result<usize> {
        let got = self.context.get::<i64>(name);
        let size = got.and_then(|size| i32::try_from(size).ok()).filter(|size| *size > 0);
        size.map(|size| size as usize).ok_or_else(|| {
            let wanted = format!("a number from 1 to {}", i32::MAX);
            self.refused(name, &wanted, &got.map_or("nothing".into(), |size| size.to_string()))
        })
    }

    /// A constant input of as many numbers as these sizes have. Its own sizes may be written otherwise: `[N, blocks]` or
    /// `[N * blocks]`.
    pub(super) fn constant<T>(
        &self,
        (place, name): (usize, &str),
        sizes: &[usize],
    ) -> ort::Result<Constant<'a, T>>
    where
        T: PrimitiveTensorElementType + Debug,
    {
        let value = self
            .context
            .constant_input::<TensorValueType<T>>(place)
            .map_err(|error| self.refused(name, &format!("a constant of {sizes:?}"), &error.to_string()))?;
        let wanted = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
        if wanted != Some(value.shape().num_elements()) {
            return Err(self.refused(name, &format!("{sizes:?}"), &format!("{:?}", value.shape())));
        }
        Ok(value)
    }

    pub(super) fn optional<T>(
        &self,
        input: (usize, &str),
        sizes: &[usize],
    ) -> ort::Result<Option<Constant<'a, T>>>
    where
        T: PrimitiveTensorElementType + Debug,
    {
        match raw::has_input(self.context, input.0)? {
            true => self.constant(input, sizes).map(Some),
            false => Ok(None),
        }
    }
}

/// The numbers of an input, or none where the output has its memory.
pub(super) fn apart_from<'a>(input: &'a ValueRef<'_>, output: &[f32]) -> ort::Result<Option<&'a [f32]>> {
    let (_, numbers) = input.try_extract_tensor::<f32>()?;
    Ok((numbers.as_ptr() != output.as_ptr()).then_some(numbers))
}

/// Says of an output that it has the sizes of the first input, but for the last one.
pub(super) fn infer_sizes(
    context: &mut ShapeInferenceContext,
    output: usize,
    last: impl FnOnce(i64) -> i64,
) -> ort::Result<()> {
    let Some(ValueType::Tensor { ty, mut shape, dimension_symbols }) = context.inputs().into_iter().next()
    else {
        return Ok(());
    };
    let known = |(size, symbol): (&i64, &String)| *size >= 0 || !symbol.is_empty();
    // ONNX Runtime takes a size without a number and a name for a number below zero
    if !shape.iter().zip(dimension_symbols.iter()).all(known) {
        return Ok(());
    }
    let Some(width) = shape.last_mut().filter(|width| **width >= 0) else { return Ok(()) };
    *width = last(*width);
    context.set_output(output, &ValueType::Tensor { ty, shape, dimension_symbols })
}

/// What is wrong with a part of a node.
pub(super) fn refused(node: &str, operator: &str, part: &str, wanted: &str, got: &str) -> ort::Error {
    ort::Error::new(format!(
        "node {node} ({operator}): {part}: wanted {wanted}, got {got} \
         (`--provider-option kernels=false` leaves it to ONNX Runtime)"
    ))
}

/// Does something for ONNX Runtime, which a panic must not reach.
pub(super) fn guarded<T>(node: &str, work: impl FnOnce() -> ort::Result<T>) -> ort::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(panicked(node, &*panic)))
}

fn panicked(node: &str, panic: &(dyn Any + Send)) -> ort::Error {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ort::Error::new(format!("node {node}: {}: report this", said.unwrap_or("a panic")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_panic_becomes_an_error() {
        let error = super::guarded::<()>("layer.product", || panic!("out of {}", "bounds")).unwrap_err();
        assert!(error.to_string().contains("node layer.product: out of bounds"), "{error}");
        assert_eq!(super::guarded("layer.product", || Ok(7)).unwrap(), 7);
    }
}
