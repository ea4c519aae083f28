"""Operators that the runtime has kernels for, written out in operators that every ONNX Runtime has.

A graph carries the functions that it uses. Where no kernel is registered for one, ONNX Runtime puts its body
in its place.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

#: RMSNormalization is of this version.
ONNX_OPSET = 23
CONTRIB = "com.microsoft"
#: The domain of the functions.
FUNCTIONS = "fleming"
GELU = "GELU"
SELF_ATTENTION = "SelfAttention"
SWIGLU = "SwiGLU"


def used(names: Iterable[str]) -> list[ir.Function]:
    """The functions of these names, each once."""
    makers = {GELU: _gelu, SELF_ATTENTION: _self_attention, SWIGLU: _swiglu}
    return [makers[name]() for name in sorted(set(names))]


def _gelu() -> ir.Function:
    """``GELU(x) = x / 2 * (1 + erf(x / sqrt(2)))``."""
    x, y = _values("x", "y")
    return _function(GELU, [x], y, [ir.node("Gelu", [x], {"approximate": "none"}, outputs=[y])])


def _self_attention() -> ir.Function:
    """``SelfAttention(qkv; num_heads)``: [B, S, 3 * width] -> [B, S, width]."""
    qkv, q, k, v, attended = _values("qkv", "q", "k", "v", "attended")
    heads = [ir.RefAttr("num_heads", "num_heads", ir.AttributeType.INT)]
    attention = ir.Node(CONTRIB, "MultiHeadAttention", [q, k, v], heads, outputs=[attended])
    nodes = [ir.node("Split", [qkv], {"axis": -1, "num_outputs": 3}, outputs=[q, k, v]), attention]
    return _function(SELF_ATTENTION, [qkv], attended, nodes, ["num_heads"])


def _swiglu() -> ir.Function:
    """``SwiGLU(gate, up) = gate * sigmoid(gate) * up``."""
    gate, up, sigmoid, silu, product = _values("gate", "up", "sigmoid", "silu", "product")
    nodes = [
        ir.node("Sigmoid", [gate], outputs=[sigmoid]),
        ir.node("Mul", [gate, sigmoid], outputs=[silu]),
        ir.node("Mul", [silu, up], outputs=[product]),
    ]
    return _function(SWIGLU, [gate, up], product, nodes)


def _values(*names: str) -> list[ir.Value]:
    return [ir.Value(name=name) for name in names]


def _function(
    name: str, inputs: list[ir.Value], output: ir.Value, nodes: list[ir.Node], attributes: Iterable[str] = ()
) -> ir.Function:
    imports = {node.domain: {"": ONNX_OPSET, CONTRIB: 1}[node.domain] for node in nodes}
    graph = ir.Graph(inputs, [output], nodes=nodes, opset_imports=imports)
    undefined = [ir.Attr(attribute, ir.AttributeType.UNDEFINED, None) for attribute in attributes]
    return ir.Function(FUNCTIONS, name, graph=graph, attributes=undefined)
