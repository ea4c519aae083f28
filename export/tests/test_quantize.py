"""Block-wise weights: the packing that ONNX Runtime reads, the error that is left, and equalised columns."""

from __future__ import annotations

import json
from dataclasses import replace

import ml_dtypes
import numpy as np
import onnx
import pytest
from checkpoints import VARIANTS
from numpy_model import NumpyModel, load
from test_graphs import Runtime, random_ids

from fleming_export import ExportError, export, make_recipe
from fleming_export.config import read_config
from fleming_export.links import links
from fleming_export.quantize import Blockwise, encode
from fleming_export.source import open_checkpoint
from fleming_export.sources.equalized import EqualizedCheckpoint
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options
from fleming_export.weights import EMBEDDING, HEAD

SCHEMES = [
    Blockwise(bits, block, zero_points)
    for bits in (4, 8)
    for block in (16, 32, 128)
    for zero_points in (False, True)
]


def error(rows: np.ndarray, scheme: Blockwise) -> float:
    """Squared error, relative."""
    decoded = encode(rows, scheme).decoded(scheme, rows.shape[1])
    return float(((decoded - rows) ** 2).sum() / (rows**2).sum())


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_no_value_is_off_by_more_than_its_block_allows(scheme):
    rows = np.random.default_rng(0).standard_t(4, (30, 200)).astype(np.float32)
    plain = Blockwise(scheme.bits, scheme.block, scheme.zero_points, search=False)
    encoded = encode(rows, plain)
    off = np.abs(encoded.decoded(plain, 200) - rows)
    steps = np.repeat(np.abs(encoded.scales), scheme.block, axis=1)[:, :200]
    # half a step; a whole one at the end of the range, which zero points and signs may shift
    assert (off <= steps * 1.01).all()
    assert np.median(off / steps) < 0.3


@pytest.mark.parametrize("kind", ["normal", "heavy", "one-sided"])
@pytest.mark.parametrize("zero_points", [False, True])
def test_search_leaves_less_error_than_plain_rounding(kind, zero_points):
    generator = np.random.default_rng(1)
    rows = {
        "normal": generator.standard_normal((64, 512)),
        "heavy": generator.standard_t(3, (64, 512)),
        "one-sided": generator.exponential(size=(64, 512)),
    }[kind].astype(np.float32)
    plain, searched = (error(rows, Blockwise(4, 32, zero_points, search)) for search in (False, True))
    assert searched < 0.99 * plain
    assert error(rows, Blockwise(8, 32, zero_points)) < searched / 50


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_blocks_of_zeros_and_single_values(scheme):
    rows = np.zeros((3, 256), np.float32)
    rows[1, 5], rows[2, 200] = 3, -2e-30
    assert error(rows[1:2], scheme) < 1e-5
    decoded = encode(rows, scheme).decoded(scheme, 256)
    assert not decoded[0].any()
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_scales_are_rounded_before_the_levels_are_chosen(kind):
    rows = np.random.default_rng(2).standard_normal((32, 128)).astype(np.float32)
    rough = error(rows, Blockwise(8, 32, scale_type=kind))
    assert rough < 2 * error(rows, Blockwise(8, 32))


def test_sums_in_bfloat16_are_rougher_than_its_rounding():
    """ONNX Runtime's kernels for a few tokens add up a warp's 32 shares of a row in the type of the
    activations: why a decoder of 4 bits computes in float16."""
    rng, lost = np.random.default_rng(6), {}
    x, rows = rng.standard_normal(3584), rng.standard_normal((256, 3584)).astype(np.float32)
    rows = encode(rows, Blockwise(4, 32)).decoded(Blockwise(4, 32), 3584)
    for kind in (ml_dtypes.bfloat16, np.float16):
        parts = [values.astype(kind).reshape(-1, 14, 32, 8).astype(np.float32) for values in (rows, x)]
        total = np.zeros((256, 32), np.float32)
        for place in np.ndindex(14, 8):
            one, other = (part[:, place[0], :, place[1]] for part in parts)
            total = (total + one * other).astype(kind).astype(np.float32)
        exact = np.einsum("nabc,mabc->n", *(part.astype(np.float64) for part in parts))
        lost[kind] = np.linalg.norm(total.sum(1) - exact) / np.linalg.norm(exact)
    rounding = 2.0**-9 / 3**0.5
    assert lost[ml_dtypes.bfloat16] > 5 * rounding > 3 * lost[np.float16]


