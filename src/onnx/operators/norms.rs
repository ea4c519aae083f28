//! `com.microsoft::SkipLayerNormalization` and `com.microsoft::SkipSimplifiedLayerNormalization` with this crate's own arithmetic: the
//! sum of two streams, and its norm, in place where ONNX Runtime lets them.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput, ShapeInferenceContext,
};
use ort::value::{TensorElementType, ValueRef};

use super::nodes::{Node, apart_from, guarded, infer_sizes, refused};
use super::pool::{Pool, Resources};
use crate::kernels::{self, Norm, Streams};
use crate::onnx::raw;

/// The inputs and outputs of a node by their places, in the order of its schema.
const BRANCH: usize = 0;
const RESIDUAL: usize = 1;
const WEIGHT: usize = 2;
const NORMS: usize = 0;
const MEANS: usize = 1;
const DEVIATIONS: usize = 2;
const SUMS: usize = 3;

/// Added to the mean of squares where a node does not say, by the schema.
const EPSILON: f32 = 1e-12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of what a row's values are from their mean.
    Layer,
    /// Of the values themselves: a root mean square.
    Simplified,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Layer, Self::Simplified];

    fn operator(self) -> &'static str {
        match self {
            Self::Layer => "SkipLayerNormalization",
            Self::Simplified => "SkipSimplifiedLayerNormalization",
        }
    }

    /// Where what is added to the norms stands, and what is added to the sums.
    fn biases(self) -> [Option<usize>; 2] {
        match self {
            Self::Layer => [Some(3), Some(4)],
            Self::Simplified => [None, Some(3)],
        }
    }
}

pub(super) struct SkipNorm {
    pub(super) kind: Kind,
    pub(super) resources: Resources,
}

impl Operator for SkipNorm {
    type Kernel<'attr> = Row;

    const INPLACES: &[(u32, u32)] = &[(BRANCH as u32, NORMS as u32), (RESIDUAL as u32, SUMS as u32)];

    fn name(&self) -> &str {
        self.kind.operator()
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let optional = self.kind.biases().into_iter().flatten().count();
        let needed = [(); 3].map(|()| OperatorInput::required(TensorElementType::Float32));
        needed.into_iter().chain((0..optional).map(|_| OperatorInput::optional(TensorElementType::Float32)))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        let optional = || OperatorOutput::optional(TensorElementType::Float32);
        [OperatorOutput::required(TensorElementType::Float32), optional(), optional(), optional()]
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        guarded(self.name(), || {
            infer_sizes(context, NORMS, |width| width)?;
            // not every node has them
            let _ = infer_sizes(context, SUMS, |width| width);
            Ok(())
        })
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Row> {
        let name = context.node_name()?;
        guarded(&name, || {
            let node = Node { name: &name, operator: self.kind.operator(), context };
            for place in [MEANS, DEVIATIONS] {
                if raw::has_output(context, place)? {
                    return Err(node.refused("outputs", "norms and sums", "means or deviations too"));
                }
            }
            let epsilon = context.get::<f32>("epsilon").unwrap_or(EPSILON);
            Ok(Row { kind: self.kind, epsilon, resources: self.resources, node: name.clone() })
        })
    }
}

/// A node.
pub(super) struct Row {
    node: String,
    kind: Kind,
    epsilon: f32,
    resources: Resources,
}

impl Kernel for Row {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        guarded(&self.node, || Self::run(self, context))
    }
}

impl Row {
    fn run(&self, context: &ComputeContext) -> ort::Result<()> {
        let wrong =
            |wanted: &str, got: String| refused(&self.node, self.kind.operator(), "inputs", wanted, &got);
        let missing = || wrong("two streams and a weight", "less".into());
        let input = |place: usize| context.input(place).and_then(|found| found.ok_or_else(missing));
        let (branch, residual, weight) = (input(BRANCH)?, input(RESIDUAL)?, input(WEIGHT)?);
        let biases = self.kind.biases().map(|place| place.map_or(Ok(None), |place| context.input(place)));
        let [bias, sum_bias] = biases;
        let (bias, sum_bias) = (bias?, sum_bias?);
        let (bias, sum_bias) = (optional(bias.as_ref())?, optional(sum_bias.as_ref())?);
        let (_, weight) = weight.try_extract_tensor::<f32>()?;
        let shapes = (branch.shape().clone(), residual.shape().clone());
        let width = shapes.0.last().and_then(|width| usize::try_from(*width).ok());
        let fits = |numbers: &[f32]| Some(numbers.len()) == width;
        if shapes.0 != shapes.1 || ![Some(weight), bias, sum_bias].into_iter().flatten().all(fits) {
            let wanted = "two streams of the same sizes, and as many weights as a row has values";
            return Err(wrong(wanted, format!("{shapes:?} and {}", weight.len())));
        }
        let mut norms =
            context.output(NORMS, shapes.0.clone())?.ok_or_else(|| ort::Error::new("no output"))?;
        let (_, norms) = norms.try_extract_tensor_mut::<f32>()?;
        if norms.is_empty() {
            return Ok(());
        }
        let mut sums = context.output(SUMS, shapes.0)?;
        let mut spare = Vec::new();
        let sums = match &mut sums {
            Some(sums) => sums.try_extract_tensor_mut::<f32>()?.1,
            None => {
                spare.resize(norms.len(), 0.0);
                &mut spare[..]
            }
        };
        let streams = Streams {
            branch: apart_from(&branch, norms)?,
            residual: apart_from(&residual, sums)?,
            bias: sum_bias,
        };
        let norm = Norm { centred: self.kind == Kind::Layer, epsilon: self.epsilon, weight, bias };
        let threads = Pool::new(context, self.resources);
        kernels::add_and_norm(self.resources.instructions, streams, norm, (sums, norms), &threads);
        Ok(())
    }
}

