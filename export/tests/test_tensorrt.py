"""NVIDIA's own parser and compiler on the graphs of the target tensorrt.

TensorRT for RTX brings both and compiles for a GPU that is not there. It runs nothing: this shows that each
graph becomes one engine, and no number.
"""

from __future__ import annotations

import ctypes
import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from fleming_export import export, make_recipe
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options

#: Those of A100, RTX 30, RTX 40 and RTX 50. TensorRT for RTX does not compile for an H100.
CAPABILITIES = ["SM80", "SM86", "SM89", "SM120"]
#: What a tensorrt package is made in.
PRECISIONS = ["bf16", "f16"]
#: The published models whose layers have other numbers of heads, wide or narrow ones, and other norms.
SIZES = ["8b", "38b"]


@pytest.fixture(scope="module")
def trt():
    if find_spec("tensorrt_rtx_bindings") is None:
        pytest.skip("TensorRT for RTX is for x86-64 alone")
    folder = Path(find_spec("tensorrt_rtx_libs").submodule_search_locations[0])
    # the bindings look for them where the system does
    for library in ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"):
        ctypes.CDLL(str(folder / library), mode=ctypes.RTLD_GLOBAL)
    from tensorrt_rtx_bindings import tensorrt_rtx

    return tensorrt_rtx


class Network:
    """A graph as TensorRT's parser reads it."""

    def __init__(self, trt, package: Path, graph: str) -> None:
        class Log(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.errors: list[str] = []

            def log(self, severity, message) -> None:
                if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                    self.errors.append(message)

        self.trt, self.log = trt, Log()
        self.builder = trt.Builder(self.log)
        typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        self.network = self.builder.create_network(typed)
        parser = trt.OnnxParser(self.network, self.log)
        self.parsed = parser.parse_from_file(str(package / graph))
        manifest = json.loads((package / "fleming.json").read_text())
        self.profiles = manifest["profiles"][graph.removesuffix(".onnx")]

    def layers(self, kind: str) -> list:
        """The layers of a kind, in the order of the graph."""
        all_layers = (self.network.get_layer(number) for number in range(self.network.num_layers))
        return [layer for layer in all_layers if layer.type.name == kind]

    def build(self, capability: str):
        """The engine for a GPU, with one profile that spans the package's, as the runtime has it built."""
        config = self.builder.create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(self.trt.ComputeCapability, capability), 0)
        profile = self.builder.create_optimization_profile()
        for name, usual in self.profiles[0]["inputs"].items():
            ranges = [each["inputs"][name] for each in self.profiles]
            least, most = (
                [choose(sizes) for sizes in zip(*(range_[which] for range_ in ranges), strict=True)]
                for which, choose in (("min", min), ("max", max))
            )
            profile.set_shape(name, least, usual["opt"], most)
        config.add_optimization_profile(profile)
        return self.builder.build_serialized_network(self.network, config)


@pytest.fixture(scope="module", params=SIZES)
def checkpoint(request, tmp_path_factory):
    """One layer of each graph of a published model, with its heads, few words and a narrow MLP."""

    def narrow(config: dict) -> None:
        for part in ("vision_config", "llm_config"):
            config[part]["intermediate_size"] = 256

    folder = tmp_path_factory.mktemp(request.param) / "checkpoint"
    write_checkpoint(request.param, folder, Options(seed=7, vision_layers=1, language_layers=1), narrow)
    return folder


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_graph_becomes_one_engine(trt, checkpoint, tmp_path, precision):
    package = export(str(checkpoint), tmp_path / "package", recipe=make_recipe("tensorrt", precision))
    for graph in ("vision.onnx", "decoder.onnx"):
        network = Network(trt, package, graph)
        assert network.parsed, network.log.errors
        for capability in CAPABILITIES:
            engine = network.build(capability)
            assert engine is not None, (graph, capability, network.log.errors)
            # all weights are in it
            assert engine.nbytes > 0.95 * (package / f"{graph}.data").stat().st_size


def test_the_cache_is_kept_in_place_and_read_through_a_mask(trt, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    write_checkpoint("tiny-38b", checkpoint, Options(seed=4, patch_size=28))
    package = export(str(checkpoint), tmp_path / "package", recipe=make_recipe("tensorrt", "bf16"))
    network = Network(trt, package, "decoder.onnx")
    assert network.parsed, network.log.errors
    manifest = json.loads((package / "fleming.json").read_text())
    names = [f"{what}.{layer}" for layer in range(manifest["kv"]["layers"]) for what in ("key", "value")]
    updates = network.layers("KV_CACHE_UPDATE")
    assert [layer.get_input(0).name for layer in updates] == [f"past_{name}" for name in names]
    assert [layer.get_output(0).name for layer in updates] == [f"present_{name}" for name in names]
    inputs = network.layers("ATTENTION_INPUT")
    assert len(inputs) == manifest["kv"]["layers"]
    for layer in inputs:
        layer.__class__ = trt.IAttentionInputLayer
        attention = layer.attention
        # its own way to be causal counts from the first key of the buffer: a step would see that one alone
        assert attention.causal_kind == trt.CausalMaskKind.NONE
        assert attention.mask.dtype == trt.DataType.BOOL
        assert tuple(attention.mask.shape) == (-1, 1, -1, -1)
        # as far as anything is in the buffers, not up to their end
        assert tuple(attention.get_input(1).shape)[2] == -1


def test_float32_has_no_attention_there(trt, tmp_path):
    """Why the runtime refuses such a package on TensorRT, where it is the others' twin on the CPU."""
    checkpoint = tmp_path / "checkpoint"
    write_checkpoint("tiny", checkpoint, Options(patch_size=28))
    package = export(str(checkpoint), tmp_path / "package", recipe=make_recipe("tensorrt", "f32"))
    network = Network(trt, package, "vision.onnx")
    assert network.parsed
    assert network.build(CAPABILITIES[0]) is None
    assert any("not supported by a dedicated kernel" in error for error in network.log.errors)
