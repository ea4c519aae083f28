"""Layers that the two forms of a graph spell differently: the contrib form with ONNX Runtime's own fused
operators (CPU, CUDA), and the standard form with operators of ONNX alone (TensorRT).

In the standard form norms and the residual stream are float32 islands, written into the graph. In the contrib
form the operators compute norms in float32 inside. Softmax is float32 inside the operators of both.

TensorRT's parser takes of ONNX's Attention what TensorRT's own has (``onnxOpImporters.cpp`` of
onnx-tensorrt): no ``softmax_precision``, and no way but a mask to say what a query of a cache sees.
``is_causal`` would count from the first key of the buffer, and ``nonpad_kv_seqlen`` it does not read. It
multiplies queries and keys by the root of the scale, rounded to the type of the activations: the scale of
heads of 128 is 0.3 % off in bfloat16. So here it is 1, and the queries come scaled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import onnx_ir as ir

from .config import LanguageConfig, VisionConfig
from .functions import CONTRIB, FUNCTIONS, GELU, SELF_ATTENTION, SWIGLU
from .graph import DTYPES, GraphBuilder, Packed, Source

#: GroupQueryAttention turns heads whose width is a multiple of this; others are turned before it.
FUSED_ROTATION = 16


def linear(g: GraphBuilder, x: ir.Value, name: str, inputs: int, outputs: int) -> ir.Value:
    """``x @ weight.T + bias``: [rows, inputs] -> [rows, outputs]."""
    weight = [Source(f"{name}.weight", (outputs, inputs))]
    return product(g, x, name, weight, g.parameter(f"{name}.bias", outputs))


def linear_without_bias(g: GraphBuilder, x: ir.Value, name: str, inputs: int, outputs: int) -> ir.Value:
    """``x @ weight.T``: [rows, inputs] -> [rows, outputs]."""
    return product(g, x, name, [Source(f"{name}.weight", (outputs, inputs))])


def product(
    g: GraphBuilder, x: ir.Value, name: str, sources: Sequence[Source], bias: ir.Value | None = None
) -> ir.Value:
    """``x @ weight.T + bias`` stored as the recipe says: [rows, inputs] -> [rows, outputs]."""
    scheme, weight = g.recipe.scheme(name), f"{name}.weight"
    if scheme is None:
        inputs = [x, g.stacked(weight, sources), *([bias] if bias is not None else [])]
        return g.op("Gemm", name, *inputs, transB=1)
    return packed_product(g, x, name, g.packed(weight, sources, scheme), bias)


def packed_product(
    g: GraphBuilder, x: ir.Value, name: str, weight: Packed, bias: ir.Value | None = None
) -> ir.Value:
    """``x @ weight.T + bias`` with a weight in blocks."""
    if bias is not None and g.recipe.target == "cuda":
        # the fast kernels have no bias; the others add it in a kernel of its own too. ONNX Runtime would put
        # an Add back into the product
        return g.op("Sum", f"{name}.biased", packed_product(g, x, name, weight), bias)
    outputs, inputs = weight.shape
    attributes = {
        "K": inputs,
        "N": weight.rows,
        "bits": weight.scheme.bits,
        "block_size": weight.scheme.block,
    }
    inputs = [x, weight.levels, weight.scales, weight.zero_points, None, bias]
    while inputs[-1] is None:
        inputs.pop()
    y = g.op(f"{CONTRIB}::MatMulNBits", name, *inputs, **attributes, accuracy_level=g.recipe.level)
    return y if weight.rows == outputs else g.op("Slice", f"{name}.cut", y, *map(g.ints, (0, outputs, 1)))


def cast(g: GraphBuilder, x: ir.Value, name: str, dtype: str) -> ir.Value:
    """The same numbers in another type; nothing where all activations are float32 anyway."""
    if g.recipe.activation == "float32":
        return x
    return g.op("Cast", name, x, to=DTYPES[dtype])


def layer_norm(g: GraphBuilder, x: ir.Value, name: str, width: int, epsilon: float) -> ir.Value:
    """LayerNorm over the last axis: [.., width] -> same."""
    names = f"{name}.weight", f"{name}.bias"
    if g.recipe.standard:
        weight, bias = (g.exact(part, width) for part in names)
        y = g.op("LayerNormalization", name, x, weight, bias, axis=-1, epsilon=epsilon)
        return cast(g, y, f"{name}.typed", g.recipe.activation)
    weight, bias = (g.parameter(part, width) for part in names)
    return g.op("LayerNormalization", name, x, weight, bias, axis=-1, epsilon=epsilon)


def rms_norm(g: GraphBuilder, x: ir.Value, name: str, width: int, epsilon: float) -> ir.Value:
    """RMSNorm over the last axis of the residual stream: [.., width] -> same."""
    if g.recipe.standard:
        y = g.op("RMSNormalization", name, x, g.exact(f"{name}.weight", width), axis=-1, epsilon=epsilon)
        return cast(g, y, f"{name}.typed", g.recipe.activation)
    return g.op("RMSNormalization", name, x, g.parameter(f"{name}.weight", width), axis=-1, epsilon=epsilon)


def inner_rms_norm(g: GraphBuilder, x: ir.Value, name: str, width: int, epsilon: float) -> ir.Value:
    """RMSNorm of something that is not the residual stream and has the type of the activations."""
    if g.recipe.standard:
        x = cast(g, x, f"{name}.exact", "float32")
    return rms_norm(g, x, name, width, epsilon)


def stream(g: GraphBuilder, x: ir.Value, name: str) -> ir.Value:
    """float32 values as the beginning of a residual stream."""
    return x if g.recipe.standard else cast(g, x, name, g.recipe.activation)


def add(g: GraphBuilder, x: ir.Value, y: ir.Value, name: str) -> ir.Value:
    """A branch added to the residual stream: [rows, width] each -> same."""
    return g.op("Add", name, x, cast(g, y, f"{name}.exact", "float32") if g.recipe.standard else y)


def norm(g: GraphBuilder, x: ir.Value, name: str, config: LanguageConfig | VisionConfig) -> ir.Value:
    """The norm of a layer over the last axis of the residual stream: [.., width] -> same."""
    kind = layer_norm if config.norm == "layer_norm" else rms_norm
    return kind(g, x, name, config.hidden, config.epsilon)


def add_and_norm(
    g: GraphBuilder, streams: tuple[ir.Value, ir.Value], name: str, config: LanguageConfig | VisionConfig
) -> tuple[ir.Value, ir.Value]:
    """Residual and branch, [rows, width] each -> their sum, and its norm."""
    if g.recipe.standard:
        total = add(g, *streams, f"{name}.sum")
        return total, norm(g, total, name, config)
    kind, parts = "SkipSimplifiedLayerNormalization", ["weight"]
    if config.norm == "layer_norm":
        kind, parts = "SkipLayerNormalization", ["weight", "bias"]
    residual, branch = streams
    # the branch first: sizes are those of the first input, and its have the names of this layer
    inputs = [branch, residual, *(g.parameter(f"{name}.{part}", config.hidden) for part in parts)]
    outputs = [name, "", "", f"{name}.sum"]  # mean and inverse deviation are not wanted
    normed, _, _, total = g.multi(f"{CONTRIB}::{kind}", name, inputs, outputs, {"epsilon": config.epsilon})
    return total, normed


def gelu(g: GraphBuilder, x: ir.Value, name: str) -> ir.Value:
    """The exact GELU, with erf; not the tanh approximation."""
    if g.recipe.target == "cpu":  # in place, where the runtime has its kernel
        return g.op(f"{FUNCTIONS}::{GELU}", name, x)
    if g.recipe.target == "cuda":  # where ONNX's own has no bfloat16 kernel
        return g.op(f"{CONTRIB}::Gelu", name, x)
    return g.op("Gelu", name, x, approximate="none")


def swiglu(g: GraphBuilder, gate: ir.Value, up: ir.Value, name: str) -> ir.Value:
    """``gate * sigmoid(gate) * up``: [rows, width] each -> same."""
    if g.recipe.target == "cpu":  # fewer passes over memory, where the runtime has its kernel
        return g.op(f"{FUNCTIONS}::{SWIGLU}", name, gate, up)
    if g.recipe.target == "cuda":  # in one kernel, and in every type
        return g.op("Mul", name, g.op(f"{CONTRIB}::QuickGelu", f"{name}.silu", gate, alpha=1.0), up)
    sigmoid = g.op("Sigmoid", f"{name}.sigmoid", gate)
    return g.op("Mul", name, g.op("Mul", f"{name}.silu", gate, sigmoid), up)


def _scale(head_dim: int) -> float:
    """What attention multiplies scores by."""
    return head_dim**-0.5


def self_attention(g: GraphBuilder, qkv: ir.Value, name: str, config: VisionConfig) -> ir.Value:
    """All patches of a tile see one another: [tiles, S, q | k | v] -> [tiles, S, C]."""
    heads, width = config.heads, config.hidden
    if g.recipe.target == "cpu" and not config.qk_norm:
        # read where they stand, where the runtime has its kernel
        return g.op(f"{FUNCTIONS}::{SELF_ATTENTION}", f"{name}attention", qkv, num_heads=heads)
    parts = [f"{name}q", f"{name}k", f"{name}v"]
    q, k, v = g.multi("Split", f"{name}split", [qkv], parts, {"axis": -1, "num_outputs": 3})
    if config.qk_norm:  # over all heads together, before the split into heads
        q = inner_rms_norm(g, q, f"{name}q_norm", width, config.epsilon)
        k = inner_rms_norm(g, k, f"{name}k_norm", width, config.epsilon)
    return _attention_of_parts(g, (q, k, v), f"{name}attention", heads, width)


def _attention_of_parts(
    g: GraphBuilder, parts: Sequence[ir.Value], name: str, heads: int, width: int
) -> ir.Value:
    """q, k, v [B, S, width] -> [B, S, width]."""
    counts = {"q_num_heads": heads, "kv_num_heads": heads}
    if g.recipe.standard:
        q, k, v = parts
        scale = cast(g, g.number(_scale(width // heads)), f"{name}.scale", g.recipe.activation)
        q = g.op("Mul", f"{name}.scaled", q, scale)
        return g.op("Attention", name, q, k, v, **counts, scale=1.0)
    if g.recipe.target == "cuda":
        # FlashAttention in both types; the other one has it for float16 alone, and asks cuDNN on newer GPUs,
        # which makes a plan for every number of tiles
        return g.op("Attention", name, *parts, **counts)
    return g.op(f"{CONTRIB}::MultiHeadAttention", name, *parts, num_heads=heads)


class Positions:
    """What every layer of the decoder uses: rotary tables, positions, and shapes.

    Letters: B batch, S new positions, D head dimension.
    """

    def __init__(self, g: GraphBuilder, tables: Callable[[float], tuple[ir.Value, ir.Value]]) -> None:
        """``tables`` makes the rotary tables, times a scale."""
        self._g = g
        self._tables: dict[float, tuple[ir.Value, ir.Value]] = {}
        self._make_tables = tables
        self._shapes: dict[tuple[int, ...], ir.Value] = {}
        self._batch_and_sequence = g.op("Shape", "batch_and_sequence", g.input("input_ids"))

    def tables(self, scale: float = 1.0) -> tuple[ir.Value, ir.Value]:
        """Cosines and sines, [positions, D / 2] each: they turn a head, and multiply it by the scale."""
        if scale not in self._tables:
            self._tables[scale] = self._make_tables(scale)
        return self._tables[scale]

    @cached_property
    def positions(self) -> ir.Value:
        """The position of each new token, [B, S] of int64: the last of them is seqlens_k."""
        g = self._g
        last = g.op("Cast", "position.int64", g.input("seqlens_k"), to=ir.DataType.INT64)
        last = g.op("Unsqueeze", "position.last", last, g.ints(1))
        start = g.op("Sub", "position.start", g.scalar(1), self._sequence)
        back = g.op("Range", "position.range", start, g.scalar(1), g.scalar(1))
        return g.op("Add", "position", last, back)  # [B, 1] + [-(S - 1), .., 0]

    @cached_property
    def before(self) -> ir.Value:
        """Positions in the buffers before the new ones, [B] of int64."""
        g = self._g
        last = g.op("Cast", "length.int64", g.input("seqlens_k"), to=ir.DataType.INT64)
        after = g.op("Add", "length.after", last, g.scalar(1))
        return g.op("Sub", "length.before", after, self._sequence)

    @cached_property
    def read(self) -> ir.Value:
        """How many positions of the buffers are read, [1] of int64: what lies beyond is nobody's."""
        return self._g.op("Shape", "length.read", self._g.input("key_positions"))

    @cached_property
    def visible(self) -> ir.Value:
        """Which of those each new token sees, [B, 1, S, positions] of bool: itself and what was before it."""
        g = self._g
        own = g.op("Unsqueeze", "mask.own", self.positions, g.ints(1, 3))  # [B, 1, S, 1]
        return g.op("LessOrEqual", "mask", g.input("key_positions"), own)

    def shape(self, *widths: int) -> ir.Value:
        """The shape [B, S, widths]."""
        if widths not in self._shapes:
            parts = self._batch_and_sequence, self._g.ints(*widths)
            name = "_".join(map(str, widths))
            self._shapes[widths] = self._g.op("Concat", f"shape_{name}", *parts, axis=0)
        return self._shapes[widths]

    @cached_property
    def _sequence(self) -> ir.Value:
        g = self._g
        return g.op("Gather", "position.sequence", self._batch_and_sequence, g.scalar(1), axis=0)


