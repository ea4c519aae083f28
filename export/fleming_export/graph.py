"""A graph under construction.

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

from . import functions
from .contract import GraphSpec, TensorSpec
from .functions import CONTRIB, FUNCTIONS, ONNX_OPSET
from .quantize import Blockwise
from .recipe import Recipe

#: The contrib operators and IR 11 come with every ONNX Runtime >= 1.31.
OPSETS = {"": ONNX_OPSET, CONTRIB: 1, FUNCTIONS: 1}
#: TensorScatter and the Attention that goes with it are of opset 24.
STANDARD_OPSETS = {"": 24}
IR_VERSION = 11
#: External data begins on a page, so that it can be mapped.
ALIGNMENT = 4096
#: Rows of a weight in blocks that CUDA's kernels go through together.
ROWS_OF_KERNELS = 64


@dataclass(frozen=True)
class Source:
    """A checkpoint tensor and the shape it must have."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Parameter:
    """A weight of a graph: its sources one below the other, or computed values.

    With a scheme it is the packed levels of its sources; their scales and zero points are parameters without
    sources that name it in ``beside``, and come after it.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[Source, ...] = ()
    computed: Callable[[], np.ndarray] | None = None
    dtype: str = "float32"
    scheme: Blockwise | None = None
    beside: str = ""

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * int(DTYPES[self.dtype].itemsize)


@dataclass(frozen=True)
class Packed:
    """A weight of ``shape`` (outputs, inputs) in blocks, stored with ``rows`` of them."""

    scheme: Blockwise
    shape: tuple[int, int]
    rows: int
    levels: ir.Value
    scales: ir.Value
    zero_points: ir.Value | None


class GraphBuilder:
    """Collects nodes and parameters; ``model`` turns them into an ONNX model that points into a data file."""

    def __init__(self, spec: GraphSpec, recipe: Recipe) -> None:
        self.spec = spec
        self.recipe = recipe
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
        value.type = ir.TensorType(DTYPES[tensor.dtype])
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

    def rows(self, name: str, x: ir.Value, count: str, *widths: int, dtype: str = "float32") -> ir.Value:
        """``x`` as ``[count, *widths]``, where ``count`` is a name.

        In cpu graphs, whose activations are float32, that name is written down: values with the same one are
        known to be of one size, so ONNX Runtime lets one take the other's memory. Each layer has its own:
        else every buffer would be handed on from layer to layer and kept until the run ends.
        """
        y = self.op("Reshape", name, x, self.ints(-1, *widths))
        if self.recipe.target == "cpu":
            y.shape, y.type = ir.Shape([count, *widths]), ir.TensorType(DTYPES[dtype])
        return y

    def parameter(self, name: str, *shape: int) -> ir.Value:
        """A weight that is the checkpoint tensor of the same name; asked for twice, it is shared."""
        return self.stacked(name, [Source(name, shape)])

    def stacked(self, name: str, sources: Sequence[Source]) -> ir.Value:
        """A weight made of checkpoint tensors one below the other, in the type of the activations."""
        return self._stacked(name, sources, self.recipe.activation)

    def exact(self, name: str, *shape: int) -> ir.Value:
        """A checkpoint tensor in float32, whatever the type of the activations."""
        return self._stacked(name, [Source(name, shape)], "float32")

    def computed(self, name: str, shape: tuple[int, ...], values: Callable[[], np.ndarray]) -> ir.Value:
        """A weight that comes from no checkpoint tensor, in the type of the activations."""
        return self._add(Parameter(name, shape, (), values, self.recipe.activation))

    def packed(self, name: str, sources: Sequence[Source], scheme: Blockwise) -> Packed:
        """A weight in blocks; asked for twice, it is shared.

        For cuda it gets rows of zeros up to a number that the kernels take: with another, ONNX Runtime would
        write the whole weight out in 16 bits for every step.
        """
        outputs, inputs = sum(source.shape[0] for source in sources), sources[0].shape[1]
        rows = -(-outputs // ROWS_OF_KERNELS) * ROWS_OF_KERNELS if self.recipe.target == "cuda" else outputs
        levels = Parameter(
            name, scheme.packed_shape(rows, inputs), tuple(sources), dtype="uint8", scheme=scheme
        )
        shape = rows, scheme.blocks(inputs)
        scales = Parameter(f"{name}.scales", shape, dtype=self.recipe.activation, beside=name)
        values = [self._add(levels), self._add(scales), None]
        if scheme.zero_points:
            shape = scheme.zeros_shape(rows, inputs)
            values[2] = self._add(Parameter(f"{name}.zero_points", shape, dtype="uint8", beside=name))
        return Packed(scheme, (outputs, inputs), rows, *values)

    def columns(self, packed: str, width: int) -> ir.Value:
        """What a row of a weight in blocks is multiplied by, [width] float32; see ``EqualizedCheckpoint``."""
        return self._add(Parameter(f"{packed}.columns", (width,), beside=packed))

    def _stacked(self, name: str, sources: Sequence[Source], dtype: str) -> ir.Value:
        rows = sum(source.shape[0] for source in sources)
        return self._add(Parameter(name, (rows, *sources[0].shape[1:]), tuple(sources), dtype=dtype))

    def ints(self, *numbers: int) -> ir.Value:
        """A small constant ``[len(numbers)]`` of int64, kept inside the graph file."""
        return self.constant(np.array(numbers, np.int64))

    def scalar(self, number: int) -> ir.Value:
        """An int64 constant without dimensions."""
        return self.constant(np.array(number, np.int64))

    def number(self, value: float) -> ir.Value:
        """A float32 constant without dimensions."""
        return self.constant(np.array(value, np.float32))

    def model(self, producer_version: str) -> ir.Model:
        """The finished model, its weights referring to the data file in the order of ``parameters``."""
        offset = 0
        for name, parameter in self.parameters.items():
            self._parameter_values[name].const_value = ir.ExternalTensor(
                self.spec.data_file, offset, parameter.bytes, DTYPES[parameter.dtype],
                shape=ir.Shape(parameter.shape), name=name,
            )  # fmt: skip
            offset = aligned(offset + parameter.bytes)
        graph = ir.Graph(
            [self._inputs[spec.name] for spec in self.spec.inputs],
            [self._outputs[spec.name] for spec in self.spec.outputs],
            nodes=self.nodes,
            initializers=[*self._parameter_values.values(), *self._constants.values()],
            opset_imports=STANDARD_OPSETS if self.recipe.standard else OPSETS,
            name=self.spec.file.removesuffix(".onnx"),
        )
        return ir.Model(
            graph,
            ir_version=IR_VERSION,
            producer_name="fleming_export",
            producer_version=producer_version,
            functions=functions.used(node.op_type for node in self.nodes if node.domain == FUNCTIONS),
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
        if (known.shape, known.dtype) != (parameter.shape, parameter.dtype):
            raise ValueError(f"{parameter.name} is used as {known.shape} and as {parameter.shape}")
        if parameter.name not in self._parameter_values:
            self._parameter_values[parameter.name] = ir.Value(
                name=parameter.name,
                shape=ir.Shape(parameter.shape),
                type=ir.TensorType(DTYPES[parameter.dtype]),
            )
        return self._parameter_values[parameter.name]

    def constant(self, array: np.ndarray) -> ir.Value:
        """A constant kept inside the graph file; asked for twice, it is shared."""
        key = (array.shape, array.dtype.name, array.tobytes())
        if key not in self._constants:
            numbers = array.reshape(-1)
            if array.ndim > 1:
                numbers = [*array.shape, "from", numbers[0], "to", numbers[-1]]
            name = f"{array.dtype.name}_" + "_".join(map(str, numbers)) + "_" * (array.ndim == 0)
            tensor = ir.tensor(array, name=name)
            self._constants[key] = ir.Value(
                name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
            )
        return self._constants[key]


DTYPES = {
    "float32": ir.DataType.FLOAT,
    "float16": ir.DataType.FLOAT16,
    "bfloat16": ir.DataType.BFLOAT16,
    "int64": ir.DataType.INT64,
    "int32": ir.DataType.INT32,
    "uint8": ir.DataType.UINT8,
}


def _value(spec: TensorSpec) -> ir.Value:
    return ir.Value(name=spec.name, shape=ir.Shape(spec.shape), type=ir.TensorType(DTYPES[spec.dtype]))


def aligned(offset: int) -> int:
    """The next multiple of ``ALIGNMENT``."""
    return -(-offset // ALIGNMENT) * ALIGNMENT
