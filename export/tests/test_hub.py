"""A checkpoint by its hub id: small files first, then the weights and no others. It is local here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from checkpoints import edit_json, read_tensors
from hub import COMMIT, served
from test_pickled import save_pickled

from fleming_export import ExportError, export
from fleming_export.source import open_checkpoint

pytest.importorskip("huggingface_hub", reason="the hub's client is not installed")
WEIGHTS = "model.safetensors"


@pytest.fixture
def repository(damaged):
    """With a trainer's older weights in a subfolder, and files that no package is made from."""
    (damaged / "checkpoint-500").mkdir()
    for name in (WEIGHTS, "config.json", "trainer_state.json"):
        (damaged / "checkpoint-500" / name).write_bytes(b"{}")
    for name in ("training_args.bin", "optimizer.pt", "README.md", "modeling_internvl_chat.py"):
        (damaged / name).write_bytes(b"{}")
    return damaged


def run(address: str, tmp_path, *arguments: str) -> subprocess.CompletedProcess:
    """The command in a process of its own, with a hub and a cache of its own."""
    environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache")}
    environment |= {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "fleming_export", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_small_files_come_first_and_only_what_is_needed(repository, plain, tmp_path):
    with served(repository) as hub:
        done = run(hub.address, tmp_path, "owner/some-model", str(tmp_path / "package"))
    assert done.returncode == 0, done.stderr
    assert hub.fetched[-1] == WEIGHTS
    assert hub.fetched.index("config.json") < len(hub.fetched) - 1
    assert len(hub.fetched) == len(set(hub.fetched))
    taken = {"config.json", "preprocessor_config.json", "vocab.json", "merges.txt", "added_tokens.json"}
    taken |= {"tokenizer_config.json", "special_tokens_map.json", WEIGHTS}
    assert set(hub.fetched) == taken
    size = (repository / WEIGHTS).stat().st_size
    assert f"fetching 1 files of owner/some-model, {size / 1e6:,.1f} MB" in done.stderr
    manifest = json.loads((tmp_path / "package/fleming.json").read_text())
    assert (manifest["name"], manifest["source"]["checkpoint"]) == ("some-model", "owner/some-model")
    wanted = export(str(plain), tmp_path / "wanted")
    for name in ("decoder.onnx.data", "vision.onnx.data", "tokenizer.json"):
        assert (tmp_path / "package" / name).read_bytes() == (wanted / name).read_bytes()
    # the hub is gone, and the cache is enough; its folder is known by its model
    done = run(hub.address, tmp_path, "owner/some-model", str(tmp_path / "again"))
    assert done.returncode == 0, done.stderr
    snapshot = tmp_path / "cache/hub/models--owner--some-model/snapshots" / COMMIT
    checkpoint = open_checkpoint(str(snapshot))
    assert (checkpoint.name, checkpoint.given) == ("some-model", "owner/some-model")
    with pytest.raises(ExportError, match=f"snapshots/{COMMIT}"):
        export(str(snapshot.parent.parent), tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("config.json", "llm_config.architectures", ["InternLM2ForCausalLM"]),
        ("tokenizer_config.json", "tokenizer_class", "LlamaTokenizer"),
    ],
)
def test_a_refusal_comes_before_the_weights(repository, tmp_path, name, key, value):
    edit_json(repository / name, key, value)
    with served(repository) as hub:
        done = run(hub.address, tmp_path, "owner/some-model", str(tmp_path / "package"))
    assert done.returncode == 1
    assert key.rpartition(".")[2] in done.stderr
    assert WEIGHTS not in hub.fetched


@pytest.mark.parametrize("change", ["adapter", "index"])
def test_what_the_names_of_files_and_tensors_say_comes_before_the_weights(repository, tmp_path, change):
    if change == "adapter":
        (repository / "adapter_config.json").write_text("{}")
    else:
        (repository / WEIGHTS).rename(repository / "model-00001-of-00001.safetensors")
        names = dict.fromkeys(["mlp1.1.bias"], "model-00001-of-00001.safetensors")
        (repository / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with served(repository) as hub:
        done = run(hub.address, tmp_path, "owner/some-model", str(tmp_path / "package"))
    assert done.returncode == 1
    assert ("LoRA adapters" if change == "adapter" else "no such tensor") in done.stderr
    assert not [name for name in hub.fetched if name.endswith((".safetensors", ".bin"))]


def test_weights_in_pickles_and_an_index(repository, tmp_path):
    """As lmdeploy leaves its AWQ models."""
    tensors = read_tensors(repository)
    (repository / WEIGHTS).unlink()
    names = sorted(tensors)
    places = {}
    for number, part in enumerate((names[::2], names[1::2])):
        shard = f"pytorch_model-{number + 1:05}-of-00002.bin"
        save_pickled(repository / shard, {name: tensors[name] for name in part})
        places |= dict.fromkeys(part, shard)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (repository / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with served(repository) as hub:
        done = run(hub.address, tmp_path, "owner/some-model", str(tmp_path / "package"))
    assert done.returncode == 0, done.stderr
    assert {name for name in hub.fetched if name.endswith(".bin")} == set(places.values())


@pytest.mark.parametrize("given", ["owner/no-such-model", "owner/some-model"])
def test_what_the_hub_has_not_is_one_line(repository, tmp_path, given):
    shutil.move(repository / WEIGHTS, repository / "model.gguf")
    with served(repository) as hub:
        done = run(hub.address, tmp_path, given, str(tmp_path / "package"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert given in done.stderr
    assert ("model.gguf" in done.stderr) == (given == "owner/some-model")


def test_a_hub_that_nobody_answers_for(tmp_path):
    done = run("http://127.0.0.1:9", tmp_path, "owner/some-model", str(tmp_path / "package"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_typo_beside_folders_is_no_hub_id(plain, monkeypatch, tmp_path):
    monkeypatch.chdir(plain.parent.parent)
    with pytest.raises(ExportError, match="nothing of this name in"):
        export(f"{plain.parent.name}/chekpoint", tmp_path / "package")


def test_without_the_client(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ExportError, match=r"pip install 'huggingface_hub"):
        export("owner/some-model", tmp_path / "package")
