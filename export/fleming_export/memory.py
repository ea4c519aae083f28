"""How much memory a package needs, by formula: weights, keys and values, and what a run works with.

    weights    size of both data files
    packing    ONNX Runtime rearranges products in blocks into memory of its own while their scales stay
               mapped: on the CPU 4 bytes for each block of 8-bit levels, 8 for each of 4-bit levels
    KV         2 * layers * KV heads * head width * bytes of a value * context
    work       in float32: 512 new positions (the two widest rows of the MLP, the residual stream thrice,
               queries and what attention makes of them, and on the CPU its scores, for which ONNX Runtime
               takes room for the whole context), one tile in the vision tower (its widest rows twice, and
               the scores of its attention), and the logits. A GPU takes 12 tiles in 16 bits, the stream six
               times and no scores; an engine of TensorRT has room for all positions of its profile
    base       ONNX Runtime, the graphs, the tokenizer: 150 MB

The runtime reckons by the same formula, for its slots and chunks, in ``src/engine/memory.rs``; it finds
``packing`` in ``fleming.json``. The measured peak of a run and this figure are compared in the README;
``quality peak PACKAGE`` measures one.
"""

from __future__ import annotations

from .arch.internvl import decoder_graph, vision_graph
from .config import ModelConfig, read_config
from .package import CHUNK, MOST_SLOTS, MOST_TILES
from .recipe import TARGETS, Recipe, fit, make_recipe

BASE = 150_000_000
#: what ONNX Runtime's CPU kernels add for each block of levels, by their bits
PACKING = {4: 8, 8: 4}
#: Outputs and inputs of a MatMulNBits, and what its blocks are.
BLOCKWISE = ("N", "K", "bits", "block_size")
VALUE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
CONTEXTS = (4096, 8192, 32768)
ROWS = [(target, precision) for target in ("cpu", "cuda") for precision in TARGETS[target]]


def data_bytes(config: ModelConfig, recipe: Recipe) -> dict[str, int]:
    """Sizes of the data files of a package, without making one."""
    made, graphs = fit(recipe, config), {"vision": vision_graph, "decoder": decoder_graph}
    return {name: build(config, made).data_bytes() for name, build in graphs.items()}


def kv_bytes(kv: dict, context: int) -> int:
    """Keys and values of a conversation, by the ``kv`` of ``fleming.json``."""
    return 2 * kv["layers"] * kv["heads"] * kv["head_dim"] * VALUE_BYTES[kv["dtype"]] * context


def work_bytes(config: ModelConfig, target: str, context: int) -> int:
    """What runs of both graphs work with, of which ONNX Runtime gives nothing back, and the logits."""
    language, vision = config.language, config.vision
    widths = 2 * language.intermediate + 3 * language.hidden + 2 * language.attention_width
    tokens = 1 + vision.grid**2
    if target == "cpu":
        widths += language.heads * context
        seen = 2 * tokens * vision.intermediate + vision.heads * tokens**2
    else:
        seen = MOST_TILES * tokens * (vision.intermediate + 3 * vision.hidden)
    new = CHUNK * MOST_SLOTS if target == "tensorrt" else min(CHUNK, context)
    return 4 * (new * widths + seen + language.vocabulary)


def quantization_json(config: ModelConfig, recipe: Recipe) -> dict | None:
    """The ``quantization`` of ``fleming.json``."""
    if not recipe.quantized:
        return None
    return {**recipe.as_json(), "packing_bytes": packing_bytes(config, recipe)}


def packing_bytes(config: ModelConfig, recipe: Recipe) -> int:
    """What the products in blocks take besides their files."""
    if recipe.target != "cpu":
        return 0
    graphs = vision_graph(config, recipe), decoder_graph(config, recipe)
    products = [node for graph in graphs for node in graph.nodes if node.op_type == "MatMulNBits"]
    facts = [{name: node.attributes[name].as_int() for name in BLOCKWISE} for node in products]
    return sum(f["N"] * -(-f["K"] // f["block_size"]) * PACKING[f["bits"]] for f in facts)


def needed(manifest: dict, context: int) -> dict[str, int]:
    """The parts of the formula for a package, in bytes."""
    config, files = read_config(manifest["source"]["config"]), manifest["files"]
    data = {name: files[f"{name}.onnx.data"]["bytes"] for name in ("vision", "decoder")}
    return {
        "weights": sum(data.values()),
        "packing": (manifest["quantization"] or {"packing_bytes": 0})["packing_bytes"],
        "kv": kv_bytes(manifest["kv"], context),
        "work": work_bytes(config, manifest["target"], context),
        "base": BASE,
    }


def print_table(sizes: list[str]) -> None:
    """Markdown: gigabytes by size and precision, for some lengths of the context."""
    from .synthetic.sizes import config_json

    print("| model | target and precision | weights | " + " | ".join(f"context {n}" for n in CONTEXTS) + " |")
    print("|---|---|---|" + "---|" * len(CONTEXTS))
    for size in sizes:
        config = read_config(config_json(size, 151674))
        for target, precision in ROWS:
            recipe = fit(make_recipe(target, precision), config)
            kv = {
                "layers": config.language.layers,
                "heads": config.language.kv_heads,
                "head_dim": config.language.head_dim,
                "dtype": recipe.activation,
            }
            data = data_bytes(config, recipe)
            weights = sum(data.values())
            rest = weights + packing_bytes(config, recipe) + BASE
            needs = (rest + kv_bytes(kv, n) + work_bytes(config, target, n) for n in CONTEXTS)
            cells = [weights / 1e9, *(size / 1e9 for size in needs)]
            print(f"| {size} | {target} {precision} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |")
