//! Graphs of one node, written by hand as ONNX has them.

use std::fs;
use std::path::Path;

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;
use serde_json::{Value, json};

use super::OwnOperators;
use crate::error::Result;
use crate::onnx::{Device, Graph, GraphOptions, Runtime};
use crate::watch::Watch;

/// A message of Protocol Buffers.
#[derive(Default, Clone)]
pub(super) struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, mut number: u64) -> Self {
        while number > 127 {
            self.0.push(number as u8 | 128);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    pub(super) fn number(self, field: u64, number: u64) -> Self {
        self.varint(field << 3).varint(number)
    }

    pub(super) fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        let mut message = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        message.0.extend(bytes);
        message
    }

    pub(super) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn float(self, field: u64, number: f32) -> Self {
        let mut message = self.varint(field << 3 | 5);
        message.0.extend(number.to_le_bytes());
        message
    }

    pub(super) fn message(self, field: u64, inner: Self) -> Self {
        self.bytes(field, &inner.0)
    }
}

pub(super) const FLOAT: u64 = 1;
pub(super) const UINT8: u64 = 2;
pub(super) const INT32: u64 = 6;

/// An input or an output of the graph: its name, its type, its sizes. A size of 0 stands for any number.
pub(super) type Outlet = (&'static str, u64, Vec<usize>);

/// A graph of one node.
pub(super) struct Model {
    pub(super) node: Message,
    pub(super) constants: Vec<Message>,
    /// What nodes without a kernel are made of.
    pub(super) functions: Vec<Message>,
    pub(super) inputs: Vec<Outlet>,
    pub(super) outputs: Vec<Outlet>,
    /// Whether the graph leaves it to ONNX Runtime to find out the sizes of its outputs.
    pub(super) inferred: bool,
}

impl Model {
    fn bytes(&self) -> Vec<u8> {
        let mut graph = Message::default().message(1, self.node.clone()).text(2, "graph");
        for constant in &self.constants {
            graph = graph.message(5, constant.clone());
        }
        for (field, outlets) in [(11, &self.inputs), (12, &self.outputs)] {
            for one in outlets {
                graph = graph.message(
                    field,
                    if self.inferred && field == 12 { unsized_outlet(one) } else { outlet(one) },
                );
            }
        }
        let model = Message::default().number(1, 8).message(7, graph).message(8, opset("", 20));
        let model = model.message(8, opset("com.microsoft", 1)).message(8, opset("fleming", 1));
        self.functions.iter().fold(model, |model, function| model.message(25, function.clone())).0
    }

    /// The graph, opened with some operators.
    pub(super) fn open(&self, folder: &Path, operators: OwnOperators) -> Result<Graph> {
        let path = folder.join("graph.onnx");
        fs::write(&path, self.bytes()).unwrap();
        let tensor = |(name, kind, sizes): &Outlet| {
            let shape = sizes.iter().enumerate().map(|(place, size)| match size {
                0 => json!(format!("any_{place}")),
                size => json!(size),
            });
            let dtype = if *kind == FLOAT { "float32" } else { "int32" };
            json!({"name": name, "dtype": dtype, "shape": shape.collect::<Vec<Value>>()})
        };
        let all = |outlets: &[Outlet]| outlets.iter().map(tensor).collect::<Vec<Value>>();
        let contract =
            json!({"file": "graph.onnx", "inputs": all(&self.inputs), "outputs": all(&self.outputs)});
        let device = Device::parse("cpu", &[]).unwrap();
        let options =
            GraphOptions { device, threads: Some(2), operators, ranges: None, watch: Watch::default() };
        let runtime = Runtime::load(None).unwrap();
        Graph::open(&runtime, &path, &serde_json::from_value(contract).unwrap(), &options)
    }
}

/// A set of operators of some version.
pub(super) fn opset(domain: &str, version: u64) -> Message {
    Message::default().text(1, domain).number(2, version)
}

pub(super) fn attribute(name: &str, number: u64) -> Message {
    Message::default().text(1, name).number(3, number).number(20, 2)
}

pub(super) fn constant(name: &str, kind: u64, sizes: &[u64], bytes: &[u8]) -> Message {
    let sized = sizes.iter().fold(Message::default(), |message, size| message.number(1, *size));
    sized.number(2, kind).text(8, name).bytes(9, bytes)
}

fn outlet((name, kind, sizes): &Outlet) -> Message {
    let shape = sizes.iter().enumerate().fold(Message::default(), |shape, (place, size)| {
        let dimension = match size {
            0 => Message::default().text(2, &format!("any_{place}")),
            size => Message::default().number(1, *size as u64),
        };
        shape.message(1, dimension)
    });
    typed(name, Message::default().number(1, *kind).message(2, shape))
}

fn unsized_outlet((name, kind, _): &Outlet) -> Message {
    typed(name, Message::default().number(1, *kind))
}

fn typed(name: &str, tensor: Message) -> Message {
    Message::default().text(1, name).message(2, Message::default().message(1, tensor))
}

/// Numbers between −`most` and `most`, always the same ones.
pub(super) fn floats(count: usize, most: f32) -> Vec<f32> {
    let mut random = Pcg32::new(13, 17);
    (0..count).map(|_| (random.next_u32() as f32 / u32::MAX as f32).mul_add(2.0, -1.0) * most).collect()
}

pub(super) fn raw(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