def cached_attention(
    g: GraphBuilder, qkv: ir.Value, layer: int, config: LanguageConfig, positions: Positions
) -> ir.Value:
    """Rotation, and attention over the KV buffers of one layer: [B * S, q | k | v] -> [B, S, heads * D]."""
    attend = _standard_attention if g.recipe.standard else _contrib_attention
    y, key, value = attend(g, qkv, layer, config, positions)
    g.output(f"present_key.{layer}", key)
    g.output(f"present_value.{layer}", value)
    return y


def _contrib_attention(
    g: GraphBuilder, qkv: ir.Value, layer: int, config: LanguageConfig, positions: Positions
) -> Sequence[ir.Value]:
    name = _name(layer)
    width = (config.heads + 2 * config.kv_heads) * config.head_dim
    qkv = g.op("Reshape", f"{name}batch", qkv, positions.shape(width))  # [B, S, q | k | v]
    if config.qk_norm:
        qkv = _normed(g, qkv, name, config, positions)
    inputs = [qkv, None, None, g.input(f"past_key.{layer}"), g.input(f"past_value.{layer}")]
    inputs += [g.input("seqlens_k"), g.input("total_sequence_length")]
    attributes = {"num_heads": config.heads, "kv_num_heads": config.kv_heads}
    if config.head_dim % FUSED_ROTATION == 0:
        inputs += positions.tables()
        attributes |= {"do_rotary": 1, "rotary_interleaved": 0}
    else:
        inputs[0] = _turned(g, qkv, name, config, positions)
    outputs = [f"{name}attention", f"{name}key", f"{name}value"]
    return g.multi(f"{CONTRIB}::GroupQueryAttention", f"{name}attention", inputs, outputs, attributes)


