"""Qwen2.5 or Qwen3 with image rows spliced in: Qwen3 has no biases, and norms its queries and keys.

Letters: B batch, S new positions, L of them whose logits are asked for, H hidden width, D head dimension,
V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from ..config import LanguageConfig
from ..graph import GraphBuilder, Source
from ..layers import (
    Positions,
    add_and_norm,
    cached_attention,
    cast,
    linear_without_bias,
    packed_product,
    product,
    rms_norm,
    stream,
    swiglu,
)

PREFIX = "language_model.model."


def language_model(g: GraphBuilder, config: LanguageConfig) -> ir.Value:
    """The graph's inputs -> logits [B * L, V] of the L positions that logits_at names."""
    x = _spliced_embeddings(g, config)  # [B * S, H]
    positions = Positions(g, lambda scale: _rotary_tables(g, config, scale))
    y = rms_norm(g, x, f"{PREFIX}layers.0.input_layernorm", config.hidden, config.epsilon)
    for layer in range(config.layers):
        name, last = f"{PREFIX}layers.{layer}.", layer == config.layers - 1
        y = _attention(g, y, layer, config, positions)  # [B, S, heads * D]
        if last:
            # nothing after this looks at another position, so the rest runs on those that are asked for
            wanted = g.input("logits_at")
            x = g.op("Reshape", "last.batch", x, positions.shape(config.hidden))  # [B, S, H]
            x = g.op("Gather", "last.residual", x, wanted, axis=1)  # [B, L, H]
            x = g.rows("last.rows", x, f"{name}positions", config.hidden)
            y = g.op("Gather", "last.attention", y, wanted, axis=1)  # [B, L, heads * D]
        y = g.rows(f"{name}self_attn.rows", y, f"{name}positions", config.attention_width)
        y = linear_without_bias(g, y, f"{name}self_attn.o_proj", config.attention_width, config.hidden)
        x, y = add_and_norm(g, (x, y), f"{name}post_attention_layernorm", config)
        y = _mlp(g, y, f"{name}mlp.", config)
        norm = f"{PREFIX}norm" if last else f"{PREFIX}layers.{layer + 1}.input_layernorm"
        x, y = add_and_norm(g, (x, y), norm, config)
    return _head(g, y, config)


