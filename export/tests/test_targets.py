"""What the graphs of each target are made of, and that those in half precision hold together."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from checkpoints import VARIANTS
from numpy_model import NumpyModel
from test_graphs import CAPACITY, Runtime, operators, random_ids

from fleming_export import ExportError, export, make_recipe
from fleming_export import recipe as recipes
from fleming_export.recipe import Choices
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options

HALF = [(target, precision) for target in ("cuda", "tensorrt") for precision in ("bf16", "f16")] + [
    ("cuda", "int8"),
    ("cuda", "int4"),
]
CONTRIB = "GroupQueryAttention SkipLayerNormalization SkipSimplifiedLayerNormalization Gelu QuickGelu".split()


@pytest.fixture(scope="module", params=["tiny", "38b-tied", "qwen3"])
def checkpoint(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets") / "checkpoint"
    write_checkpoint(VARIANTS[request.param][0], folder, VARIANTS[request.param][1])
    return folder


@pytest.fixture(scope="module", params=HALF, ids="-".join)
def package(request, checkpoint, tmp_path_factory):
    target, precision = request.param
    choices = Choices(capacity=CAPACITY if target == "tensorrt" else None)
    out = tmp_path_factory.mktemp("half") / "package"
    return export(str(checkpoint), out, recipe=make_recipe(target, precision, choices))


def read(path) -> onnx.ModelProto:
    return onnx.load(path, load_external_data=False)


def test_operators(package):
    target = json.loads((package / "fleming.json").read_text())["target"]
    for graph in ("vision.onnx", "decoder.onnx"):
        used = operators(package / graph)
        contrib = {name.removeprefix("com.microsoft.") for name in used if name.startswith("com.microsoft.")}
        if target == "tensorrt":
            assert not contrib
            assert "Attention" in used
        else:
            assert contrib <= {*CONTRIB, "MatMulNBits"}
            assert not used & {"TensorScatter", "Sigmoid", "Gelu"}
            assert ("Attention" in used) == (graph == "vision.onnx")


def test_each_layer_has_two_scatters_and_one_attention_with_one_output(checkpoint, tmp_path):
    out = export(str(checkpoint), tmp_path / "package", recipe=make_recipe("tensorrt", "bf16"))
    manifest = json.loads((out / "fleming.json").read_text())
    layers = manifest["kv"]["layers"]
    nodes = read(out / "decoder.onnx").graph.node
    counts = Counter(node.op_type for node in nodes)
    assert (counts["TensorScatter"], counts["Attention"]) == (2 * layers, layers)
    assert all(len(node.output) == 1 for node in nodes if node.op_type in ("Attention", "TensorScatter"))
    presents = {tensor.name for tensor in read(out / "decoder.onnx").graph.output} - {"logits"}
    assert presents == {node.output[0] for node in nodes if node.op_type == "TensorScatter"}
    for node in nodes:
        if node.op_type == "TensorScatter":
            assert node.input[0] == node.output[0].replace("present", "past")
    # the buffers have a fixed capacity, which is the model's limit too
    shapes = [tensor["shape"] for tensor in manifest["graphs"]["decoder"]["outputs"][1:]]
    assert {shape[2] for shape in shapes} == {recipes.CAPACITY} == {manifest["max_positions"]}


def test_islands_of_the_standard_form(checkpoint, tmp_path):
    """Norms, patches and residual stream are float32; products and caches are not."""
    out = export(str(checkpoint), tmp_path / "package", recipe=make_recipe("tensorrt", "f16"))
    for name in ("vision.onnx", "decoder.onnx"):
        model = onnx.shape_inference.infer_shapes(read(out / name), strict_mode=True)
        types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
        types |= {tensor.name: tensor.data_type for tensor in model.graph.initializer}
        for node in model.graph.node:
            found = {types.get(part) for part in node.input if part in types}
            patches = node.name.endswith("patch_embedding")
            if patches or node.op_type in ("LayerNormalization", "RMSNormalization"):
                assert found == {onnx.TensorProto.FLOAT}, node.name
            if node.op_type == "Add" and (node.name.endswith(".sum") or ".ls" in node.name):
                assert found == {onnx.TensorProto.FLOAT}, node.name
            if not patches and node.op_type in ("Gemm", "RotaryEmbedding"):
                assert onnx.TensorProto.FLOAT not in found, node.name


def test_types_agree_everywhere(package):
    """The checker infers every type; what ONNX Runtime's CPU provider lacks may be kernels, nothing else."""
    for graph in ("vision.onnx", "decoder.onnx"):
        onnx.checker.check_model(str(package / graph), full_check=True)
        try:
            onnxruntime.InferenceSession(str(package / graph), providers=["CPUExecutionProvider"])
        except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
            assert "Could not find an implementation" in str(error)
            assert json.loads((package / "fleming.json").read_text())["precision"] != "f16"


