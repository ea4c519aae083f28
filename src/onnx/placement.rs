//! The provider of each node of a graph: a node that fell back to the CPU is an error.

use super::raw::Placed;
use crate::error::{Error, Result};

/// The provider that takes the nodes that no other takes.
const CPU: &str = "CPUExecutionProvider";

/// How the names of nodes begin that compute sizes and positions, as the exporter writes them. ONNX Runtime keeps such nodes
/// on the CPU on purpose: sizes are there, and they are a few whole numbers. `session.disable_cpu_ep_fallback` would refuse
/// them, so it cannot replace this check.
const SIZES: [&str; 6] = [
    "batch_and_sequence",
    "shape_",
    "position.",
    "length.",
    "vision_model.embeddings.tiles",
    "vision_model.embeddings.class_shape",
];

/// Refuses a graph with a node on none of `providers`.
///
/// # Errors
/// [`Error::Runtime`] naming the first such node, the provider that runs it, and how many more there are.
pub(super) fn check(graph: &str, placed: &[Placed], providers: &[&str]) -> Result<()> {
    let elsewhere = |node: &&Placed| !providers.contains(&node.provider.as_str()) && !of_sizes(node);
    let mut astray = placed.iter().filter(elsewhere);
    match astray.next() {
        None => Ok(()),
        Some(node) => Err(Error::runtime(
            format!("{graph}: node {} ({})", node.name, node.operator),
            format!("to run on {}", providers.join(" or ")),
            format!("{}, as do {} more of {} nodes", node.provider, astray.count(), placed.len()),
        )
        .hint("there is no kernel for it there: use the versions that docs/gpu.md names")),
    }
}

fn of_sizes(node: &Placed) -> bool {
    node.provider == CPU && SIZES.iter().any(|name| node.name.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::Runtime;
    use crate::onnx::raw;

    fn node(name: &str, provider: &str) -> Placed {
        Placed { name: name.into(), operator: "MatMul".into(), provider: provider.into() }
    }

    #[test]
    fn a_node_that_fell_back_is_named() {
        let cuda = "CUDAExecutionProvider";
        let mut placed = vec![node("lm_head", cuda), node("shape_64", CPU), node("position.range", CPU)];
        check("decoder.onnx", &placed, &[cuda]).unwrap();
        check("decoder.onnx", &placed, &["TensorrtExecutionProvider", cuda]).unwrap();
        placed.extend([node("layers.0.mlp.up_proj", CPU), node("layers.1.mlp.up_proj", CPU)]);
        let error = check("decoder.onnx", &placed, &[cuda]).unwrap_err().to_string();
        let parts = ["decoder.onnx: node layers.0.mlp.up_proj (MatMul)", cuda, CPU, "1 more of 5 nodes"];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        // sizes belong to the CPU or to the provider, and nowhere else
        check("decoder.onnx", &[node("shape_64", "AzureExecutionProvider")], &[cuda]).unwrap_err();
    }

    #[test]
    fn the_nodes_of_a_real_graph_are_where_they_are() {
        let runtime = Runtime::load(None).unwrap();
        let graph = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo/decoder.onnx");
        let session =
            super::super::graph::placement_builder(&runtime).unwrap().commit_from_file(graph).unwrap();
        let placed = raw::placement(&session).unwrap();
        assert!(placed.len() > 20 && placed.iter().all(|node| node.provider == CPU), "{placed:?}");
        check("decoder.onnx", &placed, &[CPU]).unwrap();
        let error = check("decoder.onnx", &placed, &["CUDAExecutionProvider"]).unwrap_err().to_string();
        assert!(placed.iter().any(|node| node.name == "shape_192"), "{placed:?}");
        assert!(!error.contains("shape_192") && error.contains("decoder.onnx: node "), "{error}");
        // the nodes that compute are checked
        let attention = placed.iter().find(|node| node.operator == "GroupQueryAttention");
        assert!(attention.is_some_and(|node| node.name.contains("self_attn")), "{placed:?}");
    }
}
