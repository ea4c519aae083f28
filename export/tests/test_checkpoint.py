"""Every way in which a checkpoint can be wrong is one error that names what is wrong, and leaves nothing
behind."""

from __future__ import annotations

import json

import numpy as np
import pytest
from checkpoints import edit_json, read_tensors, write_tensors

from fleming_export import ExportError, export
from fleming_export.sources.folder import Checkpoint
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options

HEAD = "language_model.lm_head.weight"
EMBEDDING = "language_model.model.embed_tokens.weight"
BIAS = "mlp1.1.bias"


def refuse(folder, match: str) -> ExportError:
    """Exports, expects an error that matches, and nothing left where the package would have been."""
    out = folder.parent / "package"
    before = sorted(folder.parent.iterdir())
    with pytest.raises(ExportError, match=match) as caught:
        export(str(folder), out)
    assert sorted(folder.parent.iterdir()) == before
    return caught.value


def change(folder, **tensors) -> None:
    """Adds, replaces or (with None) removes tensors; ``__`` in a name stands for a dot."""
    content = read_tensors(folder)
    for name, values in tensors.items():
        content[name.replace("__", ".")] = values
    write_tensors(folder, {name: values for name, values in content.items() if values is not None})


def test_unclaimed_tensor(damaged):
    change(damaged, vision_model__pooler__weight=np.zeros((2, 2), "<u2"))
    assert refuse(damaged, "a place in a graph").thing == "vision_model.pooler.weight"