@pytest.mark.parametrize("target", ["cuda", "tensorrt"])
def test_half_precision_is_near_the_model(checkpoint, tmp_path, target):
    """float16 runs on the CPU provider, which casts around what it has no kernel for."""
    choices = Choices(capacity=CAPACITY if target == "tensorrt" else None)
    out = export(str(checkpoint), tmp_path / "package", recipe=make_recipe(target, "f16", choices))
    model, runtime = NumpyModel(checkpoint), Runtime(out)
    ids = random_ids(model, 24, 1)
    wanted = model.logits(ids.tolist())
    runtime.step(slice(0, 1), ids[None, :11], [0])
    got = runtime.step(slice(0, 1), ids[None, 11:23], [11])
    assert np.linalg.norm(got[0] - wanted[22]) < 0.02 * np.linalg.norm(wanted[22])
    got = runtime.step(slice(0, 1), ids[None, 23:], [23])
    assert np.linalg.norm(got[0] - wanted[23]) < 0.02 * np.linalg.norm(wanted[23])
    pixels = np.random.default_rng(0).normal(size=(1, 3, 448, 448)).astype(np.float32)
    embeds = model.embed(pixels[0])
    assert np.linalg.norm(runtime.embed(pixels)[0] - embeds) < 0.02 * np.linalg.norm(embeds)


def names_of_sizes() -> tuple[str, ...]:
    """How the runtime knows the nodes that may be on the CPU."""
    source = Path(__file__).parents[2] / "src/onnx/placement.rs"
    (table,) = re.findall(r"const SIZES: [^=]*= \[(.*?)\];", source.read_text(encoding="utf-8"), re.DOTALL)
    return tuple(re.findall(r'"([^"]+)"', table))


def test_nodes_that_compute_with_sizes_are_known_by_name(package):
    """ONNX Runtime keeps those on the CPU that follow from shapes alone; no other may be there."""
    known = names_of_sizes()
    assert len(known) > 3
    for graph in ("vision.onnx", "decoder.onnx"):
        model = onnx.shape_inference.infer_shapes(read(package / graph))
        types = {value.name: value.type.tensor_type for value in model.graph.value_info}
        constants = {tensor.name: tensor.dims for tensor in model.graph.initializer}
        from_shapes = set()
        for node in model.graph.node:
            sizes = [name in from_shapes or len(constants.get(name, [0, 0])) < 2 for name in node.input]
            small = any(name in from_shapes for name in node.input) and all(sizes)
            if node.op_type == "Shape" or (small and node.op_type not in ("Expand", "Reshape")):
                from_shapes.update(node.output)
                assert node.name.startswith(known), node.name
            if node.name.startswith(known):
                assert types[node.output[0]].elem_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32)


def test_profiles_lie_within_the_shapes(checkpoint, tmp_path):
    out = export(str(checkpoint), tmp_path / "package", recipe=make_recipe("tensorrt", "bf16"))
    manifest = json.loads((out / "fleming.json").read_text())
    assert set(manifest["profiles"]) == {"vision", "decoder"}
    for graph, profiles in manifest["profiles"].items():
        inputs = {tensor["name"]: tensor["shape"] for tensor in manifest["graphs"][graph]["inputs"]}
        for profile in profiles:
            for name, shape in inputs.items():
                ranges = profile["inputs"][name]
                for low, usual, high, promised in zip(
                    *(ranges[k] for k in ("min", "opt", "max")), shape, strict=True
                ):
                    assert 0 < low <= usual <= high
                    assert isinstance(promised, str) or low == high == promised


def test_cuda_int4_is_what_the_prebuilt_kernels_take(checkpoint, tmp_path):
    out = export(str(checkpoint), tmp_path / "package", recipe=make_recipe("cuda", "int4"))
    nodes = [node for node in read(out / "decoder.onnx").graph.node if node.op_type == "MatMulNBits"]
    for node in nodes:
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        assert attributes["block_size"] == 32
        assert attributes["bits"] == (8 if node.name.endswith(("lm_head", "qkv_proj")) else 4)
        assert len(node.input) <= 3 or not node.input[3]  # no zero points
    kinds = {t.name: t.data_type for t in read(out / "decoder.onnx").graph.initializer}
    assert kinds[nodes[0].input[2]] == onnx.TensorProto.FLOAT16
    # the tower has no such products, and needs no smaller range
    kinds = {t.name: t.data_type for t in read(out / "vision.onnx").graph.initializer}
    assert kinds["mlp1.3.weight"] == onnx.TensorProto.BFLOAT16
    manifest = json.loads((out / "fleming.json").read_text())
    assert manifest["quantization"]["activations"] == {"vision": "bfloat16", "language": "float16"}
    assert manifest["kv"]["dtype"] == "float16"
    choices = Choices(activation="bfloat16")
    out = export(str(checkpoint), tmp_path / "other", recipe=make_recipe("cuda", "int4", choices))
    assert json.loads((out / "fleming.json").read_text())["kv"]["dtype"] == "bfloat16"