def _rotary_tables(g: GraphBuilder, config: LanguageConfig, scale: float) -> tuple[ir.Value, ir.Value]:
    """Cosines and sines, [positions, D / 2] each, times the scale."""
    rows = min(config.max_positions, g.recipe.capacity or config.max_positions)
    name, table = "rotary" if scale == 1 else "rotary.scaled", (rows, config.head_dim // 2)

    def values(function: np.ufunc) -> Callable[[], np.ndarray]:
        return lambda: function(rotary_angles(config)[:rows]) * np.float32(scale)

    return g.computed(f"{name}.cos", table, values(np.cos)), g.computed(f"{name}.sin", table, values(np.sin))


def rotary_angles(config: LanguageConfig) -> np.ndarray:
    """[max_positions, D / 2] float32, rounded where transformers rounds: exponent, frequency, product."""
    exponent = np.arange(0, config.head_dim, 2, dtype=np.float32) / np.float32(config.head_dim)
    # the power in double, then rounded: the correct float32, which a float32 power only nearly is
    power = np.power(np.float64(config.rope_theta), exponent.astype(np.float64)).astype(np.float32)
    frequency = np.float32(1) / power
    positions = np.arange(config.max_positions, dtype=np.float32)
    return positions[:, None] * frequency[None, :]


def _spliced_embeddings(g: GraphBuilder, config: LanguageConfig) -> ir.Value:
    """Rows of the embedding table, and of image_embeds where splice is not negative: [B, S] -> [B * S, H]."""
    ids = g.rows("splice.ids", g.input("input_ids"), "positions", dtype="int64")
    rows = g.rows("splice.rows", g.input("splice"), "positions", dtype="int64")
    text = _embeddings(g, ids, config)
    # a text position reads row 0 and throws it away, hence the rule that there is always one row
    row = g.op("Max", "splice.row", rows, g.scalar(0))
    image = g.op("Gather", "splice.image", g.input("image_embeds"), row, axis=0)
    is_image = g.op("GreaterOrEqual", "splice.is_image", rows, g.scalar(0))
    is_image = g.op("Unsqueeze", "splice.mask", is_image, g.ints(1))  # [B * S, 1]
    return stream(g, g.op("Where", "splice.where", is_image, image, text), "splice.typed")


def _embeddings(g: GraphBuilder, ids: ir.Value, config: LanguageConfig) -> ir.Value:
    """[N] ids -> [N, H] float32."""
    name, scheme = f"{PREFIX}embed_tokens", g.recipe.embedding
    shape = config.vocabulary, config.hidden
    if scheme is None:
        text = g.op("Gather", name, g.parameter(f"{name}.weight", *shape), ids, axis=0)
        return cast(g, text, f"{name}.exact", "float32")
    # 8-bit levels of a few rows, taken apart with plain operators: the table can then be the head's as well,
    # which GatherBlockQuantized and MatMulNBits want in different shapes
    table = g.packed(f"{name}.weight", [Source(f"{name}.weight", shape)], scheme)
    levels = g.op("Gather", f"{name}.levels", table.levels, ids, axis=0)  # [N, blocks, block]
    levels = g.op("Cast", f"{name}.numbers", levels, to=ir.DataType.FLOAT)
    levels = g.op("Sub", f"{name}.centred", levels, g.number(scheme.middle))
    scales = g.op("Gather", f"{name}.scales", table.scales, ids, axis=0)  # [N, blocks]
    scales = cast(g, scales, f"{name}.exact_scales", "float32")
    scales = g.op("Unsqueeze", f"{name}.scale", scales, g.ints(2))
    text = g.op("Mul", f"{name}.scaled", levels, scales)
    padded = scheme.blocks(config.hidden) * scheme.block
    text = g.op("Reshape", f"{name}.padded", text, g.ints(-1, padded))
    if padded != config.hidden:
        text = g.op("Slice", f"{name}.cut", text, g.ints(0), g.ints(config.hidden), g.ints(1))
    return g.op("Mul", name, text, g.columns(f"{name}.weight", config.hidden))


def _attention(
    g: GraphBuilder, x: ir.Value, layer: int, config: LanguageConfig, positions: Positions
) -> ir.Value:
    """Projection and attention over the KV buffers of one layer: [B * S, H] -> [B, S, heads * D]."""
    name = f"{PREFIX}layers.{layer}.self_attn."
    widths = {"q": config.heads, "k": config.kv_heads, "v": config.kv_heads}
    rows = {part: heads * config.head_dim for part, heads in widths.items()}
    weights = [Source(f"{name}{part}_proj.weight", (n, config.hidden)) for part, n in rows.items()]
    biases = [Source(f"{name}{part}_proj.bias", (n,)) for part, n in rows.items()]
    bias = g.stacked(f"{name}qkv_proj.bias", biases) if config.bias else None
    qkv = product(g, x, f"{name}qkv_proj", weights, bias)  # [B * S, q | k | v]
    return cached_attention(g, qkv, layer, config, positions)


def _mlp(g: GraphBuilder, x: ir.Value, name: str, config: LanguageConfig) -> ir.Value:
    """``down(silu(gate(x)) * up(x))``: [rows, H] -> [rows, H]."""
    gate = linear_without_bias(g, x, f"{name}gate_proj", config.hidden, config.intermediate)
    up = linear_without_bias(g, x, f"{name}up_proj", config.hidden, config.intermediate)
    gated = swiglu(g, gate, up, f"{name}product")
    return linear_without_bias(g, gated, f"{name}down_proj", config.intermediate, config.hidden)


def _head(g: GraphBuilder, y: ir.Value, config: LanguageConfig) -> ir.Value:
    """[B, H] -> logits [B, V] in float32; a tied head reads the embedding table."""
    name, shape = "language_model.lm_head", (config.vocabulary, config.hidden)
    table = f"{PREFIX}embed_tokens.weight"
    if not config.tied:
        logits = product(g, y, name, [Source(f"{name}.weight", shape)])
    elif g.recipe.embedding:
        columns = cast(g, g.columns(table, config.hidden), f"{name}.columns", g.recipe.activation)
        y = g.op("Mul", f"{name}.scaled", y, columns)
        logits = packed_product(g, y, name, g.packed(table, [Source(table, shape)], g.recipe.embedding))
    else:
        logits = g.op("Gemm", name, y, g.parameter(table, *shape), transB=1)
    return cast(g, logits, f"{name}.exact", "float32")
