"""libfleming as a library of custom operators in ONNX Runtime's Python API."""

import os
from pathlib import Path

import numpy as np
import pytest
from fleming_export.parity.runtime import PackageRunner

MODELS = Path(__file__).parents[3] / "models"
LIBRARY = Path(os.environ["FLEMING_LIBRARY"])


def answers(package: Path, library: Path | None) -> list[np.ndarray]:
    """Embeddings of a tile, and logits after a prompt and after one more token."""
    runner = PackageRunner(package, 128, library)
    vision = runner.manifest["vision"]
    draw = np.random.default_rng(0)
    size = vision["image_size"]
    tile = draw.standard_normal((1, 3, size, size), np.float32)
    ids = draw.integers(0, 100, 60)
    rows = np.zeros((1, vision["hidden_size"]), np.float32)
    return [runner.embed(tile), runner.prefill_ids(ids, np.full(60, -1), rows), runner.step(7)]


@pytest.mark.parametrize(
    ("package", "most"),
    # float32 is added up in another order; and ONNX Runtime rounds activations to 8 bits, which not every
    # kernel of this library does
    [("demo", 1e-5), ("synthetic-int8", 0.1), ("synthetic-int4", 0.1)],
)
def test_a_session_computes_with_the_operators_of_the_library(package, most):
    for theirs, own in zip(*(answers(MODELS / package, at) for at in (None, LIBRARY)), strict=True):
        assert 0 < np.abs(own - theirs).max() < most * np.abs(theirs).max()


def test_what_the_operators_cannot_compute_is_named():
    onnx = pytest.importorskip("onnx")
    import onnxruntime

    weights = {"w": np.zeros((8, 1, 16), np.uint8), "s": np.ones((8, 1), np.float32)}
    node = onnx.helper.make_node(
        "MatMulNBits",
        ["x", "w", "s"],
        ["y"],
        "product",
        domain="com.microsoft",
        K=32,
        N=8,
        bits=4,
        block_size=32,
    )
    shapes = {"x": ["rows", 32], "y": ["rows", 8]}
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in shapes.items())
    initial = [onnx.numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = onnx.helper.make_graph([node], "one", [x], [y], initial)
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(LIBRARY))
    with pytest.raises(Exception, match=r"product \(MatMulNBits\): accuracy_level: wanted 4"):
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
