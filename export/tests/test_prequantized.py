"""Checkpoints packed by AWQ and GPTQ: their levels arrive in the package as they are, and mean what their
float32 twin means."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from checkpoints import edit_json, read_tensors, write_tensors
from numpy_model import NumpyModel
from test_graphs import Runtime, random_ids

from fleming_export import ExportError, export, make_recipe
from fleming_export.recipe import Choices
from fleming_export.source import open_checkpoint
from fleming_export.sources.folder import Checkpoint

LAYERS = "language_model.model.layers."
#: as AutoAWQ's gemm kernel wants eight outputs in an int32
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


@dataclass(frozen=True)
class Kind:
    """A way of packing."""

    method: str
    bits: int
    group: int
    symmetric: bool = False
    version: str = "gptq"

    @property
    def config(self) -> dict:
        common = {"quant_method": self.method, "bits": self.bits, "group_size": self.group}
        if self.method == "awq":
            return {**common, "version": "gemm", "zero_point": not self.symmetric}
        return {**common, "sym": self.symmetric, "desc_act": False, "checkpoint_format": self.version}


KINDS = [
    Kind("awq", 4, 32),
    Kind("awq", 4, 64, symmetric=True),
    Kind("gptq", 4, 32),
    Kind("gptq", 4, 64, symmetric=True),
    Kind("gptq", 4, 64, version="gptq_v2"),
    Kind("gptq", 8, 32),
]


def packed_words(levels: np.ndarray, kind: Kind, axis: int) -> np.ndarray:
    """[rows, columns] -> int32 words along an axis, written out bit by bit as the packers document it."""
    per = 32 // kind.bits
    order = AWQ_ORDER if kind.method == "awq" else range(per)
    shape = list(levels.shape)
    shape[axis] //= per
    words = np.zeros(shape, np.uint32)
    for index in np.ndindex(*shape):
        for place, inner in enumerate(order):
            at = list(index)
            at[axis] = index[axis] * per + inner
            words[index] |= np.uint32(int(levels[tuple(at)]) << (kind.bits * place))
    return words.view(np.int32)


def pack(weight: np.ndarray, kind: Kind, generator: np.random.Generator) -> tuple[dict, np.ndarray]:
    """[out, in] float32 -> the layer's tensors and the weight that they stand for."""
    outputs, inputs = weight.shape
    groups, top = inputs // kind.group, (1 << kind.bits) - 1
    blocks = weight.T.reshape(groups, kind.group, outputs)
    scales = (np.abs(blocks).max(1) / (top // 2)).astype(np.float16)
    middle = 1 << (kind.bits - 1)
    zeros = np.full((groups, outputs), middle)
    if not kind.symmetric:
        zeros += generator.integers(-3, 4, zeros.shape)
    wide = scales.astype(np.float32)[:, None]
    levels = np.clip(np.rint(blocks / wide) + zeros[:, None], 0, top).astype(np.int64)
    twin = ((levels - zeros[:, None]) * wide).reshape(inputs, outputs).T.astype(np.float32)
    stored = zeros - (kind.method == "gptq" and kind.version == "gptq")
    parts = {
        "qweight": packed_words(levels.reshape(inputs, outputs), kind, int(kind.method == "awq")),
        "qzeros": packed_words(stored, kind, 1),
        "scales": scales,
    }
    if kind.method == "gptq":
        parts["g_idx"] = (np.arange(inputs) // kind.group).astype(np.int32)
    return parts, twin


def write_packed(plain, folder, kind: Kind):
    """A packed checkpoint and its float32 twin in ``folder``."""
    packed, twin = (shutil.copytree(plain, folder / name) for name in ("packed", "twin"))
    generator = np.random.default_rng(7)
    tensors, values, dtypes, wide = {}, {}, {}, {}
    for name, bits in read_tensors(plain).items():
        layer = name.removesuffix(".weight")
        if not (name.startswith(LAYERS) and name.endswith("proj.weight")):
            tensors[name] = values[name] = bits
            continue
        weight = (bits.astype(np.uint32) << 16).view(np.float32)
        parts, values[name] = pack(weight, kind, generator)
        wide[name] = "F32"
        for part, content in parts.items():
            tensors[f"{layer}.{part}"] = content
            dtypes[f"{layer}.{part}"] = "F16" if part == "scales" else "I32"
    write_tensors(packed, tensors, dtypes)
    write_tensors(twin, values, wide)
    edit_json(packed / "config.json", "quantization_config", kind.config)
    return packed, twin


@pytest.fixture(scope="module", params=KINDS, ids=str)
def pair(request, plain, tmp_path_factory):
    return request.param, *write_packed(plain, tmp_path_factory.mktemp("packed"), request.param)


@pytest.fixture
def awq(plain, tmp_path):
    return write_packed(plain, tmp_path, KINDS[0])[0]


def test_values(pair):
    _, packed, twin = pair
    got, wanted = open_checkpoint(str(packed)), open_checkpoint(str(twin))
    assert got.tensors.keys() == wanted.tensors.keys()
    for name in wanted.tensors:
        one, other = (np.concatenate(list(each.blocks(name))) for each in (got, wanted))
        assert np.array_equal(one, other), name


def test_levels_are_not_rounded_again(pair, tmp_path):
    """The package of the packed weights says what the model of their values says."""
    kind, packed, twin = pair
    recipe = make_recipe("cpu", f"int{kind.bits}")
    # the rest in float32, and no rounding of activations: what is left is the packed weights
    recipe = replace(recipe, level=0, head=None, embedding=None, vision=None)
    runtime, model = Runtime(export(str(packed), tmp_path / "package", recipe=recipe)), NumpyModel(twin)
    scheme = runtime.manifest["quantization"]["language"]
    assert scheme == {"bits": kind.bits, "block": kind.group, "zero_points": not kind.symmetric}
    ids = random_ids(model, 12, 3)
    wanted = model.logits(ids.tolist())
    for position in range(12):
        got = runtime.step(slice(0, 1), ids[None, position : position + 1], [position])[0]
        assert np.abs(got - wanted[position]).max() < 1e-3
    nodes = onnx.load(tmp_path / "package/decoder.onnx", load_external_data=False).graph.node
    products = [node for node in nodes if node.op_type == "MatMulNBits"]
    assert len(products) == 5 * runtime.manifest["kv"]["layers"]
    assert all((len(node.input) > 3 and node.input[3] != "") != kind.symmetric for node in products)


def test_the_default_recipe_takes_the_group_of_the_checkpoint(pair, tmp_path):
    kind, packed, _ = pair
    out = export(str(packed), tmp_path / "package", recipe=make_recipe("cpu", f"int{kind.bits}"))
    found = json.loads((out / "fleming.json").read_text())["quantization"]
    assert (found["language"]["block"], found["head"]["bits"]) == (kind.group, 8)
    if kind.bits == 4:
        export(str(packed), tmp_path / "cuda", recipe=make_recipe("cuda", "int4"))


def refuse(folder, tmp_path, match: str, recipe=None):
    with pytest.raises(ExportError, match=match):
        export(str(folder), tmp_path / "package", recipe=recipe)
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("quant_method", "bitsandbytes"),
        ("group_size", -1),
        ("group_size", 48),
        ("bits", 3),
        ("version", "gemv"),
        ("zero_point", ...),
    ],
)
def test_other_ways_of_packing_are_named(awq, tmp_path, key, value):
    edit_json(awq / "config.json", f"quantization_config.{key}", value)
    refuse(awq, tmp_path, f"quantization_config.{key}")


def test_another_group_than_said(awq, tmp_path):
    edit_json(awq / "config.json", "quantization_config.group_size", 64)
    refuse(awq, tmp_path, "qweight: wanted shape")


def test_precision_and_block_must_be_the_checkpoints(awq, tmp_path):
    refuse(awq, tmp_path, "precision: wanted int4", make_recipe("cpu", "int8"))
    refuse(awq, tmp_path, "block size: wanted 32", make_recipe("cpu", "int4", Choices(block=64)))


def test_packed_tensors_without_a_word_in_the_config(awq, tmp_path):
    edit_json(awq / "config.json", "quantization_config", ...)
    refuse(awq, tmp_path, "no such tensor")


@pytest.mark.parametrize("change", ["act-order", "missing", "bias", "zeros"])
def test_what_cannot_be_taken_as_it_is(plain, tmp_path, change):
    packed, _ = write_packed(plain, tmp_path, Kind("gptq", 4, 32))
    raw = Checkpoint(packed, "name", "name").tensors
    layer = f"{LAYERS}1.mlp.down_proj"
    tensors, dtypes = {}, {}
    for name, place in raw.items():
        kind = {"I32": "<i4", "F16": "<f2", "BF16": "<u2"}[place.dtype]
        tensors[name] = np.fromfile(place.file, kind, place.values, offset=place.offset).reshape(place.shape)
        dtypes[name] = place.dtype
    if change == "act-order":
        tensors[f"{layer}.g_idx"] = tensors[f"{layer}.g_idx"][::-1].copy()
    elif change == "missing":
        del tensors[f"{layer}.scales"]
    elif change == "bias":
        tensors[f"{layer}.bias"], dtypes[f"{layer}.bias"] = np.zeros(64, "<u2"), "BF16"
    else:
        tensors[f"{layer}.qzeros"][0, 0] = -1
    write_tensors(packed, tensors, dtypes)
    if change == "bias":  # of zeros, as some packers add them
        export(str(packed), tmp_path / "package", recipe=make_recipe("cpu", "int4"))
        return
    wanted = {"act-order": "act-order", "missing": "scales", "zeros": "zero levels up to 15"}
    refuse(packed, tmp_path, wanted[change], make_recipe("cpu", "int4"))
