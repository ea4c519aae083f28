"""The largest logits that packages for cuda give beside all of them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from numpy_model import NumpyModel
from test_graphs import CAPACITY, Runtime, operators, random_ids

from fleming_export import export, make_recipe
from fleming_export.arch.best import STRETCH, best_logits
from fleming_export.contract import BEST, GraphSpec, TensorSpec
from fleming_export.graph import GraphBuilder


def session(vocabulary: int, folder) -> onnxruntime.InferenceSession:
    logits = TensorSpec("logits", "float32", ("predictions", vocabulary))
    best = TensorSpec("best", "float32", ("predictions", 2 * BEST + 1))
    g = GraphBuilder(GraphSpec("best.onnx", (logits,), (best,)), make_recipe("cuda", "f32"))
    g.output("best", best_logits(g, g.input("logits"), vocabulary))
    ir.save(g.model("test"), folder / "best.onnx")
    return onnxruntime.InferenceSession(str(folder / "best.onnx"), providers=["CPUExecutionProvider"])


def taken_apart(best: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return best[:, :BEST], best[:, BEST : 2 * BEST].astype(np.int64), best[:, -1]


@pytest.mark.parametrize("vocabulary", [11, STRETCH, STRETCH + 3, 4 * STRETCH, 1111, 151674])
def test_they_are_the_largest(vocabulary, tmp_path):
    logits = np.random.default_rng(vocabulary).normal(size=(3, vocabulary)).astype(np.float32)
    logits[1] -= 1000
    logits[2, ::2] = logits[2].max() + 1  # equals
    best = session(vocabulary, tmp_path).run(None, {"logits": logits})[0]
    values, ids, total = taken_apart(best)
    assert (values == -np.sort(-logits, axis=1)[:, :BEST]).all()
    assert (np.take_along_axis(logits, ids, axis=1) == values).all()
    assert all(len(set(row)) == BEST for row in ids.tolist())
    # whether it is finite is all that is read of it: float32 in any order will do
    assert np.allclose(total, logits.sum(axis=1, dtype=np.float64), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_shows_in_the_sum(odd, tmp_path):
    run = session(1111, tmp_path)
    for place in (0, 700, 1110):
        logits = np.zeros((2, 1111), np.float32)
        logits[1, place] = odd
        total = run.run(None, {"logits": logits})[0][:, -1]
        assert np.isfinite(total).tolist() == [True, False]


@pytest.fixture(scope="module")
def twin(exported, tmp_path_factory):
    out = tmp_path_factory.mktemp("twin") / "package"
    return export(str(exported.checkpoint), out, recipe=make_recipe("cuda", "f32"))


def test_a_package_gives_them_beside_its_logits(exported, twin):
    assert "TopK" in operators(twin / "decoder.onnx")
    assert "TopK" not in operators(exported.package / "decoder.onnx")
    model, runtime = NumpyModel(exported.checkpoint), Runtime(twin)
    logits, best = runtime.step(slice(0, 1), random_ids(model, 9, 1)[None], [0], at=(2, -1), wanted="both")
    values, ids, _ = taken_apart(best)
    assert (values == -np.sort(-logits, axis=1)[:, :BEST]).all()
    assert (np.take_along_axis(logits, ids, axis=1) == values).all()


def test_the_longest_row_may_be_said_to_be_longer(exported, twin):
    """A step that is recorded and played again has this number fixed: it must not matter."""
    model = NumpyModel(exported.checkpoint)
    ids = random_ids(model, 9, 1)
    logits = []
    for longest in (None, CAPACITY):
        runtime = Runtime(twin, slots=2)
        runtime.step(slice(0, 1), ids[None, :8], [0])
        runtime.step(slice(1, 2), ids[None, :3], [0])
        logits.append(runtime.step(slice(0, 2), ids[[8, 3]][:, None], [8, 3], longest=longest))
    assert (logits[0] == logits[1]).all()
