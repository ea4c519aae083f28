"""InternViT, the 300M and the 6B tower: pixels to one vector per patch."""

from __future__ import annotations

import onnx_ir as ir

from ..config import VisionConfig
from ..graph import GraphBuilder
from ..layers import (
    add,
    add_and_norm,
    gelu,
    linear,
    linear_without_bias,
    norm,
    self_attention,
    stream,
)

PREFIX = "vision_model."


def vision_tower(g: GraphBuilder, pixels: ir.Value, config: VisionConfig) -> ir.Value:
    """[tiles, 3, S, S] -> [tiles, grid * grid, C], rows of patches from the top left, no class token."""
    patches, width = config.grid**2, config.hidden
    x = _embeddings(g, pixels, config)  # [tiles, 1 + patches, C]
    x = g.rows(f"{PREFIX}embeddings.rows", x, "vectors", width)  # [tiles * (1 + patches), C]
    x = stream(g, x, f"{PREFIX}embeddings.typed")
    y = norm(g, x, f"{PREFIX}encoder.layers.0.norm1", config)
    for layer in range(config.layers):
        name, after = f"{PREFIX}encoder.layers.{layer}.", f"{PREFIX}encoder.layers.{layer + 1}."
        y = _scaled(g, _attention(g, y, f"{name}attn.", config), f"{name}ls1", width)
        x, y = add_and_norm(g, (x, y), f"{name}norm2", config)
        y = _scaled(g, _mlp(g, y, f"{name}mlp.", config), f"{name}ls2", width)
        if layer == config.layers - 1:
            x = add(g, x, y, f"{name}sum")
        else:
            x, y = add_and_norm(g, (x, y), f"{after}norm1", config)
    x = g.op("Reshape", f"{PREFIX}tiles", x, g.ints(-1, 1 + patches, width))
    bounds = g.ints(1), g.ints(1 + patches), g.ints(1)
    return g.op("Slice", f"{PREFIX}drop_class_token", x, *bounds)  # from 1 to 1 + patches of axis 1


def _embeddings(g: GraphBuilder, pixels: ir.Value, config: VisionConfig) -> ir.Value:
    """[tiles, 3, S, S] -> [tiles, 1 + patches, C] float32: class token first, position table added to all."""
    name, width, side, grid = f"{PREFIX}embeddings.", config.hidden, config.patch_size, config.grid
    patches = grid**2
    # no patch overlaps another, so the convolution is a product: one kernel the less, and no cuDNN on a GPU
    weight = g.exact(f"{name}patch_embedding.weight", width, 3, side, side)
    weight = g.op("Reshape", f"{name}patch_embedding.flat", weight, g.ints(width, 3 * side * side))
    bias = g.exact(f"{name}patch_embedding.bias", width)
    x = g.op("Reshape", f"{name}grid", pixels, g.ints(-1, 3, grid, side, grid, side))
    x = g.op("Transpose", f"{name}by_patch", x, perm=[0, 2, 4, 1, 3, 5])  # [tiles, grid, grid, 3, side, side]
    x = g.op("Reshape", f"{name}patches", x, g.ints(-1, 3 * side * side))
    x = g.op("Gemm", f"{name}patch_embedding", x, weight, bias, transB=1)  # [tiles * patches, C]
    x = g.op("Reshape", f"{name}by_tile", x, g.ints(-1, patches, width))
    tiles = g.op("Shape", f"{name}tiles", pixels, start=0, end=1)
    shape = g.op("Concat", f"{name}class_shape", tiles, g.ints(1, width), axis=0)
    class_token = g.op("Expand", f"{name}class_token", g.exact(f"{name}class_embedding", 1, 1, width), shape)
    x = g.op("Concat", f"{name}concat", class_token, x, axis=1)
    table = g.exact(f"{name}position_embedding", 1, 1 + patches, width)
    return g.op("Add", f"{name}add_position", x, table)


def _scaled(g: GraphBuilder, y: ir.Value, name: str, width: int) -> ir.Value:
    """What a branch adds to the residual stream, value by value: [rows, C] -> same."""
    return g.op("Mul", name, y, g.parameter(name, width))


def _mlp(g: GraphBuilder, x: ir.Value, name: str, config: VisionConfig) -> ir.Value:
    """[rows, C] -> [rows, C]."""
    width, inner = config.hidden, config.intermediate
    y = gelu(g, linear(g, x, f"{name}fc1", width, inner), f"{name}act")
    return linear(g, y, f"{name}fc2", inner, width)


def _attention(g: GraphBuilder, x: ir.Value, name: str, config: VisionConfig) -> ir.Value:
    """All patches of a tile see one another: [rows, C] -> [rows, C]."""
    width, tokens = config.hidden, 1 + config.grid**2
    project = linear if config.qkv_bias else linear_without_bias
    qkv = project(g, x, f"{name}qkv", width, 3 * width)
    qkv = g.rows(f"{name}tiles", qkv, "tiles", tokens, 3 * width)
    y = self_attention(g, qkv, name, config)
    y = g.rows(f"{name}rows", y, f"{name}vectors", width)
    return linear(g, y, f"{name}proj", width, width)
