"""The graphs in ONNX Runtime against plain numpy, and the operators they are made of."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy_model import NumpyModel

from fleming_export import export, make_recipe
from fleming_export.recipe import Choices

EMBEDDING_TOLERANCE = 1e-5
LOGIT_TOLERANCE = 1e-3
CAPACITY = 96


class Runtime:
    """A package in ONNX Runtime, with KV buffers of several slots that past and present share."""

    def __init__(self, package: Path, slots: int = 1) -> None:
        self.manifest = json.loads((package / "fleming.json").read_text(encoding="utf-8"))
        self.package = package
        kv = self.manifest["kv"]
        shape = (slots, kv["heads"], CAPACITY, kv["head_dim"])
        # filled with large numbers: a position that must not be read shows
        self.buffers = {
            f"{what}.{layer}": np.full(shape, 1e4, kv["dtype"])
            for layer in range(kv["layers"])
            for what in ("key", "value")
        }

    @cached_property
    def vision(self) -> onnxruntime.InferenceSession:
        return session(self.package / "vision.onnx")

    @cached_property
    def decoder(self) -> onnxruntime.InferenceSession:
        return session(self.package / "decoder.onnx")

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        return self.vision.run(None, {"pixel_values": pixels})[0]

    def step(  # noqa: PLR0913
        self,
        slots: slice,
        ids: np.ndarray,
        past: list[int],
        images: tuple | None = None,
        *,
        at: tuple = (-1,),
        longest: int | None = None,
        wanted: str = "logits",
    ) -> np.ndarray | list[np.ndarray]:
        """Runs [B, S] ids of the slots, each after its own past -> [B * L, V] logits of positions ``at``;
        with ``wanted="both"`` the largest of them too."""
        hidden = self.manifest["vision"]["hidden_size"]
        splice, rows = images or (np.full(ids.shape, -1), np.zeros((1, hidden), np.float32))
        total = np.array(past) + ids.shape[1]
        feeds = {
            "input_ids": ids.astype(np.int64),
            "image_embeds": rows,
            "splice": splice.astype(np.int64),
            "seqlens_k": (total - 1).astype(np.int32),
            "logits_at": np.array(at, np.int64),
            "total_sequence_length": np.array(longest or total.max(), np.int32),
            "key_positions": np.arange(longest or total.max()),
        }
        promised = {tensor["name"] for tensor in self.manifest["graphs"]["decoder"]["inputs"]}
        binding = self.decoder.io_binding()
        for name in feeds.keys() & promised:
            binding.bind_cpu_input(name, feeds[name])
        for name, buffer in self.buffers.items():
            view = buffer[slots]
            place = ("cpu", 0, view.dtype, view.shape, view.ctypes.data)
            binding.bind_input(f"past_{name}", *place)
            binding.bind_output(f"present_{name}", *place)
        outputs = ["logits", "best"] if wanted == "both" else ["logits"]
        for name in outputs:
            binding.bind_output(name)
        self.decoder.run_with_iobinding(binding)
        found = [value.numpy() for value in binding.get_outputs()[-len(outputs) :]]
        return found if wanted == "both" else found[0]


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module", params=["cpu", "cuda", "tensorrt"])
def package(request, exported, tmp_path_factory) -> Path:
    """Every form of a variant in float32."""
    if request.param == "cpu":
        return exported.package
    choices = Choices(capacity=CAPACITY if request.param == "tensorrt" else None)
    out = tmp_path_factory.mktemp(request.param) / "package"
    return export(str(exported.checkpoint), out, recipe=make_recipe(request.param, "f32", choices))


@pytest.fixture(scope="module")
def model(exported) -> NumpyModel:
    return NumpyModel(exported.checkpoint)


def random_ids(model: NumpyModel, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, model.language["vocab_size"], count)


def difference(got: np.ndarray, wanted: np.ndarray) -> float:
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max())


def test_embeddings(package, model):
    pixels = np.random.default_rng(0).normal(size=(2, 3, 448, 448)).astype(np.float32)
    got = Runtime(package).embed(pixels)
    wanted = np.stack([model.embed(tile) for tile in pixels])
    assert difference(got, wanted) <= EMBEDDING_TOLERANCE


@pytest.mark.parametrize("chunk", [64, 7, 1])
def test_prefill_in_chunks_then_decode(package, model, chunk):
    ids = random_ids(model, 40, 1)
    runtime = Runtime(package)
    wanted = model.logits(ids.tolist())
    for start in range(0, 36, chunk):
        part = ids[None, start : min(start + chunk, 36)]
        got = runtime.step(slice(0, 1), part, [start])
    assert difference(got[0], wanted[35]) <= LOGIT_TOLERANCE
    for position in range(36, 40):
        got = runtime.step(slice(0, 1), ids[None, position : position + 1], [position])
        assert difference(got[0], wanted[position]) <= LOGIT_TOLERANCE


def test_logits_of_several_positions_at_once(package, model):
    """Whoever looks ahead of a reply asks for them, in any order, from the front and from behind."""
    ids = random_ids(model, 20, 4)
    runtime, wanted = Runtime(package), model.logits(ids.tolist())
    runtime.step(slice(0, 1), ids[None, :14], [0])
    got = runtime.step(slice(0, 1), ids[None, 14:], [14], at=(3, 0, -1))
    assert difference(got, wanted[[17, 14, 19]]) <= LOGIT_TOLERANCE


def test_spliced_rows_replace_embeddings(package, model):
    """Rows are taken in the order the map gives, not in the order they stand in."""
    ids = random_ids(model, 12, 2)
    rows = np.random.default_rng(3).normal(size=(5, model.language["hidden_size"])).astype(np.float32)
    splice = np.array([[-1, -1, 3, 0, -1, 4, 4, 1, -1, -1, 2, -1]])
    got = Runtime(package).step(slice(0, 1), ids[None], [0], (splice, rows))
    spliced = {place: rows[row] for place, row in enumerate(splice[0]) if row >= 0}
    assert difference(got[0], model.logits(ids.tolist(), spliced)[-1]) <= LOGIT_TOLERANCE


def test_ragged_batch_decode(package, model):
    """Three slots filled one by one through views of the shared buffers, then stepped together."""
    lengths = [5, 23, 11]
    texts = [random_ids(model, length + 3, 10 + slot) for slot, length in enumerate(lengths)]
    runtime = Runtime(package, slots=3)
    wanted = [model.logits(text.tolist()) for text in texts]
    for slot, length in enumerate(lengths):
        for start in range(0, length, 8):
            part = texts[slot][None, start : min(start + 8, length)]
            got = runtime.step(slice(slot, slot + 1), part, [start])
        assert difference(got[0], wanted[slot][length - 1]) <= LOGIT_TOLERANCE
    for step in range(3):
        past = [length + step for length in lengths]
        ids = np.array([[texts[slot][past[slot]]] for slot in range(3)])
        got = runtime.step(slice(0, 3), ids, past)
        for slot in range(3):
            assert difference(got[slot], wanted[slot][past[slot]]) <= LOGIT_TOLERANCE


def test_sessions_offer_what_the_manifest_promises(package):
    kinds = {"tensor(float)": "float32", "tensor(int64)": "int64", "tensor(int32)": "int32"}
    for graph in Runtime(package).manifest["graphs"].values():
        opened = session(package / graph["file"])
        for wanted, got in ((graph["inputs"], opened.get_inputs()), (graph["outputs"], opened.get_outputs())):
            shown = [{"name": t.name, "dtype": kinds[t.type], "shape": list(t.shape)} for t in got]
            assert shown == wanted


def operators(path: Path) -> set[str]:
    model = onnx.load(path, load_external_data=False)
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    return {f"{node.domain}.{node.op_type}".lstrip(".") for node in nodes}


def test_operators(exported):
    """A new operator must be looked up among the kernels of the oldest supported ONNX Runtime first."""
    vision = set("Add Concat Expand Gelu Gemm LayerNormalization Mul Reshape Shape Slice Split".split())
    vision |= {"Transpose", "com.microsoft.MultiHeadAttention", "fleming.GELU"}
    if exported.manifest["source"]["config"]["vision_config"]["norm_type"] == "rms_norm":
        vision |= {"RMSNormalization", "com.microsoft.SkipSimplifiedLayerNormalization"}
    else:
        vision |= {"com.microsoft.SkipLayerNormalization", "fleming.SelfAttention"}
    decoder = set("Concat Gather Gemm GreaterOrEqual Max Mul Reshape RMSNormalization Shape Sigmoid".split())
    decoder |= {"Unsqueeze", "Where", "fleming.SwiGLU"}
    decoder |= {"com.microsoft.GroupQueryAttention", "com.microsoft.SkipSimplifiedLayerNormalization"}
    assert operators(exported.package / "vision.onnx") == vision
    if exported.manifest["source"]["config"]["llm_config"]["model_type"] == "qwen3":
        decoder |= {"Split"}  # for the norms of queries and keys
    assert operators(exported.package / "decoder.onnx") == decoder


def test_numbers_of_rows_have_names_and_each_layer_its_own(exported):
    """With them, GELU takes the memory that it reads; with one for all layers, no buffer would be freed."""
    config = exported.manifest["source"]["config"]
    for graph, layers in (
        ("vision.onnx", config["vision_config"]["num_hidden_layers"]),
        ("decoder.onnx", config["llm_config"]["num_hidden_layers"]),
    ):
        model = onnx.load(exported.package / graph, load_external_data=False)
        sizes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.value_info}
        attended = [node for node in model.graph.node if node.name.endswith(("attn.rows", "self_attn.rows"))]
        names = {sizes[node.output[0]][0].dim_param for node in attended}
        assert len(names) == len(attended) == layers and all(names)


def test_names_are_the_checkpoint_names(exported):
    names = set()
    for graph in ("vision.onnx", "decoder.onnx"):
        model = onnx.load(exported.package / graph, load_external_data=False)
        names |= {tensor.name for tensor in model.graph.initializer if tensor.external_data}
    merged = {name for name in names if ".qkv_proj." in name} | {"rotary.cos", "rotary.sin"}
    stored = set(NumpyModel(exported.checkpoint).w)
    separate = {name for name in stored if name.partition("_proj.")[0].endswith((".q", ".k", ".v"))}
    assert names - merged == stored - separate


def test_head_runs_on_one_position_and_a_tied_head_is_stored_once(exported):
    model = onnx.load(exported.package / "decoder.onnx", load_external_data=False)
    head = next(node for node in model.graph.node if node.name == "language_model.lm_head")
    tied = exported.manifest["source"]["config"]["llm_config"]["tie_word_embeddings"]
    wanted = "language_model.model.embed_tokens.weight" if tied else "language_model.lm_head.weight"
    assert head.input[1] == wanted
    tables = [
        t.name for t in model.graph.initializer if t.name.endswith(("lm_head.weight", "embed_tokens.weight"))
    ]
    assert len(tables) == (1 if tied else 2)
