"""Qwen2.5 with image rows spliced in, in the contrib form: GroupQueryAttention over shared KV buffers.

Letters: B batch, S new positions, H hidden width, D head dimension, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from ..config import LanguageConfig
from ..nn import CONTRIB, GraphBuilder, Source, linear_without_bias, rms_norm

PREFIX = "language_model.model."
#: GroupQueryAttention turns heads whose width is a multiple of this; others are turned before it.
FUSED_ROTATION = 16


def language_model(g: GraphBuilder, config: LanguageConfig) -> ir.Value:
    """The graph's inputs -> logits [B, V] of each row's last position."""
    x = _spliced_embeddings(g, config)  # [B * S, H]
    shared = _Shared(g, config)
    y = rms_norm(g, x, f"{PREFIX}layers.0.input_layernorm", config.hidden, config.epsilon)
    for layer in range(config.layers):
        name, last = f"{PREFIX}layers.{layer}.", layer == config.layers - 1
        y = _attention(g, y, layer, config, shared)  # [B, S, heads * D]
        if last:
            # nothing after this looks at another position, so the rest runs on the last one only
            x = g.op("Reshape", "last.batch", x, shared.shape(config.hidden))  # [B, S, H]
            x = g.op("Gather", "last.residual", x, g.scalar(-1), axis=1)  # [B, H]
            y = g.op("Gather", "last.attention", y, g.scalar(-1), axis=1)  # [B, heads * D]
        else:
            y = g.op("Reshape", f"{name}self_attn.rows", y, g.ints(-1, config.attention_width))
        y = linear_without_bias(g, y, f"{name}self_attn.o_proj", config.attention_width, config.hidden)
        x, y = _add_and_norm(g, (x, y), f"{name}post_attention_layernorm", config)
        y = _mlp(g, y, f"{name}mlp.", config)
        norm = f"{PREFIX}norm" if last else f"{PREFIX}layers.{layer + 1}.input_layernorm"
        x, y = _add_and_norm(g, (x, y), norm, config)
    head = f"{PREFIX}embed_tokens" if config.tied else "language_model.lm_head"
    weight = g.parameter(f"{head}.weight", config.vocabulary, config.hidden)
    return g.op("Gemm", "language_model.lm_head", y, weight, transB=1)


class _Shared:
    """What every layer uses: the rotary tables, and the batch and sequence sizes as a shape."""

    def __init__(self, g: GraphBuilder, config: LanguageConfig) -> None:
        self._g = g
        self._shapes: dict[int, ir.Value] = {}
        self._positions: ir.Value | None = None
        self._batch_and_sequence = g.op("Shape", "batch_and_sequence", g.input("input_ids"))
        table = (config.max_positions, config.head_dim // 2)
        self.cos = g.computed("rotary.cos", table, lambda: np.cos(rotary_angles(config)))
        self.sin = g.computed("rotary.sin", table, lambda: np.sin(rotary_angles(config)))

    def positions(self) -> ir.Value:
        """The position of each new token, [B, S] of int64: the last of them is seqlens_k."""
        if self._positions is None:
            g = self._g
            last = g.op(
                "Unsqueeze",
                "position.last",
                g.op("Cast", "position.int64", g.input("seqlens_k"), to=ir.DataType.INT64),
                g.ints(1),
            )
            sequence = g.op("Gather", "position.sequence", self._batch_and_sequence, g.scalar(1), axis=0)
            back = g.op(
                "Range",
                "position.range",
                g.op("Sub", "position.start", g.scalar(1), sequence),
                g.scalar(1),
                g.scalar(1),
            )
            self._positions = g.op("Add", "position", last, back)  # [B, 1] + [-(S - 1), .., 0]
        return self._positions

    def shape(self, width: int) -> ir.Value:
        """The shape [B, S, width]."""
        if width not in self._shapes:
            parts = self._batch_and_sequence, self._g.ints(width)
            self._shapes[width] = self._g.op("Concat", f"shape_{width}", *parts, axis=0)
        return self._shapes[width]


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
    ids = g.op("Reshape", "splice.ids", g.input("input_ids"), g.ints(-1))
    rows = g.op("Reshape", "splice.rows", g.input("splice"), g.ints(-1))
    table = g.parameter(f"{PREFIX}embed_tokens.weight", config.vocabulary, config.hidden)
    text = g.op("Gather", f"{PREFIX}embed_tokens", table, ids, axis=0)
    # a text position reads row 0 and throws it away, hence the rule that there is always one row
    row = g.op("Max", "splice.row", rows, g.scalar(0))
    image = g.op("Gather", "splice.image", g.input("image_embeds"), row, axis=0)
    is_image = g.op("GreaterOrEqual", "splice.is_image", rows, g.scalar(0))
    is_image = g.op("Unsqueeze", "splice.mask", is_image, g.ints(1))  # [B * S, 1]
    return g.op("Where", "splice.where", is_image, image, text)


def _attention(g: GraphBuilder, x: ir.Value, layer: int, config: LanguageConfig, shared: _Shared) -> ir.Value:
    """Projection, rotation, attention over the KV buffers of one layer: [B * S, H] -> [B, S, heads * D]."""
    name = f"{PREFIX}layers.{layer}.self_attn."
    widths = {"q": config.heads, "k": config.kv_heads, "v": config.kv_heads}
    rows = {part: heads * config.head_dim for part, heads in widths.items()}
    weights = [Source(f"{name}{part}_proj.weight", (n, config.hidden)) for part, n in rows.items()]
    weight = g.stacked(f"{name}qkv_proj.weight", weights)
    bias = g.stacked(f"{name}qkv_proj.bias", [Source(f"{name}{p}_proj.bias", (n,)) for p, n in rows.items()])
    qkv = g.op("Gemm", f"{name}qkv_proj", x, weight, bias, transB=1)  # [B * S, q | k | v]
    qkv = g.op("Reshape", f"{name}batch", qkv, shared.shape(sum(rows.values())))  # [B, S, q | k | v]
    inputs = [qkv, None, None, g.input(f"past_key.{layer}"), g.input(f"past_value.{layer}")]
    inputs += [g.input("seqlens_k"), g.input("total_sequence_length")]
    attributes = {"num_heads": config.heads, "kv_num_heads": config.kv_heads}
    if config.head_dim % FUSED_ROTATION == 0:
        inputs += [shared.cos, shared.sin]
        attributes |= {"do_rotary": 1, "rotary_interleaved": 0}
    else:
        inputs[0] = _rotated(g, qkv, name, (rows["q"] + rows["k"], rows["v"]), shared)
    outputs = [f"{name}attention", f"{name}key", f"{name}value"]
    y, key, value = g.multi(
        f"{CONTRIB}::GroupQueryAttention", f"{name}attention", inputs, outputs, attributes
    )
    g.output(f"present_key.{layer}", key)
    g.output(f"present_value.{layer}", value)
    return y


def _rotated(g: GraphBuilder, qkv: ir.Value, name: str, widths: tuple[int, int], shared: _Shared) -> ir.Value:
    """Queries and keys turned by their positions, values as they are: [B, S, q | k | v] -> same."""
    split = [f"{name}turning", f"{name}still"]
    turning, still = g.multi("Split", f"{name}split", [qkv, g.ints(*widths)], split, {"axis": -1})
    inputs = [turning, shared.positions(), shared.cos, shared.sin]
    (turned,) = g.multi(f"{CONTRIB}::RotaryEmbedding", f"{name}rotation", inputs, [f"{name}turned"], {})
    return g.op("Concat", f"{name}turned_qkv", turned, still, axis=-1)


def _add_and_norm(
    g: GraphBuilder, streams: tuple[ir.Value, ir.Value], name: str, config: LanguageConfig
) -> tuple[ir.Value, ir.Value]:
    """Residual and branch, [rows, H] each -> their sum, and its RMSNorm."""
    inputs = [*streams, g.parameter(f"{name}.weight", config.hidden)]
    outputs = [name, "", "", f"{name}.sum"]  # mean and inverse deviation are not wanted
    kind, epsilon = f"{CONTRIB}::SkipSimplifiedLayerNormalization", {"epsilon": config.epsilon}
    normed, _, _, total = g.multi(kind, name, inputs, outputs, epsilon)
    return total, normed


def _mlp(g: GraphBuilder, x: ir.Value, name: str, config: LanguageConfig) -> ir.Value:
    """``down(silu(gate(x)) * up(x))``: [rows, H] -> [rows, H]."""
    gate = linear_without_bias(g, x, f"{name}gate_proj", config.hidden, config.intermediate)
    up = linear_without_bias(g, x, f"{name}up_proj", config.hidden, config.intermediate)
    gate = g.op("Mul", f"{name}silu", gate, g.op("Sigmoid", f"{name}sigmoid", gate))
    return linear_without_bias(
        g, g.op("Mul", f"{name}product", gate, up), f"{name}down_proj", config.intermediate, config.hidden
    )
