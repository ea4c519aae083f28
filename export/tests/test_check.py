"""``check`` says what a checkpoint is and all that stands in the way, without reading weights."""

from __future__ import annotations

import json
import shutil

import pytest
from checkpoints import edit_json, read_tensors, write_tensors
from hub import served
from native import as_native
from test_hub import run
from test_prequantized import KINDS, write_packed

from fleming_export import export, make_recipe
from fleming_export.__main__ import main
from fleming_export.check import describe_checkpoint
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options


def test_what_would_be_made(plain, tmp_path, capsys):
    assert main(["check", str(plain)]) == 0
    text = capsys.readouterr().out
    assert "checkpoint: an InternVL with Qwen2.5, in the original layout" in text
    assert "64 tokens each" in text
    assert "tensors of BF16" in text
    for target, precision in (("cpu", "int4"), ("tensorrt", "bf16")):
        out = export(str(plain), tmp_path / target, recipe=make_recipe(target, precision))
        size = sum((out / f"{name}.onnx.data").stat().st_size for name in ("vision", "decoder"))
        (row,) = (line for line in text.splitlines() if line.startswith(f"  {target} {precision} "))
        assert f"{size / 1e6:,.1f} MB" in row


def test_no_weight_is_read(plain, tmp_path):
    """Zeros in place of all values, and a head that would be compared with the embedding."""
    folder = shutil.copytree(plain, tmp_path / "checkpoint")
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    header = 8 + int.from_bytes(raw[:8], "little")
    path.write_bytes(raw[:header] + b"\xff" * (len(raw) - header))  # all are NaN
    for key in ("tie_word_embeddings", "llm_config.tie_word_embeddings"):
        edit_json(folder / "config.json", key, True)
    assert describe_checkpoint(str(folder))[1]


def test_other_layouts_and_packages(plain, tmp_path):
    native = as_native(plain, tmp_path / "native", 5)
    assert "transformers' own layout" in describe_checkpoint(str(native))[0]
    package = export(str(native), tmp_path / "package")
    assert describe_checkpoint(str(package))[1]
    packed, _ = write_packed(plain, tmp_path, KINDS[0])
    text, good = describe_checkpoint(str(packed))
    assert good
    assert "packed    awq, 4 bits, groups of 32" in text
    assert "cpu int4" in text
    assert "cpu int8" not in text


def test_all_that_stands_in_the_way(damaged, capsys):
    edit_json(damaged / "tokenizer_config.json", "tokenizer_class", "LlamaTokenizer")
    tensors = read_tensors(damaged)
    del tensors["mlp1.1.bias"]
    write_tensors(damaged, tensors)
    assert main(["check", str(damaged)]) == 1
    text = capsys.readouterr().out
    assert "tokenizer_class: wanted 'Qwen2Tokenizer'" in text
    assert "mlp1.1.bias: wanted a tensor" in text
    assert "cpu f32" not in text


@pytest.mark.parametrize("change", ["", "missing", "native"])
def test_a_hub_id(tmp_path, change):
    """By the small files and the names in the index."""
    folder = tmp_path / "checkpoint"
    write_checkpoint("tiny", folder, Options(patch_size=28, shard_bytes=200_000))
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    if change == "missing":
        del index["weight_map"]["mlp1.1.bias"]
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    if change == "native":
        write_checkpoint("tiny", tmp_path / "one", Options(patch_size=28))
        folder = as_native(tmp_path / "one", tmp_path / "native", 5)
        names = dict.fromkeys(read_tensors(folder), "model-00001-of-00001.safetensors")
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with served(folder) as hub:
        done = run(hub.address, tmp_path, "check", "owner/some-model")
    assert not [name for name in hub.fetched if name.endswith(".safetensors")]
    assert done.returncode == (1 if change == "missing" else 0), done.stderr
    size = sum(path.stat().st_size for path in folder.glob("model-*.safetensors"))
    assert f"{size / 1e6:,.1f} MB, on the hub" in done.stdout
    assert ("mlp1.1.bias: wanted a tensor" in done.stdout) == (change == "missing")