@pytest.mark.parametrize("name", list(VARIANTS))
def test_equalised_weights_are_the_same_function(name, tmp_path):
    size, options = VARIANTS[name]
    write_checkpoint(size, tmp_path / "checkpoint", replace(options, outliers=2))
    checkpoint = open_checkpoint(str(tmp_path / "checkpoint"))
    config = read_config(checkpoint.json("config.json"))
    equalised = EqualizedCheckpoint(checkpoint, links(config))
    model = NumpyModel(tmp_path / "checkpoint")
    ids = random_ids(model, 9, 3).tolist()
    pixels = np.random.default_rng(4).normal(size=(3, 448, 448)).astype(np.float32)
    wanted = model.logits(ids), model.embed(pixels)
    before = model.w
    model.w = {
        key: np.concatenate(list(equalised.blocks(key))).astype(np.float64).reshape(value.shape)
        for key, value in before.items()
    }
    model.w[EMBEDDING] *= equalised.inverse(EMBEDDING)  # as the graph does with its rows
    changed = [key for key, value in before.items() if not np.array_equal(value, model.w[key])]
    assert len(changed) > 10
    for got, want in zip((model.logits(ids), model.embed(pixels)), wanted, strict=True):
        assert np.abs(got - want).max() < 1e-9 * np.abs(want).max()


def test_planted_outliers_keep_the_function(tmp_path):
    logits, largest = [], []
    for outliers in (0, 2):
        folder = tmp_path / str(outliers)
        write_checkpoint("tiny", folder, Options(seed=5, patch_size=28, outliers=outliers))
        model = NumpyModel(folder)
        logits.append(model.logits([3, 1, 4, 1, 5]))
        largest.append(np.abs(model.w["language_model.model.layers.1.mlp.up_proj.weight"]).max())
    # to the rounding of the checkpoint's bfloat16: the factors are no powers of two
    assert np.linalg.norm(logits[0] - logits[1]) < 0.03 * np.linalg.norm(logits[0])
    assert largest[1] > 30 * largest[0]


PRECISIONS = {"int8": 0.08, "int4": 0.7}


@pytest.fixture(scope="module", params=list(PRECISIONS))
def quantised(request, exported, tmp_path_factory):
    package = tmp_path_factory.mktemp("quantised") / "package"
    return export(str(exported.checkpoint), package, recipe=make_recipe("cpu", request.param))


def test_packages_are_near_the_model(exported, quantised):
    """Random weights a few dozen wide are the worst case; what matters is in the quality report."""
    runtime = Runtime(quantised)
    model = NumpyModel(exported.checkpoint)
    ids = random_ids(model, 20, 5)
    wanted = model.logits(ids.tolist())
    limit = PRECISIONS[runtime.manifest["precision"]]
    for position in range(20):
        got = runtime.step(slice(0, 1), ids[None, position : position + 1], [position])[0]
        assert np.linalg.norm(got - wanted[position]) < limit * np.linalg.norm(wanted[position])
    pixels = np.random.default_rng(0).normal(size=(1, 3, 448, 448)).astype(np.float32)
    embeds = model.embed(pixels[0])
    assert np.linalg.norm(runtime.embed(pixels)[0] - embeds) < 0.03 * np.linalg.norm(embeds)
    assert runtime.manifest["quantization"]["head"]["bits"] == 8


def test_a_tied_table_is_stored_once_and_products_are_in_blocks_but_those_apart(exported, quantised):
    model = onnx.load(quantised / "decoder.onnx", load_external_data=False)
    head = next(node for node in model.graph.node if node.name == "language_model.lm_head")
    tied = load(exported.checkpoint)[0]["llm_config"]["tie_word_embeddings"]
    assert head.input[1] == (EMBEDDING if tied else HEAD)
    stored = [tensor.name for tensor in model.graph.initializer]
    assert (HEAD in stored) != tied
    manifest = json.loads((quantised / "fleming.json").read_text())
    tower = "vision_model.encoder.layers.0."
    exact = {"mlp1.1", "mlp1.3", "vision_model.embeddings.patch_embedding"} | {
        f"{tower}{part}" for part in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    }
    if manifest["precision"] == "int8":
        first = "language_model.model.layers.0."
        parts = "self_attn.qkv", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down"
        exact |= {f"{first}{part}_proj" for part in parts}
    found = set()
    for graph in ("decoder.onnx", "vision.onnx"):
        nodes = onnx.load(quantised / graph, load_external_data=False).graph.node
        found |= {node.name for node in nodes if node.op_type in ("Gemm", "MatMul")}
    assert found == exact


def test_layers_apart_are_named_with_how_they_are_stored(quantised):
    facts = json.loads((quantised / "fleming.json").read_text())
    eight = {"bits": 8, "block": 64, "zero_points": False}
    first = "language_model.model.layers.0."
    outside = {"mlp1.": None, "vision_model.encoder.layers.0.": None}
    wanted = {
        "int8": {**outside, first: None},
        "int4": {**outside, first: eight, "self_attn.qkv_proj": eight},
    }
    assert facts["quantization"]["apart"] == wanted[facts["precision"]]


@pytest.mark.parametrize(
    ("target", "precision"), [("cpu", "bf16"), ("tensorrt", "int4"), ("cuda", "f8"), ("toaster", "f32")]
)
def test_target_and_precision_must_go_together(target, precision):
    with pytest.raises(ExportError, match="wanted"):
        make_recipe(target, precision)