def test_quantised_packages_for_cuda_are_near_the_model(checkpoint, tmp_path):
    """On the CPU provider, which has such kernels too; rows that were added to the head are cut off."""
    out = export(str(checkpoint), tmp_path / "package", recipe=make_recipe("cuda", "int8"))
    model, runtime = NumpyModel(checkpoint), Runtime(out)
    nodes = read(out / "decoder.onnx").graph.node
    (head,) = (node for node in nodes if node.name == "language_model.lm_head")
    rows = next(attribute.i for attribute in head.attribute if attribute.name == "N")
    assert rows % 64 == 0 < rows - model.w["language_model.model.embed_tokens.weight"].shape[0] < 64
    ids = random_ids(model, 24, 1)
    wanted = model.logits(ids.tolist())
    got = runtime.step(slice(0, 1), ids[None, :23], [0], at=tuple(range(23)))
    assert got.shape == wanted[:23].shape
    assert np.linalg.norm(got - wanted[:23]) < 0.05 * np.linalg.norm(wanted[:23])
    got = runtime.step(slice(0, 1), ids[None, 23:], [23])
    assert np.linalg.norm(got[0] - wanted[23]) < 0.05 * np.linalg.norm(wanted[23])


@pytest.mark.parametrize(
    ("target", "choices"),
    [
        ("cpu", Choices(capacity=64)),
        ("tensorrt", Choices(capacity=0)),
        ("cuda", Choices(block=32)),
        ("cuda", Choices(activation="float16")),
    ],
)
def test_choices_that_mean_nothing_are_errors(target, choices):
    with pytest.raises(ExportError):
        make_recipe(target, None, choices)


@pytest.fixture(scope="module")
def seven(tmp_path_factory):
    """A checkpoint with seven query heads to a KV head, as the 8B has."""

    def group(config: dict) -> None:
        config["llm_config"] |= {"hidden_size": 112, "num_attention_heads": 14, "num_key_value_heads": 2}
        config["hidden_size"] = 112

    folder = tmp_path_factory.mktemp("seven") / "checkpoint"
    write_checkpoint("tiny", folder, Options(seed=6, patch_size=28), group)
    return folder


@pytest.mark.parametrize("precision", ["f32", "bf16", "int4"])
def test_padded_groups(seven, tmp_path, precision):
    recipe = make_recipe("cuda", precision, Choices(pad_groups=True))
    out = export(str(seven), tmp_path / "package", recipe=recipe)
    manifest = json.loads((out / "fleming.json").read_text())
    assert manifest["padding"] == {"query_heads": {"checkpoint": 14, "package": 16}}
    assert manifest["kv"]["heads"] == 2
    nodes = read(out / "decoder.onnx").graph.node
    for node in nodes:
        if node.op_type == "GroupQueryAttention":
            counts = {attribute.name: attribute.i for attribute in node.attribute}
            assert (counts["num_heads"], counts["kv_num_heads"]) == (16, 2)
    if precision != "f32":
        onnx.checker.check_model(str(out / "decoder.onnx"), full_check=True)
        return
    model, runtime = NumpyModel(seven), Runtime(out)
    ids = random_ids(model, 12, 1)
    wanted = model.logits(ids.tolist())
    runtime.step(slice(0, 1), ids[None, :7], [0])
    for position in range(7, 12):
        got = runtime.step(slice(0, 1), ids[None, position : position + 1], [position])[0]
        assert np.abs(got - wanted[position]).max() < 1e-4


def test_groups_that_need_no_padding(checkpoint, seven, tmp_path):
    with pytest.raises(ExportError, match="--pad-groups"):
        export(str(checkpoint), tmp_path / "a", recipe=make_recipe("cuda", "f32", Choices(pad_groups=True)))
    with pytest.raises(ExportError, match="--pad-groups"):
        make_recipe("cpu", "f32", Choices(pad_groups=True))
