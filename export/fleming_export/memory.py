"""How much memory a package needs, by formula: weights, keys and values, and what a run works with.

    weights    size of both data files
    packing    ONNX Runtime rearranges products in blocks into memory of its own while their scales stay
               mapped: on the CPU 4 bytes for each block of 8-bit levels, 8 for each of 4-bit levels
    KV         2 * layers * KV heads * head width * bytes of a value * context
    work       new positions * (position_bytes + score_bytes * context) + tiles * tile_bytes
               + slots * logits_bytes
    base       base_bytes

``work_json`` makes the figures of the last two lines, and nothing else does: they are written into
``fleming.json`` as ``work``, beside ``packing_bytes``, and the runtime (``src/engine/memory.rs``) and this
module take them from there. The measured peak of a run and the sum are compared in export/README.md;
``quality peak PACKAGE`` measures one.
"""

from __future__ import annotations

from pathlib import Path

from .arch.internvl import decoder_graph, vision_graph
from .config import ModelConfig, read_config
from .package import CHUNK, MOST_SLOTS, MOST_TILES, kv_json
from .recipe import TARGETS, Recipe, fit, make_recipe

#: ONNX Runtime, the graphs, the tokenizer
BASE = 150_000_000
FLOAT = 4
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


def work_json(config: ModelConfig, target: str) -> dict:
    """The ``work`` of ``fleming.json``: what runs of both graphs take in float32, of which ONNX Runtime gives
    nothing back.

    A new position takes the two widest rows of the MLP, the residual stream thrice, and queries and what
    attention makes of them; on the CPU also its scores, for which ONNX Runtime takes room for the whole
    context. A tile takes on the CPU the widest rows of the tower twice and the scores of its attention; a GPU
    takes several tiles at once in 16 bits, the stream six times and no scores. ``positions`` is for TensorRT:
    an engine always has room for all positions of its profile. Elsewhere a run has as many as it reads."""
    language, vision = config.language, config.vision
    widths = 2 * language.intermediate + 3 * language.hidden + 2 * language.attention_width
    tokens = 1 + vision.grid**2
    if target == "cpu":
        tile = 2 * tokens * vision.intermediate + vision.heads * tokens**2
    else:
        tile = tokens * (vision.intermediate + 3 * vision.hidden)
    return {
        "base_bytes": BASE,
        "position_bytes": FLOAT * widths,
        "score_bytes": FLOAT * language.heads if target == "cpu" else 0,
        "positions": CHUNK * MOST_SLOTS if target == "tensorrt" else None,
        "tiles": 1 if target == "cpu" else MOST_TILES,
        "tile_bytes": FLOAT * tile,
        "logits_bytes": FLOAT * language.vocabulary,
    }


def work_bytes(work: dict, context: int) -> int:
    """What runs of one conversation take, by the ``work`` of ``fleming.json``, the base left out."""
    positions = work["positions"] or min(CHUNK, context)
    chunk = positions * (work["position_bytes"] + work["score_bytes"] * context)
    return chunk + work["tiles"] * work["tile_bytes"] + work["logits_bytes"]


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
    files = manifest["files"]
    # packages of version 0.1.0 may have been made before the figures were written
    work = manifest.get("work") or work_json(read_config(manifest["source"]["config"]), manifest["target"])
    return {
        "weights": sum(files[f"{name}.onnx.data"]["bytes"] for name in ("vision", "decoder")),
        "packing": (manifest["quantization"] or {"packing_bytes": 0})["packing_bytes"],
        "kv": kv_bytes(manifest["kv"], context),
        "work": work_bytes(work, context),
        "base": work["base_bytes"],
    }


def needed_by(config: ModelConfig, recipe: Recipe, context: int) -> dict[str, int]:
    """The same for a package that has not been made."""
    made = fit(recipe, config)
    kv = kv_json(config.language, made)
    work = work_json(config, made.target)
    return {
        "weights": sum(data_bytes(config, made).values()),
        "packing": packing_bytes(config, made),
        "kv": kv_bytes(kv, context),
        "work": work_bytes(work, context),
        "base": work["base_bytes"],
    }


def available_bytes() -> int | None:
    """Memory that may be taken without pushing anything out, the limit of a container included; None where
    the system does not tell."""
    text = _read("/proc/meminfo")
    found = [line.split()[1] for line in text.splitlines() if line.startswith("MemAvailable:")]
    if not found:
        return None
    machine = int(found[0]) * 1024
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if not (limit.isdigit() and used.isdigit()):
        return machine
    # files that were read count as used until the memory is needed for something else
    facts = dict(line.split() for line in _read("/sys/fs/cgroup/memory.stat").splitlines())
    files = sum(int(facts.get(name, 0)) for name in ("active_file", "inactive_file"))
    return min(machine, max(int(limit) - max(int(used) - files, 0), 0))


def _read(path: str) -> str:
    """A small file of the system; empty where there is none."""
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""


def print_table(sizes: list[str]) -> None:
    """Markdown: gigabytes by size and precision, for some lengths of the context."""
    from .synthetic.sizes import config_json

    print("| model | target and precision | weights | " + " | ".join(f"context {n}" for n in CONTEXTS) + " |")
    print("|---|---|---|" + "---|" * len(CONTEXTS))
    for size in sizes:
        config = read_config(config_json(size, 151674))
        for target, precision in ROWS:
            needs = [needed_by(config, make_recipe(target, precision), n) for n in CONTEXTS]
            cells = [needs[0]["weights"] / 1e9, *(sum(parts.values()) / 1e9 for parts in needs)]
            print(f"| {size} | {target} {precision} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |")
