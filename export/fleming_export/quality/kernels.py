"""How fast this machine multiplies with each way of storing a weight: forms side by side, in turns."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

#: rows of the activations, inputs and outputs of the weight; the 8B's widths
SHAPES = {
    "decode gate": (1, 3584, 18944),
    "prefill gate": (128, 3584, 18944),
    "vision fc1": (1025, 1024, 4096),
}
BASELINE = "f32"


@dataclass(frozen=True)
class Form:
    """MatMulNBits with these attributes; 0 bits is a float32 Gemm, 1 stands for dynamic int8."""

    bits: int
    block: int = 0
    zero_points: str = ""  # or "zero points"
    level: int = 4

    def __str__(self) -> str:
        if self.bits < 2:
            return (BASELINE, "dynamic int8")[self.bits]
        return f"{self.bits} bits, block {self.block}, level {self.level} {self.zero_points}".strip()


FORMS = [
    Form(0),
    *(Form(4, block) for block in (32, 64, 128)),
    *(Form(4, block, "zero points") for block in (32, 64, 128)),
    *(Form(8, block) for block in (32, 64, 128)),
    Form(4, 32, level=0),
    Form(8, 32, level=0),
    Form(1),
]


def measure(rounds: int, threads: int) -> dict[str, dict[str, float]]:
    """Best time in milliseconds for each shape and form; each round runs every form once."""
    table = {}
    for shape, (rows, inputs, outputs) in SHAPES.items():
        forms = [form for form in FORMS if form.bits != 1 or rows > 1]
        sessions = {str(form): _session(form, inputs, outputs, threads) for form in forms}
        x = {"x": np.random.default_rng(0).normal(size=(rows, inputs)).astype(np.float32)}
        best = dict.fromkeys(sessions, float("inf"))
        for _ in range(rounds):
            for form, session in sessions.items():
                start = time.perf_counter()
                session.run(None, x)
                best[form] = min(best[form], time.perf_counter() - start)
        table[shape] = {form: 1000 * seconds for form, seconds in best.items()}
    return table


def print_table(table: dict[str, dict[str, float]]) -> None:
    """Markdown: time of a form as a multiple of the float32 product's."""
    print("| form | " + " | ".join(table) + " |")
    print("|---|" + "---|" * len(table))
    for form in map(str, FORMS):
        cells = [f"{times[form] / times[BASELINE]:.2f}" if form in times else "" for times in table.values()]
        print(f"| {form} | " + " | ".join(cells) + " |")


def _session(form: Form, inputs: int, outputs: int, threads: int) -> onnxruntime.InferenceSession:
    generator = np.random.default_rng(1)
    if form.bits < 2:
        nodes, weights = (_gemm, _dynamic)[form.bits](generator, inputs, outputs)
    else:
        nodes, weights = _blockwise(form, generator, inputs, outputs)
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", outputs])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    providers = ["CPUExecutionProvider"]
    # as bytes it must stay under 2 GiB, which the widest float32 weight above does
    return onnxruntime.InferenceSession(
        onnx.ModelProto.SerializeToString(model), options, providers=providers
    )


def _gemm(generator: np.random.Generator, inputs: int, outputs: int) -> tuple[list, dict]:
    weights = {"w": generator.standard_normal((outputs, inputs), np.float32)}
    return [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)], weights


def _dynamic(generator: np.random.Generator, inputs: int, outputs: int) -> tuple[list, dict]:
    """Activations to 8 bits by one scale for the whole tensor, weights by one scale for each output."""
    node = helper.make_node("DynamicQuantizeMatMul", ["x", "w", "s"], ["y"], domain="com.microsoft")
    weights = {
        "w": generator.integers(-127, 128, (inputs, outputs), np.int8),
        "s": np.full(outputs, 0.01, np.float32),
    }
    return [node], weights


def _blockwise(form: Form, generator: np.random.Generator, inputs: int, outputs: int) -> tuple[list, dict]:
    blocks = -(-inputs // form.block)
    weights = {
        "w": generator.integers(0, 256, (outputs, blocks, form.block * form.bits // 8), np.uint8),
        "s": np.full((outputs, blocks), 0.01, np.float32),
    }
    if form.zero_points:
        packed = -(-blocks * form.bits // 8)
        weights["z"] = generator.integers(0, 256, (outputs, packed), np.uint8)
    attributes = {"K": inputs, "N": outputs, "bits": form.bits, "block_size": form.block}
    node = helper.make_node(
        "MatMulNBits", ["x", *weights], ["y"], domain="com.microsoft", **attributes, accuracy_level=form.level
    )
    return [node], weights
