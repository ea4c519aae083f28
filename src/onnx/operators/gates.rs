//! `fleming::SwiGLU`: the gate of a feed-forward layer. The exporter writes it as a function of ONNX's own operators, which ONNX
//! Runtime takes where this kernel is not registered.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput, ShapeInferenceContext,
};
use ort::value::TensorElementType;

use super::nodes::{guarded, refused};
use super::pool::{Pool, Resources};
use crate::kernels;

const NAME: &str = "SwiGLU";

pub(super) struct SwiGlu {
    pub(super) resources: Resources,
}

impl Operator for SwiGlu {
    type Kernel<'attr> = Gate;

    fn name(&self) -> &str {
        NAME
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [(); 2].map(|()| OperatorInput::required(TensorElementType::Float32))
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        guarded(NAME, || {
            let Some(gates) = context.inputs().into_iter().next() else { return Ok(()) };
            context.set_output(0, &gates)
        })
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Gate> {
        Ok(Gate { node: context.node_name()?, resources: self.resources })
    }
}

/// A node.
pub(super) struct Gate {
    node: String,
    resources: Resources,
}

impl Kernel for Gate {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        guarded(&self.node, || Self::run(self, context))
    }
}

impl Gate {
    fn run(&self, context: &ComputeContext) -> ort::Result<()> {
        let wrong = |wanted: &str, got: String| refused(&self.node, NAME, "inputs", wanted, &got);
        let (Some(gates), Some(values)) = (context.input(0)?, context.input(1)?) else {
            return Err(wrong("a gate and values", "less".into()));
        };
        let (shape, gates) = gates.try_extract_tensor::<f32>()?;
        let (value_shape, values) = values.try_extract_tensor::<f32>()?;
        if shape != value_shape {
            return Err(wrong("as many gates as values", format!("{shape:?} and {value_shape:?}")));
        }
        let mut out = context.output(0, shape.clone())?.ok_or_else(|| ort::Error::new("no output"))?;
        let (_, out) = out.try_extract_tensor_mut::<f32>()?;
        let threads = Pool::new(context, self.resources);
        kernels::gate(self.resources.instructions, (gates, values), out, &threads);
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

    fn node(operator: &str, inputs: [&str; 2], output: &str) -> Message {
        inputs
            .iter()
            .fold(Message::default(), |node, name| node.text(1, name))
            .text(2, output)
            .text(4, operator)
    }

    /// The function as the exporter writes it.
    fn function() -> Message {
        let sigmoid = Message::default().text(1, "gate").text(2, "sigmoid").text(4, "Sigmoid");
        let function = Message::default().text(1, "SwiGLU").text(4, "gate").text(4, "up").text(5, "product");
        let function = function.message(7, sigmoid).message(7, node("Mul", ["gate", "sigmoid"], "silu"));
        let function = function.message(7, node("Mul", ["silu", "up"], "product"));
        function.message(9, opset("", 17)).text(10, "fleming")
    }

    fn graph(operators: OwnOperators) -> Graph {
        let model = Model {
            node: node("SwiGLU", ["gates", "values"], "out").text(3, "layer.gate").text(7, "fleming"),
            constants: Vec::new(),
            functions: vec![function()],
            inputs: ["gates", "values"].map(|name| (name, FLOAT, vec![0, 24])).into(),
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
    fn gates_are_those_of_the_function() {
        for rows in [1, 3, 2000] {
            let [own, theirs] =
                [OwnOperators::all(Instructions::here()), OwnOperators::NONE].map(|operators| {
                    let mut graph = graph(operators);
                    bind(&mut graph, "gates", rows, 20.0);
                    bind(&mut graph, "values", rows, 3.0);
                    let [out] = graph.run([("out", Destination::Host)]).unwrap();
                    out.to_vec().unwrap()
                });
            for (own, theirs) in own.iter().zip(&theirs) {
                // ONNX Runtime's sigmoid is off by up to 1e-7, for gates of 20 and values of 3
                assert!((own - theirs).abs() <= 1e-5 + 4e-7 * theirs.abs(), "{own} {theirs}");
            }
        }
    }

    #[test]
    fn other_sizes_are_refused() {
        let mut graph = graph(OwnOperators::all(Instructions::here()));
        bind(&mut graph, "gates", 2, 1.0);
        bind(&mut graph, "values", 3, 1.0);
        let error = graph.run([("out", Destination::Host)]).err().unwrap().to_string();
        assert!(error.contains("layer.gate (SwiGLU): inputs: wanted as many gates as values"), "{error}");
    }
}