@pytest.mark.parametrize("part", ["lora_A", "lora_B", "lora_embedding_A"])
def test_adapters_among_the_tensors(damaged, part):
    name = f"language_model.model.layers.0.self_attn.q_proj.{part}.default.weight"
    change(damaged, **{name: np.zeros((2, 2), "<u2")})
    error = refuse(damaged, "LoRA")
    assert error.thing == name
    assert "merge" in error.hint


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "beside the weights"])
def test_adapters_that_were_not_merged(damaged, alone):
    """As peft saves them; beside whole weights too, which may or may not have taken them up."""
    (damaged / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    if alone:
        (damaged / "model.safetensors").rename(damaged / "adapter_model.safetensors")
    error = refuse(damaged, "adapter_config.json")
    assert "merge" in error.hint


def test_missing_tensor(damaged):
    change(damaged, mlp1__1__bias=None)
    assert refuse(damaged, "no such tensor").thing == BIAS


def test_wrong_shape(damaged):
    change(damaged, mlp1__1__bias=np.zeros(63, "<u2"))
    error = refuse(damaged, "shape")
    assert (error.thing, error.wanted, error.got) == (BIAS, "shape [64]", "[63]")


def test_position_table_of_another_grid(damaged):
    change(damaged, vision_model__embeddings__position_embedding=np.zeros((1, 1025, 64), "<u2"))
    assert refuse(damaged, "1025").thing == "vision_model.embeddings.position_embedding"


def test_tied_in_the_config_only(damaged):
    edit_json(damaged / "config.json", "llm_config.tie_word_embeddings", True)
    edit_json(damaged / "config.json", "tie_word_embeddings", True)
    assert refuse(damaged, "the same values").thing == HEAD


def test_tied_head_that_is_stored_as_well(damaged):
    edit_json(damaged / "config.json", "llm_config.tie_word_embeddings", True)
    edit_json(damaged / "config.json", "tie_word_embeddings", True)
    change(damaged, language_model__lm_head__weight=read_tensors(damaged)[EMBEDDING])
    export(str(damaged), damaged.parent / "package")


def test_untied_in_the_config_only(tmp_path):
    write_checkpoint("tiny", tmp_path / "checkpoint", Options(tied=True, patch_size=28))
    edit_json(tmp_path / "checkpoint/config.json", "llm_config.tie_word_embeddings", False)
    edit_json(tmp_path / "checkpoint/config.json", "tie_word_embeddings", False)
    assert refuse(tmp_path / "checkpoint", "no such tensor").thing == HEAD


def test_unknown_dtype(damaged):
    write_tensors(damaged, read_tensors(damaged), {BIAS: "I16"})
    assert BIAS in refuse(damaged, "dtype BF16 or F16 or F32, got I16").thing


def test_dtype_that_does_not_fit_the_bytes(damaged):
    write_tensors(damaged, read_tensors(damaged), {BIAS: "F32"})
    assert BIAS in refuse(damaged, "256 bytes").thing


@pytest.mark.parametrize(("dtype", "numpy_dtype"), [("F32", "<f4"), ("F16", "<f2")])
def test_other_dtypes_are_read_exactly(damaged, dtype, numpy_dtype):
    values = np.linspace(-3, 3, 64).astype(numpy_dtype)
    tensors = {**read_tensors(damaged), BIAS: values}
    write_tensors(damaged, tensors, {BIAS: dtype})
    blocks = list(Checkpoint(damaged, "name", "name").blocks(BIAS))
    assert np.array_equal(np.concatenate(blocks), values.astype(np.float32))


@pytest.mark.parametrize("pattern", [0x7F80, 0x7FC0])  # infinity, NaN
def test_values_that_are_not_finite(damaged, pattern):
    values = np.zeros(64, "<u2")
    values[5] = pattern
    change(damaged, mlp1__1__bias=values)
    assert refuse(damaged, "finite").thing == BIAS


@pytest.mark.parametrize("length", [0, 5, 100, -1])
def test_truncated_file(damaged, length):
    path = damaged / "model.safetensors"
    path.write_bytes(path.read_bytes()[:length])
    assert "model.safetensors" in refuse(damaged, "wanted").thing


def test_trailing_bytes(damaged):
    with (damaged / "model.safetensors").open("ab") as file:
        file.write(b"more")
    refuse(damaged, "cut short or damaged")


@pytest.mark.parametrize(
    "header",
    [
        b"\xff\xfe",
        b"[1, 2]",
        b"not json",
        b'{"a": 3}',
        b'{"a": {"dtype": "F32"}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b'{"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}',
    ],
)
def test_garbage_header(damaged, header):
    data = len(header).to_bytes(8, "little") + header + bytes(8)
    (damaged / "model.safetensors").write_bytes(data)
    refuse(damaged, "model.safetensors")


def test_overlapping_tensors(damaged):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"a": entry, "b": entry}).encode()
    (damaged / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    refuse(damaged, "4 bytes at 4")


@pytest.fixture
def sharded(tmp_path):
    folder = tmp_path / "checkpoint"
    write_checkpoint("tiny", folder, Options(patch_size=28, shard_bytes=200_000))
    return folder


def shards(folder) -> list:
    return sorted(folder.glob("model-*.safetensors"))


def test_missing_shard(sharded):
    name = shards(sharded)[1].name
    shards(sharded)[1].unlink()
    assert refuse(sharded, "no such file").thing == name


def test_index_that_names_another_shard(sharded):
    path = sharded / "model.safetensors.index.json"
    content = json.loads(path.read_text())
    content["weight_map"][BIAS] = shards(sharded)[-1].name
    path.write_text(json.dumps(content))
    assert refuse(sharded, "as model.safetensors.index.json says").thing == BIAS


def test_tensor_that_the_index_leaves_out(sharded):
    path = sharded / "model.safetensors.index.json"
    content = json.loads(path.read_text())
    del content["weight_map"][BIAS]
    path.write_text(json.dumps(content))
    assert refuse(sharded, "an entry in").thing == BIAS


def test_index_that_leaves_the_folder(sharded):
    path = sharded / "model.safetensors.index.json"
    content = json.loads(path.read_text())
    content["weight_map"][BIAS] = "../elsewhere.safetensors"
    path.write_text(json.dumps(content))
    refuse(sharded, "own folder")


def test_single_file_and_index(sharded):
    shards(sharded)[0].rename(sharded / "model.safetensors")
    refuse(sharded, "both")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("model.gguf", "GGUF"),
        ("model-00001-of-00002.safetensors", "index that lists them is missing"),
        ("model.pt", "pytorch_model"),
    ],
)
def test_no_weights(damaged, name, hint):
    (damaged / "model.safetensors").rename(damaged / name)
    assert hint in refuse(damaged, "none of them").hint


@pytest.mark.parametrize("given", ["/no/such/folder", "./folder", "no-such-folder", "a/b/c"])
def test_what_is_neither_a_folder_nor_a_hub_id(given, tmp_path):
    with pytest.raises(ExportError, match="no such folder"):
        export(given, tmp_path / "package")


def test_large_tensors_come_in_blocks(plain, monkeypatch):
    monkeypatch.setattr("fleming_export.sources.stored.BLOCK_VALUES", 1000)
    checkpoint = Checkpoint(plain, "name", "name")
    blocks = list(checkpoint.blocks(EMBEDDING))
    assert max(map(len, blocks)) == 960  # whole rows of 64
    bits = read_tensors(plain)[EMBEDDING].astype(np.uint32) << 16
    assert np.array_equal(np.concatenate(blocks), bits.view(np.float32).reshape(-1))
