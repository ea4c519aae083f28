//! Graphs of one attention, by this crate and by ONNX Runtime.

use ndarray::{Array, Array1, ArrayD, IxDyn};

use crate::kernels::Instructions;
use crate::onnx::operators::OwnOperators;
use crate::onnx::operators::model::{FLOAT, INT32, Message, Model, attribute, constant, floats, opset, raw};
use crate::onnx::{Destination, Graph, Tensor};

/// This crate's, and ONNX Runtime's.
fn both() -> [OwnOperators; 2] {
    [OwnOperators::all(Instructions::here()), OwnOperators::NONE]
}

/// A node of ONNX Runtime's own operators.
fn node(operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, usize)]) -> Message {
    let node = inputs.iter().fold(Message::default(), |node, name| node.text(1, name));
    let node = outputs.iter().fold(node, |node, name| node.text(2, name));
    let node = node.text(3, "layer.attention").text(4, operator).text(7, "com.microsoft");
    attributes.iter().fold(node, |node, (name, number)| node.message(5, attribute(name, *number as u64)))
}

fn numbers(sizes: &[usize]) -> ArrayD<f32> {
    Array::from_shape_vec(IxDyn(sizes), floats(sizes.iter().product(), 2.0)).unwrap()
}

fn bind(graph: &mut Graph, name: &str, numbers: ArrayD<f32>) {
    graph.bind_input(name, &Tensor::new(numbers).unwrap()).unwrap();
}

fn same(own: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(own.len(), theirs.len(), "{what}");
    let far = own.iter().zip(theirs).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(theirs.iter().any(|number| *number != 0.0) && far < 1e-5, "{what}: {far}");
}

#[test]
fn all_tokens_see_one_another_as_in_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    for (heads, size, batch, positions) in [(3, 16, 2, 70), (2, 64, 1, 5), (1, 20, 1, 1)] {
        let sizes = || vec![0, 0, heads * size];
        let inputs = ["query", "key", "value"];
        let model = Model {
            node: node("MultiHeadAttention", &inputs, &["out"], &[("num_heads", heads)]),
            constants: Vec::new(),
            functions: Vec::new(),
            inputs: inputs.map(|name| (name, FLOAT, sizes())).into(),
            outputs: vec![("out", FLOAT, sizes())],
            inferred: true,
        };
        let [own, theirs] = both().map(|operators| {
            let mut graph = model.open(folder.path(), operators).unwrap();
            for (place, name) in inputs.into_iter().enumerate() {
                // not the same ones for all three
                bind(&mut graph, name, numbers(&[batch, positions, heads * size]) * (1.0 + place as f32));
            }
            let [out] = graph.run([("out", Destination::Host)]).unwrap();
            out.to_vec().unwrap()
        });
        same(&own, &theirs, &format!("{heads} {size} {batch} {positions}"));
    }
}

/// The function as the exporter writes it.
fn self_attention() -> Message {
    let parts = ["q", "k", "v"];
    let split = parts.iter().fold(Message::default().text(1, "qkv"), |node, part| node.text(2, part));
    let axis = attribute("axis", 2);
    let split = split.text(4, "Split").message(5, axis).message(5, attribute("num_outputs", 3));
    let heads = Message::default().text(1, "num_heads").text(21, "num_heads").number(20, 2);
    let attention = node("MultiHeadAttention", &parts, &["out"], &[]).message(5, heads);
    let function = Message::default().text(1, "SelfAttention").text(4, "qkv").text(5, "out");
    let function = function.text(6, "num_heads").message(7, split).message(7, attention);
    function.message(9, opset("", 20)).message(9, opset("com.microsoft", 1)).text(10, "fleming")
}

#[test]
fn what_one_product_makes_is_attended_to_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    for (heads, size, batch, positions) in [(3, 16, 2, 70), (2, 64, 1, 5), (1, 20, 1, 1), (16, 64, 1, 1025)] {
        let width = heads * size;
        let node = Message::default().text(1, "qkv").text(2, "out").text(3, "layer.attention");
        let node = node.text(4, "SelfAttention").text(7, "fleming");
        let model = Model {
            node: node.message(5, attribute("num_heads", heads as u64)),
            constants: Vec::new(),
            functions: vec![self_attention()],
            inputs: vec![("qkv", FLOAT, vec![0, 0, 3 * width])],
            outputs: vec![("out", FLOAT, vec![0, 0, width])],
            inferred: true,
        };
        let [own, theirs] = both().map(|operators| {
            let mut graph = model.open(folder.path(), operators).unwrap();
            bind(&mut graph, "qkv", numbers(&[batch, positions, 3 * width]));
            let [out] = graph.run([("out", Destination::Host)]).unwrap();
            out.to_vec().unwrap()
        });
        same(&own, &theirs, &format!("{heads} {size} {batch} {positions}"));
    }
}

/// Heads, those of keys, numbers of a head; conversations, positions of a slot.
struct Sizes {
    heads: [usize; 2],
    size: usize,
    batch: usize,
    capacity: usize,
}

