//! Graphs of one product, by this crate and by ONNX Runtime.

use ndarray::Array2;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

use crate::kernels::Instructions;
use crate::onnx::operators::OwnOperators;
use crate::onnx::operators::model::{FLOAT, INT32, Message, Model, UINT8, attribute, constant, floats, raw};
use crate::onnx::{Destination, Graph, Tensor};

/// A product with a weight in blocks.
#[derive(Debug, Clone, Copy)]
struct Case {
    bits: usize,
    block: usize,
    inputs: usize,
    outputs: usize,
    zeros: bool,
    bias: bool,
}

const CASE: Case = Case { bits: 4, block: 32, inputs: 96, outputs: 24, zeros: true, bias: false };

/// A graph of one product.
fn model(case: &Case) -> Model {
    let mut random = Pcg32::new(7, 11);
    let blocks = case.inputs.div_ceil(case.block);
    let mut bytes = |count: usize| (0..count).map(|_| random.next_u32() as u8).collect::<Vec<_>>();
    let levels = bytes(case.outputs * blocks * case.block * case.bits / 8);
    let zeros = bytes(case.outputs * (blocks * case.bits).div_ceil(8));
    let scales = floats(case.outputs * blocks, 0.01);
    let width = (case.block * case.bits / 8) as u64;
    let [rows, blocks_] = [case.outputs as u64, blocks as u64];
    let mut constants = vec![
        constant("levels", UINT8, &[rows, blocks_, width], &levels),
        constant("scales", FLOAT, &[rows * blocks_], &raw(&scales)),
    ];
    let mut node = Message::default().text(1, "rows").text(1, "levels").text(1, "scales");
    if case.zeros || case.bias {
        node = node.text(1, if case.zeros { "zeros" } else { "" });
    }
    if case.zeros {
        constants.push(constant("zeros", UINT8, &[zeros.len() as u64], &zeros));
    }
    if case.bias {
        node = node.text(1, "").text(1, "bias");
        constants.push(constant("bias", FLOAT, &[rows], &raw(&floats(case.outputs, 1.0))));
    }
    node = node.text(2, "products").text(3, "layer.product").text(4, "MatMulNBits").text(7, "com.microsoft");
    let numbers = [
        ("K", case.inputs),
        ("N", case.outputs),
        ("bits", case.bits),
        ("block_size", case.block),
        ("accuracy_level", 4),
    ];
    for (name, number) in numbers {
        node = node.message(5, attribute(name, number as u64));
    }
    let (inputs, outputs) = (vec![0, case.inputs], vec![0, case.outputs]);
    Model {
        node,
        constants,
        functions: Vec::new(),
        inputs: vec![("rows", FLOAT, inputs)],
        outputs: vec![("products", FLOAT, outputs)],
        inferred: true,
    }
}

fn run(graph: &mut Graph, rows: Array2<f32>) -> Vec<f32> {
    graph.bind_input("rows", &Tensor::new(rows).unwrap()).unwrap();
    let [out] = graph.run([("products", Destination::Host)]).unwrap();
    out.to_vec().unwrap()
}

/// The error of a graph that does not open.
/// Why a graph is not opened.
fn refusal(model: &Model) -> String {
    let folder = tempfile::tempdir().unwrap();
    model.open(folder.path(), OwnOperators::all(Instructions::here())).err().unwrap().to_string()
}

#[test]
fn products_are_those_of_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let here = Instructions::ALL.into_iter().filter(|instructions| instructions.are_here());
    for bits in [4, 8] {
        for block in [32, 64, 128, 256] {
            for (zeros, bias) in [(false, false), (bits == 4, false), (false, true), (bits == 4, true)] {
                // two and a half blocks
                let case = Case { bits, block, zeros, bias, inputs: 5 * block / 2, ..CASE };
                let model = model(&case);
                let mut theirs = model.open(folder.path(), OwnOperators::NONE).unwrap();
                let mut all: Vec<_> = here
                    .clone()
                    .map(|instructions| {
                        let operators = OwnOperators::all(instructions);
                        (instructions, model.open(folder.path(), operators).unwrap())
                    })
                    .collect();
                for rows in [1, 2, 7] {
                    let numbers = floats(rows * case.inputs, 3.0);
                    let rows = Array2::from_shape_vec((rows, case.inputs), numbers).unwrap();
                    let wanted = run(&mut theirs, rows.clone());
                    let size = wanted.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
                    for (instructions, own) in &mut all {
                        let found = run(own, rows.clone());
                        assert_eq!(found.len(), wanted.len());
                        let far = found.iter().zip(&wanted).map(|(one, other)| (one - other).abs());
                        let far = far.fold(0.0, f32::max) / size;
                        // activations in bfloat16 and in 8 bits are not the same
                        let most = if *instructions == Instructions::Amx { 1e-2 } else { 1e-5 };
                        assert!(size > 0.1 && far < most, "{instructions:?} {case:?}: {far}");
                    }
                }
            }
        }
    }
}

#[test]
fn no_rows_give_no_products() {
    let folder = tempfile::tempdir().unwrap();
    let mut graph = model(&CASE).open(folder.path(), OwnOperators::all(Instructions::here())).unwrap();
    assert!(run(&mut graph, Array2::zeros((0, CASE.inputs))).is_empty());
}

#[test]
fn a_node_that_the_kernel_does_not_compute_is_named() {
    let mut weightless = model(&CASE);
    weightless.constants.remove(0);
    weightless.inputs.push(("levels", UINT8, vec![CASE.outputs, 48]));
    let mut short = model(&CASE);
    short.constants[1] = constant("scales", FLOAT, &[71], &raw(&floats(71, 0.01)));
    let mut ordered = model(&CASE);
    ordered.node = ordered.node.text(1, "groups");
    ordered.constants.push(constant("groups", INT32, &[96], &[0; 4 * 96]));
    for (model, parts) in [
        (ordered, ["g_idx: wanted none", "got an order of the inputs"]),
        (weightless, ["B: wanted a constant of [24, 3, 16]", "not constant"]),
        (short, ["scales: wanted [24, 3]", "71"]),
        (model(&Case { bits: 8, ..CASE }), ["zero_points: wanted none for 8 bits", "got some"]),
        (model(&Case { bits: 2, ..CASE }), ["bits: wanted 4 or 8", "got 2"]),
        (model(&Case { block: 48, ..CASE }), ["block_size: wanted 32 or 64", "got 48"]),
    ] {
        let error = refusal(&model);
        assert!(
            error.contains("node layer.product (MatMulNBits)") && error.contains("kernels=false"),
            "{error}"
        );
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}