def _normed(
    g: GraphBuilder, qkv: ir.Value, name: str, config: LanguageConfig, positions: Positions
) -> ir.Value:
    """Each head of the queries and keys normed, values as they are: [B, S, q | k | v] -> same."""
    heads, size = {"q": config.heads, "k": config.kv_heads}, config.head_dim
    widths = [count * size for count in (*heads.values(), config.kv_heads)]
    outputs = [f"{name}{part}_plain" for part in "qkv"]
    *plain, v = g.multi("Split", f"{name}plain", [qkv, g.ints(*widths)], outputs, {"axis": -1})
    normed = []
    for part, x in zip(heads, plain, strict=True):
        y = g.op("Reshape", f"{name}{part}_heads", x, positions.shape(heads[part], size))  # [B, S, heads, D]
        y = inner_rms_norm(g, y, f"{name}{part}_norm", size, config.epsilon)
        normed.append(g.op("Reshape", f"{name}{part}_normed", y, positions.shape(heads[part] * size)))
    return g.op("Concat", f"{name}normed_qkv", *normed, v, axis=-1)


def _turned(
    g: GraphBuilder, qkv: ir.Value, name: str, config: LanguageConfig, positions: Positions
) -> ir.Value:
    """Queries and keys turned by their positions, values as they are: [B, S, q | k | v] -> same."""
    widths = (config.heads + config.kv_heads) * config.head_dim, config.kv_heads * config.head_dim
    split = [f"{name}turning", f"{name}still"]
    turning, still = g.multi("Split", f"{name}split", [qkv, g.ints(*widths)], split, {"axis": -1})
    inputs = [turning, positions.positions, *positions.tables()]
    (turned,) = g.multi(f"{CONTRIB}::RotaryEmbedding", f"{name}rotation", inputs, [f"{name}turned"], {})
    return g.op("Concat", f"{name}turned_qkv", turned, still, axis=-1)


