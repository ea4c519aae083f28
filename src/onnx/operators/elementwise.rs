//! `fleming::SwiGLU` and `fleming::GELU`: what feed-forward layers do number by number, in place where ONNX Runtime lets them. The
//! exporter writes both as functions of ONNX's own operators, which ONNX Runtime takes where these kernels are not registered.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput, ShapeInferenceContext,
};
use ort::value::TensorElementType;

use super::nodes::{apart_from, guarded, infer_sizes, refused};
use super::pool::{Pool, Resources};
use crate::kernels::{self, Function};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elementwise {
    /// Of a gate and values.
    SwiGlu,
    /// Of one input.
    Gelu,
}

impl Elementwise {
    pub(super) const ALL: [Self; 2] = [Self::SwiGlu, Self::Gelu];

    fn name(self) -> &'static str {
        match self {
            Self::SwiGlu => "SwiGLU",
            Self::Gelu => "GELU",
        }
    }
}

pub(super) struct ElementwiseOperator {
    pub(super) function: Elementwise,
    pub(super) resources: Resources,
}

impl Operator for ElementwiseOperator {
    type Kernel<'attr> = Numbers;

    const INPLACES: &[(u32, u32)] = &[(0, 0)];

    fn name(&self) -> &str {
        self.function.name()
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let count = if self.function == Elementwise::SwiGlu { 2 } else { 1 };
        (0..count).map(|_| OperatorInput::required(TensorElementType::Float32))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        guarded(self.name(), || infer_sizes(context, 0, |width| width))
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Numbers> {
        Ok(Numbers { node: context.node_name()?, function: self.function, resources: self.resources })
    }
}

/// A node.
pub(super) struct Numbers {
    node: String,
    function: Elementwise,
    resources: Resources,
}

impl Kernel for Numbers {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        guarded(&self.node, || Self::run(self, context))
    }
}

impl Numbers {
    fn run(&self, context: &ComputeContext) -> ort::Result<()> {
        let wrong =
            |wanted: &str, got: String| refused(&self.node, self.function.name(), "inputs", wanted, &got);
        let missing = || wrong("all of them", "less".into());
        let numbers = context.input(0)?.ok_or_else(missing)?;
        let values = match self.function {
            Elementwise::SwiGlu => Some(context.input(1)?.ok_or_else(missing)?),
            Elementwise::Gelu => None,
        };
        let shape = numbers.try_extract_tensor::<f32>()?.0.clone();
        let function = match &values {
            Some(values) => {
                let (value_shape, values) = values.try_extract_tensor::<f32>()?;
                if shape != *value_shape {
                    return Err(wrong("as many gates as values", format!("{shape:?} and {value_shape:?}")));
                }
                Function::SwiGlu(values)
            }
            None => Function::Gelu,
        };
        let mut out = context.output(0, shape)?.ok_or_else(|| ort::Error::new("no output"))?;
        let (_, out) = out.try_extract_tensor_mut::<f32>()?;
        let numbers = apart_from(&numbers, out)?;
        let threads = Pool::new(context, self.resources);
        kernels::apply(self.resources.instructions, function, numbers, out, &threads);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::OwnOperators;
    use super::super::model::{FLOAT, Message, Model, floats, opset};
    use crate::kernels::Instructions;
    use crate::onnx::{Destination, Graph, Tensor};

    fn node(operator: &str, inputs: &[&str], output: &str) -> Message {
        let node = inputs.iter().fold(Message::default(), |node, name| node.text(1, name));
        node.text(2, output).text(4, operator)
    }

    /// The functions as the exporter writes them.
    fn functions() -> Vec<Message> {
        let swiglu = Message::default().text(1, "SwiGLU").text(4, "gate").text(4, "up").text(5, "product");
        let swiglu = swiglu.message(7, node("Sigmoid", &["gate"], "sigmoid"));
        let swiglu = swiglu.message(7, node("Mul", &["gate", "sigmoid"], "silu"));
        let swiglu = swiglu.message(7, node("Mul", &["silu", "up"], "product"));
        let gelu = Message::default().text(1, "GELU").text(4, "x").text(5, "y");
        let gelu = gelu.message(7, node("Gelu", &["x"], "y"));
        [swiglu, gelu].map(|function| function.message(9, opset("", 20)).text(10, "fleming")).into()
    }

    fn graph(operator: &str, inputs: &[&'static str], operators: OwnOperators) -> Graph {
        let model = Model {
            node: node(operator, inputs, "out").text(3, "layer.act").text(7, "fleming"),
            constants: Vec::new(),
            functions: functions(),
            inputs: inputs.iter().map(|name| (*name, FLOAT, vec![0, 24])).collect(),
            outputs: vec![("out", FLOAT, vec![0, 24])],
            inferred: true,
        };
        let folder = tempfile::tempdir().unwrap();
        model.open(folder.path(), operators).unwrap()
    }

    fn bind(graph: &mut Graph, name: &str, rows: usize, most: f32) {
        let numbers = Array2::from_shape_vec((rows, 24), floats(rows * 24, most)).unwrap();
        graph.bind_input(name, &Tensor::new(numbers).unwrap()).unwrap();
    }

    #[test]
    fn results_are_those_of_the_functions() {
        for (operator, inputs) in [("SwiGLU", &["numbers", "values"][..]), ("GELU", &["numbers"])] {
            for rows in [1, 3, 2000] {
                let [own, theirs] =
                    [OwnOperators::all(Instructions::here()), OwnOperators::NONE].map(|operators| {
                        let mut graph = graph(operator, inputs, operators);
                        for (name, most) in inputs.iter().zip([20.0, 3.0]) {
                            bind(&mut graph, name, rows, most);
                        }
                        let [out] = graph.run([("out", Destination::Host)]).unwrap();
                        out.to_vec().unwrap()
                    });
                for (own, theirs) in own.iter().zip(&theirs) {
                    // ONNX Runtime's sigmoid is off by up to 1e-7, for gates of 20 and values of 3
                    assert!((own - theirs).abs() <= 1e-5 + 4e-7 * theirs.abs(), "{operator}: {own} {theirs}");
                }
            }
        }
    }

    #[test]
    fn other_sizes_are_refused() {
        let mut graph = graph("SwiGLU", &["numbers", "values"], OwnOperators::all(Instructions::here()));
        bind(&mut graph, "numbers", 2, 1.0);
        bind(&mut graph, "values", 3, 1.0);
        let error = graph.run([("out", Destination::Host)]).err().unwrap().to_string();
        assert!(error.contains("layer.act (SwiGLU): inputs: wanted as many gates as values"), "{error}");
    }
}
