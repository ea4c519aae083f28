"""A graph under construction, and the layers both towers share.

Activations are two-dimensional, ``[rows, width]``, wherever no operator needs more: a linear layer is then
one Gemm with the weight as the checkpoint stores it (``[out, in]``), on CPU the fastest form measured,
with nothing to transpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from .contract import GraphSpec, TensorSpec

#: RMSNormalization is of opset 23; the contrib operators and IR 11 come with every ONNX Runtime >= 1.31.
OPSETS = {"": 23, "com.microsoft": 1}
IR_VERSION = 11
CONTRIB = "com.microsoft"
#: External data begins on a page, so that it can be mapped.
ALIGNMENT = 4096


@dataclass(frozen=True)
class Source:
    """A checkpoint tensor and the shape it must have."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """A weight of a graph: its sources one below the other, or computed values. Always float32."""

    name: str
    shape: tuple[int, ...]
    sources: tuple[Source, ...]
    computed: Callable[[], np.ndarray] | None = None

    @property
    def bytes(self) -> int:
        return 4 * math.prod(self.shape)


class GraphBuilder:
    """Collects nodes and parameters; ``model`` turns them into an ONNX model that points into a data file."""

    def __init__(self, spec: GraphSpec) -> None:
        self.spec = spec
        self.nodes: list[ir.Node] = []
        self.parameters: dict[str, Parameter] = {}
        self._parameter_values: dict[str, ir.Value] = {}
        self._constants: dict[tuple, ir.Value] = {}
        self._inputs = {tensor.name: _value(tensor) for tensor in spec.inputs}
        self._outputs: dict[str, ir.Value] = {}

    def input(self, name: str) -> ir.Value:
        return self._inputs[name]

    def output(self, name: str, value: ir.Value) -> None:
        """Makes a value the graph output of that name in the contract."""
        tensor = next(spec for spec in self.spec.outputs if spec.name == name)
        value.name, value.shape = name, ir.Shape(tensor.shape)
        value.type = ir.TensorType(_DTYPES[tensor.dtype])
        self._outputs[name] = value

    def op(self, kind: str, name: str, *inputs: ir.Value | None, **attributes: object) -> ir.Value:
        """A node with one output."""
        return self.multi(kind, name, inputs, [name], attributes)[0]

    def multi(
        self,
        kind: str,
        name: str,
        inputs: Sequence[ir.Value | None],
        outputs: Sequence[str],
        attributes: dict[str, object],
    ) -> Sequence[ir.Value]:
        """A node; ``kind`` may carry a domain (``com.microsoft::Name``), an output named "" is left out."""
        domain, _, op_type = kind.rpartition("::")
        values = [ir.Value(name=f"{output}.out" if output else "") for output in outputs]
        node = ir.node(op_type, inputs, attributes, domain=domain, outputs=values, name=name)
        self.nodes.append(node)
        return values

    def parameter(self, name: str, *shape: int) -> ir.Value:
        """A weight that is the checkpoint tensor of the same name; asked for twice, it is shared."""
        return self.stacked(name, [Source(name, shape)])

    def stacked(self, name: str, sources: Sequence[Source]) -> ir.Value:
        """A weight made of checkpoint tensors one below the other."""
        rows = sum(source.shape[0] for source in sources)
        return self._add(Parameter(name, (rows, *sources[0].shape[1:]), tuple(sources)))

    def computed(self, name: str, shape: tuple[int, ...], values: Callable[[], np.ndarray]) -> ir.Value:
        """A weight that comes from no checkpoint tensor."""
        return self._add(Parameter(name, shape, (), values))

    def ints(self, *numbers: int) -> ir.Value:
        """A small constant ``[len(numbers)]`` of int64, kept inside the graph file."""
        return self._constant(np.array(numbers, np.int64))

    def scalar(self, number: int) -> ir.Value:
        """An int64 constant without dimensions."""
        return self._constant(np.array(number, np.int64))

    def model(self, producer_version: str) -> ir.Model:
        """The finished model, its weights referring to the data file in the order of ``parameters``."""
        offset = 0
        for name, parameter in self.parameters.items():
            self._parameter_values[name].const_value = ir.ExternalTensor(
                self.spec.data_file, offset, parameter.bytes, ir.DataType.FLOAT,
                shape=ir.Shape(parameter.shape), name=name,
            )  # fmt: skip
            offset = aligned(offset + parameter.bytes)
        graph = ir.Graph(
            [self._inputs[spec.name] for spec in self.spec.inputs],
            [self._outputs[spec.name] for spec in self.spec.outputs],
            nodes=self.nodes,
            initializers=[*self._parameter_values.values(), *self._constants.values()],
            opset_imports=OPSETS,
            name=self.spec.file.removesuffix(".onnx"),
        )
        return ir.Model(
            graph, ir_version=IR_VERSION, producer_name="fleming_export", producer_version=producer_version
        )

    def data_bytes(self) -> int:
        """Size of the data file."""
        offset = end = 0
        for parameter in self.parameters.values():
            end = offset + parameter.bytes
            offset = aligned(end)
        return end

    def _add(self, parameter: Parameter) -> ir.Value:
        known = self.parameters.setdefault(parameter.name, parameter)
        if known.shape != parameter.shape:
            raise ValueError(f"{parameter.name} is used as {known.shape} and as {parameter.shape}")
        if parameter.name not in self._parameter_values:
            self._parameter_values[parameter.name] = ir.Value(
                name=parameter.name, shape=ir.Shape(parameter.shape), type=ir.TensorType(ir.DataType.FLOAT)
            )
        return self._parameter_values[parameter.name]

    def _constant(self, array: np.ndarray) -> ir.Value:
        key = (array.shape, array.tobytes())
        if key not in self._constants:
            name = "int64_" + "_".join(str(number) for number in array.reshape(-1)) + "_" * (array.ndim == 0)
            tensor = ir.tensor(array, name=name)
            self._constants[key] = ir.Value(
                name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
            )
        return self._constants[key]


_DTYPES = {"float32": ir.DataType.FLOAT, "int64": ir.DataType.INT64, "int32": ir.DataType.INT32}


def _value(spec: TensorSpec) -> ir.Value:
    return ir.Value(name=spec.name, shape=ir.Shape(spec.shape), type=ir.TensorType(_DTYPES[spec.dtype]))


def aligned(offset: int) -> int:
    """The next multiple of ``ALIGNMENT``."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def linear(g: GraphBuilder, x: ir.Value, name: str, inputs: int, outputs: int) -> ir.Value:
    """``x @ weight.T + bias``: [rows, inputs] -> [rows, outputs]."""
    weight = g.parameter(f"{name}.weight", outputs, inputs)
    return g.op("Gemm", name, x, weight, g.parameter(f"{name}.bias", outputs), transB=1)


def linear_without_bias(g: GraphBuilder, x: ir.Value, name: str, inputs: int, outputs: int) -> ir.Value:
    """``x @ weight.T``: [rows, inputs] -> [rows, outputs]."""
    return g.op("Gemm", name, x, g.parameter(f"{name}.weight", outputs, inputs), transB=1)


def layer_norm(g: GraphBuilder, x: ir.Value, name: str, width: int, epsilon: float) -> ir.Value:
    """LayerNorm over the last axis: [.., width] -> same."""
    weight, bias = g.parameter(f"{name}.weight", width), g.parameter(f"{name}.bias", width)
    return g.op("LayerNormalization", name, x, weight, bias, axis=-1, epsilon=epsilon)


def rms_norm(g: GraphBuilder, x: ir.Value, name: str, width: int, epsilon: float) -> ir.Value:
    """RMSNorm over the last axis: [.., width] -> same."""
    return g.op("RMSNormalization", name, x, g.parameter(f"{name}.weight", width), axis=-1, epsilon=epsilon)


def gelu(g: GraphBuilder, x: ir.Value, name: str) -> ir.Value:
    """The exact GELU, with erf; not the tanh approximation."""
    return g.op("Gelu", name, x, approximate="none")