def _standard_attention(
    g: GraphBuilder, qkv: ir.Value, layer: int, config: LanguageConfig, positions: Positions
) -> Sequence[ir.Value]:
    """New keys and values are scattered into the buffers, and the attention reads the buffers alone, as far
    as anything is in them."""
    name = _name(layer)
    heads, size = config.heads + 2 * config.kv_heads, config.head_dim
    qkv = g.op("Reshape", f"{name}heads", qkv, positions.shape(heads, size))  # [B, S, heads, D]
    qkv = g.op("Transpose", f"{name}by_head", qkv, perm=[0, 2, 1, 3])  # [B, heads, S, D]
    counts = g.ints(config.heads, config.kv_heads, config.kv_heads)
    parts = [f"{name}{part}" for part in "qkv"]
    q, k, v = g.multi("Split", f"{name}split", [qkv, counts], parts, {"axis": 1})
    if config.qk_norm:
        q, k = (
            inner_rms_norm(g, x, f"{name}{p}_norm", size, config.epsilon) for p, x in (("q", q), ("k", k))
        )
    where = positions.positions
    q = g.op("RotaryEmbedding", f"{name}q_rotation", q, *positions.tables(_scale(size)), where)
    k = g.op("RotaryEmbedding", f"{name}k_rotation", k, *positions.tables(), where)
    cache, read = [], []
    for what, new in (("key", k), ("value", v)):
        past = g.input(f"past_{what}.{layer}")
        cache.append(g.op("TensorScatter", f"{name}{what}", past, new, positions.before, axis=2))
        part = cache[-1], g.ints(0), positions.read, g.ints(2)
        read.append(g.op("Slice", f"{name}{what}_read", *part))
    y = g.op("Attention", f"{name}attention", q, *read, positions.visible, scale=1.0)  # [B, heads, S, D]
    y = g.op("Transpose", f"{name}by_position", y, perm=[0, 2, 1, 3])
    return g.op("Reshape", f"{name}joined", y, positions.shape(config.attention_width)), *cache


def _name(layer: int) -> str:
    return f"language_model.model.layers.{layer}.self_attn."