fn cached(sizes: &Sizes) -> Model {
    let Sizes { heads, size, capacity, .. } = *sizes;
    let attributes = [("num_heads", heads[0]), ("kv_num_heads", heads[1]), ("do_rotary", 1)];
    let table = |name: &str, function: fn(f32) -> f32| {
        let pairs = size / 2;
        let angle = |place: usize| (place / pairs) as f32 / (1 + place % pairs) as f32;
        let numbers: Vec<f32> = (0..capacity * pairs).map(|place| function(angle(place))).collect();
        constant(name, FLOAT, &[capacity as u64, pairs as u64], &raw(&numbers))
    };
    let inputs = ["new", "", "", "past_key", "past_value", "seqlens_k", "total", "cos", "sin"];
    let cache = || vec![0, heads[1], capacity, size];
    Model {
        node: node("GroupQueryAttention", &inputs, &["out", "key", "value"], &attributes),
        constants: vec![table("cos", f32::cos), table("sin", f32::sin)],
        functions: Vec::new(),
        inputs: vec![
            ("new", FLOAT, vec![0, 0, (heads[0] + 2 * heads[1]) * size]),
            ("past_key", FLOAT, cache()),
            ("past_value", FLOAT, cache()),
            ("seqlens_k", INT32, vec![0]),
            ("total", INT32, vec![1]),
        ],
        outputs: vec![
            ("out", FLOAT, vec![0, 0, heads[0] * size]),
            ("key", FLOAT, cache()),
            ("value", FLOAT, cache()),
        ],
        inferred: false,
    }
}

/// Runs some new positions; what comes out is compared as far as it means something.
fn step(graph: &mut Graph, sizes: &Sizes, positions: usize, lengths: &[usize]) -> [Vec<f32>; 3] {
    let Sizes { heads, size, batch, capacity } = *sizes;
    bind(graph, "new", numbers(&[batch, positions, (heads[0] + 2 * heads[1]) * size]));
    for name in ["past_key", "past_value"] {
        bind(graph, name, numbers(&[batch, heads[1], capacity, size]));
    }
    let lasts: Array1<i32> = lengths.iter().map(|length| *length as i32 - 1).collect();
    graph.bind_input("seqlens_k", &Tensor::new(lasts).unwrap()).unwrap();
    let longest = lengths.iter().max().unwrap();
    graph.bind_input("total", &Tensor::new(Array1::from_elem(1, *longest as i32)).unwrap()).unwrap();
    let outputs = ["out", "key", "value"].map(|name| (name, Destination::Host));
    graph.run(outputs).unwrap().map(|tensor| tensor.to_vec().unwrap())
}

#[test]
fn a_cache_is_attended_to_as_in_onnx_runtime() {
    let folder = tempfile::tempdir().unwrap();
    for (heads, size, positions, lengths) in [
        ([6, 2], 16, 1, vec![30, 1, 64]),
        ([4, 4], 64, 1, vec![77]),
        ([7, 1], 64, 40, vec![40]),
        ([4, 2], 32, 9, vec![50]),
    ] {
        let sizes = Sizes { heads, size, batch: lengths.len(), capacity: 80 };
        let model = cached(&sizes);
        let [own, theirs] = both().map(|operators| {
            let mut graph = model.open(folder.path(), operators).unwrap();
            step(&mut graph, &sizes, positions, &lengths)
        });
        let what = format!("{heads:?} {size} {positions} {lengths:?}");
        same(&own[0], &theirs[0], &what);
        // beyond a conversation's end the cache is nobody's
        for (own, theirs) in own[1..].iter().zip(&theirs[1..]) {
            for (row, length) in lengths.iter().flat_map(|length| vec![*length; heads[1]]).enumerate() {
                let slot = row * sizes.capacity * size..row * sizes.capacity * size + length * size;
                same(&own[slot.clone()], &theirs[slot], &what);
            }
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = Sizes { heads: [2, 1], size: 16, batch: 1, capacity: 80 };
    let mut graph = cached(&sizes).open(folder.path(), OwnOperators::all(Instructions::here())).unwrap();
    for (positions, length) in [(3, 2), (1, 81), (1, 0)] {
        bind(&mut graph, "new", numbers(&[1, positions, 64]));
        for name in ["past_key", "past_value"] {
            bind(&mut graph, name, numbers(&[1, 1, 80, 16]));
        }
        graph.bind_input("seqlens_k", &Tensor::new(Array1::from_elem(1, length - 1)).unwrap()).unwrap();
        graph.bind_input("total", &Tensor::new(Array1::from_elem(1, length)).unwrap()).unwrap();
        let outputs = ["out", "key", "value"].map(|name| (name, Destination::Host));
        let error = graph.run(outputs).err().unwrap().to_string();
        assert!(
            error.contains("layer.attention") && error.contains("seqlens_k: wanted 1 lengths from"),
            "{error}"
        );
    }
}
