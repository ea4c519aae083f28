"""What cards can do by their makers' data sheets, and what a model asks of them: the two sides of a bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx
    from fleming_export.config import ModelConfig

#: name as `nvidia-smi` tells it, without the maker's -> (dense bf16 products, FLOP/s; memory, bytes/s), both
#: as published: of figures "with sparsity" the half. A card that is not here is not guessed at.
CARDS = {
    "GH200 480GB": (989.5e12, 4.0e12),
    "H200": (989.5e12, 4.8e12),
    "H200 NVL": (835.5e12, 4.8e12),
    "H100 80GB HBM3": (989.5e12, 3.35e12),
    "H100 NVL": (835.5e12, 3.9e12),
    "H100 PCIe": (756e12, 2.0e12),
    "A100-SXM4-80GB": (312e12, 2.039e12),
    "A100 80GB PCIe": (312e12, 1.935e12),
    "A100-SXM4-40GB": (312e12, 1.555e12),
    "A100-PCIE-40GB": (312e12, 1.555e12),
    "A30": (165e12, 0.933e12),
    "A10": (125e12, 0.6e12),
    "L40S": (362e12, 0.864e12),
    "L40": (181e12, 0.864e12),
    "L4": (121e12, 0.3e12),
    "GeForce RTX 4090": (165e12, 1.008e12),
}
#: What the bars are stated for.
OF_THE_BARS = "H200"

EMBEDDING = "language_model.model.embed_tokens.weight"
#: Of these a step reads a row: the table of embeddings, what belongs to it, and the tables of the rotation.
READ_BY_ROW = (EMBEDDING, "rotary.")


def card(name: str | None) -> dict:
    """Peak and bandwidth of a card, null with the reason where they are not known."""
    if name is None:
        return {"name": None, "flops": None, "bandwidth": None, "why": "no GPU was found"}
    known = CARDS.get(name.removeprefix("NVIDIA ").strip())
    if known is None:
        why = f"{name} is not among the cards of cards.py: add its published figures"
        return {"name": name, "flops": None, "bandwidth": None, "why": why}
    return {"name": name, "flops": known[0], "bandwidth": known[1], "why": None}


def tile_flops(config: ModelConfig) -> int:
    """Floating-point operations of one tile's matrix products, two for each multiplication with addition."""
    vision, hidden = config.vision, config.language.hidden
    width, patches = vision.hidden, vision.grid**2
    tokens = 1 + patches
    patching = patches * width * 3 * vision.patch_size**2
    # queries, keys, values and the projection behind them; both halves of the MLP; scores and their use
    layer = tokens * (4 * width**2 + 2 * width * vision.intermediate) + 2 * tokens**2 * width
    wide = config.shuffle**2 * width
    projector = config.tokens_per_tile * (wide * hidden + hidden**2)
    return 2 * (patching + vision.layers * layer + projector)


def package_facts(package: Path) -> dict:
    """Bytes of a package, of its weights, and of those that a step reads; a tile's operations."""
    import onnx  # which the first step may have to bring
    from fleming_export.config import read_config

    manifest = json.loads((package / "fleming.json").read_text(encoding="utf-8"))
    files = manifest["files"]
    weights = sum(files[f"{graph}.onnx.data"]["bytes"] for graph in ("vision", "decoder"))
    graph = onnx.load(package / "decoder.onnx", load_external_data=False).graph
    tied = not any(tensor.name.startswith("language_model.lm_head") for tensor in graph.initializer)
    return {
        "precision": manifest["precision"],
        "target": manifest["target"],
        "activations": manifest["kv"]["dtype"],
        "padding": manifest.get("padding"),
        "bytes": sum(path.stat().st_size for path in package.iterdir()),
        "weight_bytes": weights,
        "bytes_of_a_step": sum(_length(tensor) for tensor in graph.initializer if _is_read(tensor, tied)),
        "tile_flops": tile_flops(read_config(manifest["source"]["config"])),
    }


def _is_read(tensor: onnx.TensorProto, tied: bool) -> bool:  # noqa: FBT001
    """Whether a step reads all of a weight; a tied head reads the whole table."""
    return not tensor.name.startswith(READ_BY_ROW[tied:])


def _length(tensor: onnx.TensorProto) -> int:
    """Bytes in the data file; constants inside the graph are a handful."""
    return next((int(entry.value) for entry in tensor.external_data if entry.key == "length"), 0)
