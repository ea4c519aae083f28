//! `com.microsoft::MultiHeadAttention` and `com.microsoft::GroupQueryAttention` with this crate's own arithmetic, in the forms
//! that the exporter writes, and `fleming::SelfAttention`, its function of ONNX Runtime's operators: the former, of queries, keys and
//! values as one product makes them.

use ort::operator::ShapeInferenceContext;
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::{Shape, TensorElementType};

use super::nodes::{Node, apart_from, guarded, infer_sizes, refused};
use super::pool::{Pool, Resources};
use crate::kernels::{self, Attention, Cached, Heads, Rotation, Sight};

const CACHED: &str = "GroupQueryAttention";

/// Where queries, keys and values of all heads are. All tokens see one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    /// Each is an input, `[batch, positions, width]`.
    Inputs,
    /// They stand side by side in one input, `[batch, positions, 3 * width]`.
    Columns,
}

impl Apart {
    fn operator(self) -> &'static str {
        match self {
            Self::Inputs => "MultiHeadAttention",
            Self::Columns => "SelfAttention",
        }
    }

    /// Tensors, and how many of the three each has.
    fn inputs(self) -> [usize; 2] {
        match self {
            Self::Inputs => [3, 1],
            Self::Columns => [1, 3],
        }
    }
}

/// Attention without a cache.
pub(super) struct OpenAttention {
    pub(super) apart: Apart,
    pub(super) resources: Resources,
}

impl Operator for OpenAttention {
    type Kernel<'attr> = Open;

    fn name(&self) -> &str {
        self.apart.operator()
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let [count, _] = self.apart.inputs();
        (0..count).map(|_| OperatorInput::required(TensorElementType::Float32))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        guarded(self.name(), || {
            let [_, share] = self.apart.inputs();
            infer_sizes(context, 0, |width| width / share as i64)
        })
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Open> {
        let name = context.node_name()?;
        guarded(&name, || {
            let node = Node { name: &name, operator: self.apart.operator(), context };
            let heads = node.size("num_heads")?;
            Ok(Open { apart: self.apart, heads, resources: self.resources, node: name.clone() })
        })
    }
}

/// A node without a cache.
pub(super) struct Open {
    node: String,
    apart: Apart,
    heads: usize,
    resources: Resources,
}

impl Kernel for Open {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        guarded(&self.node, || Self::run(self, context))
    }
}

impl Open {
    fn run(&self, context: &ComputeContext) -> ort::Result<()> {
        let wrong =
            |wanted: &str, got: String| refused(&self.node, self.apart.operator(), "inputs", wanted, &got);
        let [count, share] = self.apart.inputs();
        let inputs: Vec<_> = (0..count).map(|place| context.input(place)).collect::<ort::Result<_>>()?;
        let inputs: Vec<_> =
            inputs.iter().flatten().map(|one| one.try_extract_tensor::<f32>()).collect::<ort::Result<_>>()?;
        let shapes: Vec<_> = inputs.iter().map(|(shape, _)| *shape).collect();
        let sizes =
            shapes.first().filter(|first| shapes.len() == count && shapes.iter().all(|one| one == *first));
        let Some(&[batch, positions, stride]) = sizes.map(|shape| &shape[..]) else {
            return Err(wrong("queries, keys and values, [batch, positions, width]", format!("{shapes:?}")));
        };
        if !(stride as usize).is_multiple_of(share * self.heads) {
            return Err(wrong(&format!("a width of {} heads", share * self.heads), format!("{shapes:?}")));
        }
        let width = stride / share as i64;
        let shape: Shape = [batch, positions, width].into_iter().collect();
        let mut out = context.output(0, shape)?.ok_or_else(|| ort::Error::new("no output"))?;
        let (_, out) = out.try_extract_tensor_mut::<f32>()?;
        if out.is_empty() {
            return Ok(());
        }
        let [batch, positions, stride, width] = [batch, positions, stride, width].map(|size| size as usize);
        let size = width / self.heads;
        let heads = |place: usize| Heads {
            numbers: match self.apart {
                Apart::Inputs => inputs[place].1,
                Apart::Columns => &inputs[0].1[place * width..],
            },
            batch: positions * stride,
            stride,
            between: size,
        };
        let attention = Attention {
            queries: heads(0),
            keys: heads(1),
            values: heads(2),
            heads: [self.heads; 2],
            size,
            positions,
            lengths: &vec![positions; batch],
            sight: Sight::All,
        };
        kernels::attend(self.resources.instructions, attention, out, &Pool::new(context, self.resources));
        Ok(())
    }
}

/// Attention over a KV cache that is bound as past and as present, with heads turned by their positions.
pub(super) struct GroupQueryAttention {
    pub(super) resources: Resources,
}

/// The inputs of a node by their places: 1 and 2 are left out, for keys and values stand behind the queries.
const NEW: usize = 0;
const PAST: [usize; 2] = [3, 4];
const LASTS: usize = 5;
const TABLES: [usize; 2] = [7, 8];

impl Operator for GroupQueryAttention {
    type Kernel<'attr> = Grouped;

