//! `com.microsoft::MultiHeadAttention` and `com.microsoft::GroupQueryAttention` with this crate's own arithmetic, in the forms
//! that the exporter writes.

use ort::operator::ShapeInferenceContext;
use ort::operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::{Shape, TensorElementType};

use super::nodes::{Node, guarded, refused};
use super::pool::{Pool, Resources};
use crate::kernels::{self, Attention, Cached, Heads, Rotation, Sight};

const OPEN: &str = "MultiHeadAttention";
const CACHED: &str = "GroupQueryAttention";

/// Queries, keys and values of all heads next to one another: all tokens see one another.
pub(super) struct MultiHeadAttention {
    pub(super) resources: Resources,
}

impl Operator for MultiHeadAttention {
    type Kernel<'attr> = Open;

    fn name(&self) -> &str {
        OPEN
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [(); 3].map(|()| OperatorInput::required(TensorElementType::Float32))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        guarded(self.name(), || {
            let Some(queries) = context.inputs().into_iter().next() else { return Ok(()) };
            context.set_output(0, &queries)
        })
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Open> {
        let name = context.node_name()?;
        guarded(&name, || {
            let node = Node { name: &name, operator: OPEN, context };
            Ok(Open { heads: node.size("num_heads")?, resources: self.resources, node: name.clone() })
        })
    }
}

/// Attention without a cache.
pub(super) struct Open {
    node: String,
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
        let wrong = |wanted: &str, got: String| refused(&self.node, OPEN, "query", wanted, &got);
        let [queries, keys, values] = [0, 1, 2].map(|place| context.input(place));
        let (Some(queries), Some(keys), Some(values)) = (queries?, keys?, values?) else {
            return Err(wrong("queries, keys and values", "less".into()));
        };
        let (shape, queries) = queries.try_extract_tensor::<f32>()?;
        let (key_shape, keys) = keys.try_extract_tensor::<f32>()?;
        let (value_shape, values) = values.try_extract_tensor::<f32>()?;
        let &[batch, positions, width] = &shape[..] else {
            return Err(wrong("[batch, positions, width]", format!("{shape:?}")));
        };
        if key_shape != shape || value_shape != shape || !(width as usize).is_multiple_of(self.heads) {
            return Err(wrong(
                "queries, keys and values of the same sizes",
                format!("{shape:?}, {key_shape:?}"),
            ));
        }
        let [batch, positions, width] = [batch, positions, width].map(|size| size as usize);
        let mut out = context.output(0, shape.clone())?.ok_or_else(|| ort::Error::new("no output"))?;
        let (_, out) = out.try_extract_tensor_mut::<f32>()?;
        let size = width / self.heads;
        let heads = |numbers| Heads { numbers, batch: positions * width, stride: width, between: size };
        let attention = Attention {
            queries: heads(queries),
            keys: heads(keys),
            values: heads(values),
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
            let before = past.try_extract_tensor::<f32>()?.1.as_ptr() as usize;
            let present = present.try_extract_tensor_mut::<f32>()?.1;
            if present.as_ptr() as usize != before {
                present.copy_from_slice(past.try_extract_tensor::<f32>()?.1);
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