fn optional<'a>(value: Option<&'a ValueRef<'_>>) -> ort::Result<Option<&'a [f32]>> {
    Ok(value.map(|value| value.try_extract_tensor::<f32>()).transpose()?.map(|(_, numbers)| numbers))
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::OwnOperators;
    use super::super::model::{FLOAT, Message, Model, constant, floats, raw};
    use crate::kernels::Instructions;
    use crate::onnx::{Destination, Graph, Tensor};

    const WIDTH: usize = 24;

    fn graph(operator: &str, rows: &[&str], sums: bool, operators: OwnOperators) -> Graph {
        let node =
            ["branch", "residual"].iter().chain(rows).fold(Message::default(), |node, at| node.text(1, at));
        let outputs: &[&str] = if sums { &["norms", "", "", "sums"] } else { &["norms"] };
        let node = outputs.iter().fold(node, |node, name| node.text(2, name));
        let epsilon = Message::default().text(1, "epsilon").float(2, 1e-6).number(20, 1);
        let sizes = || vec![0, WIDTH];
        let numbers = |name| constant(name, FLOAT, &[WIDTH as u64], &raw(&floats(WIDTH, 2.0)));
        let model = Model {
            node: node.text(3, "layer.norm").text(4, operator).text(7, "com.microsoft").message(5, epsilon),
            constants: rows.iter().filter(|name| !name.is_empty()).map(|name| numbers(name)).collect(),
            functions: Vec::new(),
            inputs: ["branch", "residual"].map(|name| (name, FLOAT, sizes())).into(),
            outputs: [("norms", FLOAT, sizes()), ("sums", FLOAT, sizes())][..if sums { 2 } else { 1 }]
                .to_vec(),
            inferred: true,
        };
        let folder = tempfile::tempdir().unwrap();
        model.open(folder.path(), operators).unwrap()
    }

    fn bind(graph: &mut Graph, name: &str, rows: usize, most: f32) {
        let numbers = Array2::from_shape_vec((rows, WIDTH), floats(rows * WIDTH, most)).unwrap();
        graph.bind_input(name, &Tensor::new(numbers).unwrap()).unwrap();
    }

    #[test]
    fn norms_and_sums_are_those_of_onnx_runtime() {
        let forms: [(&str, &[&str]); 5] = [
            ("SkipLayerNormalization", &["weight", "bias"]),
            ("SkipLayerNormalization", &["weight"]),
            ("SkipLayerNormalization", &["weight", "bias", "sum_bias"]),
            ("SkipSimplifiedLayerNormalization", &["weight"]),
            ("SkipSimplifiedLayerNormalization", &["weight", "sum_bias"]),
        ];
        for (operator, weights) in forms {
            for (rows, sums) in [(1, true), (3, false), (2000, true)] {
                let [own, theirs] =
                    [OwnOperators::all(Instructions::here()), OwnOperators::NONE].map(|operators| {
                        let mut graph = graph(operator, weights, sums, operators);
                        bind(&mut graph, "branch", rows, 2.0);
                        bind(&mut graph, "residual", rows, 3.0);
                        if !sums {
                            let [norms] = graph.run([("norms", Destination::Host)]).unwrap();
                            return norms.to_vec().unwrap();
                        }
                        let outputs = [("norms", Destination::Host), ("sums", Destination::Host)];
                        let [norms, sums] = graph.run(outputs).unwrap();
                        [norms.to_vec().unwrap(), sums.to_vec().unwrap()].concat()
                    });
                assert_eq!(own.len(), theirs.len());
                for (own, theirs) in own.iter().zip(&theirs) {
                    assert!((own - theirs).abs() < 1e-5, "{operator} {weights:?} {rows}: {own} {theirs}");
                }
            }
        }
    }

    #[test]
    fn streams_of_other_sizes_are_refused() {
        let operators = OwnOperators::all(Instructions::here());
        let mut graph = graph("SkipLayerNormalization", &["weight"], true, operators);
        bind(&mut graph, "branch", 2, 1.0);
        bind(&mut graph, "residual", 3, 1.0);
        let outputs = [("norms", Destination::Host), ("sums", Destination::Host)];
        let error = graph.run(outputs).err().unwrap().to_string();
        assert!(error.contains("layer.norm (SkipLayerNormalization): inputs: wanted two streams"), "{error}");
    }
}