    fn name(&self) -> &str {
        CACHED
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        use TensorElementType::{Float32, Int32};
        [
            OperatorInput::required(Float32),
            OperatorInput::optional(Float32),
            OperatorInput::optional(Float32),
            OperatorInput::required(Float32),
            OperatorInput::required(Float32),
            OperatorInput::required(Int32),
            OperatorInput::required(Int32),
            OperatorInput::required(Float32),
            OperatorInput::required(Float32),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [(); 3].map(|()| OperatorOutput::required(TensorElementType::Float32))
    }

    fn infer_shape(&self, _context: &mut ShapeInferenceContext) -> ort::Result<()> {
        // what follows does not depend on it, and the graph states the sizes of its outputs
        Ok(())
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Grouped> {
        let name = context.node_name()?;
        guarded(&name, || {
            let node = Node { name: &name, operator: CACHED, context };
            let heads = [node.size("num_heads")?, node.size("kv_num_heads")?];
            node.attribute("do_rotary", &[1])?;
            if !Attention::takes(heads) {
                return Err(node.refused("num_heads", "a multiple of kv_num_heads", &format!("{heads:?}")));
            }
            Ok(Grouped { heads, resources: self.resources, node: name.clone() })
        })
    }
}

/// Attention with a cache.
pub(super) struct Grouped {
    node: String,
    heads: [usize; 2],
    resources: Resources,
}

impl Kernel for Grouped {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        guarded(&self.node, || Self::run(self, context))
    }
}

/// The sizes of a run with a cache.
struct Sizes {
    batch: usize,
    positions: usize,
    capacity: usize,
    size: usize,
}

impl Grouped {
    fn wrong(&self, part: &str, wanted: &str, got: &str) -> ort::Error {
        refused(&self.node, CACHED, part, wanted, got)
    }

    /// What the new positions and the cache say of themselves.
    fn sizes(&self, new: &[i64], cache: &[i64]) -> ort::Result<Sizes> {
        let known = |size: &i64| usize::try_from(*size).ok();
        let sizes = new.iter().chain(cache).map(known).collect::<Option<Vec<_>>>();
        match sizes.as_deref() {
            Some(&[batch, positions, width, slots, kv_heads, capacity, size])
                if slots == batch
                    && kv_heads == self.heads[1]
                    && width == (self.heads[0] + 2 * self.heads[1]) * size =>
            {
                Ok(Sizes { batch, positions, capacity, size })
            }
            _ => Err(self.wrong("query", "sizes that fit the cache", &format!("{new:?}, {cache:?}"))),
        }
    }

    fn run(&self, context: &ComputeContext) -> ort::Result<()> {
        let missing = || self.wrong("inputs", "all that the exporter writes", "less");
        let input = |place: usize| context.input(place).and_then(|found| found.ok_or_else(missing));
        let [new, past_keys, past_values] = [input(NEW)?, input(PAST[0])?, input(PAST[1])?];
        let [lasts, cosines, sines] = [input(LASTS)?, input(TABLES[0])?, input(TABLES[1])?];
        let (shape, new) = new.try_extract_tensor::<f32>()?;
        let cache_shape = past_keys.shape().clone();
        let Sizes { batch, positions, capacity, size } = self.sizes(shape, &cache_shape)?;
        let (cosines, sines) = (cosines.try_extract_tensor::<f32>()?.1, sines.try_extract_tensor::<f32>()?.1);
        let length = |last: &i32| usize::try_from(i64::from(*last) + 1).unwrap_or(0);
        let lengths: Vec<usize> = lasts.try_extract_tensor::<i32>()?.1.iter().map(length).collect();
        let most = capacity.min(cosines.len().min(sines.len()) / (size / 2).max(1));
        if lengths.len() != batch || !lengths.iter().all(|length| (positions..=most).contains(length)) {
            let wanted = format!("{batch} lengths from {positions} to {most}");
            return Err(self.wrong("seqlens_k", &wanted, &format!("{lengths:?}")));
        }
        let none = || ort::Error::new("no output");
        let sizes = [batch, positions, self.heads[0] * size].map(|size| size as i64);
        let mut out = context.output(0, sizes.into_iter().collect::<Shape>())?.ok_or_else(none)?;
        let mut keys = context.output(1, cache_shape.clone())?.ok_or_else(none)?;
        let mut values = context.output(2, cache_shape.clone())?.ok_or_else(none)?;
        for (present, past) in [(&mut keys, &past_keys), (&mut values, &past_values)] {
            // bound to the same memory, unless somebody else runs the graph
            let present = present.try_extract_tensor_mut::<f32>()?.1;
            if let Some(past) = apart_from(past, present)? {
                present.copy_from_slice(past);
            }
        }
        let cached = Cached {
            new,
            keys: keys.try_extract_tensor_mut::<f32>()?.1,
            values: values.try_extract_tensor_mut::<f32>()?.1,
            rotation: Rotation { cosines, sines },
            heads: self.heads,
            size,
            positions,
            capacity,
            lengths: &lengths,
        };
        let out = out.try_extract_tensor_mut::<f32>()?.1;
        kernels::attend_cached(self.resources.instructions, cached, out, &Pool::new(context, self.resources));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
