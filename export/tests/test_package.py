"""The package on disk: what fleming.json says is true, and a half-written package never looks complete."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading

import onnx
import pytest
from checkpoints import edit_json

import fleming_export
from fleming_export import ExportError, export, make_recipe
from fleming_export.__main__ import main
from fleming_export.package import check_space, staged
from fleming_export.prompt import SYSTEM

KEYS = """schema name exporter source target precision quantization files graphs vision normalization
tokens prompt generation kv max_positions work parity quality self_test""".split()

LISTED = "vision.onnx vision.onnx.data decoder.onnx decoder.onnx.data tokenizer.json".split()
#: a program that exports argv 1 to argv 2 and kills itself at the nth call of what argv 3 names
KILLED = """
import importlib, os, signal, sys
from pathlib import Path
import fleming_export
module, name = sys.argv[3].rsplit(":", 1)
module, left = importlib.import_module(module), [int(sys.argv[4])]
whole = getattr(module, name)
def until(*arguments):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*arguments)
setattr(module, name, until)
recipe = fleming_export.make_recipe("cpu", "int4")
fleming_export.export(sys.argv[1], Path(sys.argv[2]), recipe=recipe, force=True)
"""


def test_fields(exported):
    manifest = exported.manifest
    config = json.loads((exported.checkpoint / "config.json").read_text())
    assert set(manifest) == set(KEYS)
    assert (manifest["schema"], manifest["target"], manifest["precision"]) == (2, "cpu", "f32")
    assert manifest["name"] == manifest["source"]["checkpoint"] == "checkpoint"  # no path
    assert manifest["source"]["config"] == config
    assert manifest["exporter"]["version"] == fleming_export.__version__
    side = 448 // config["vision_config"]["patch_size"] // 2
    assert manifest["vision"] == {
        "image_size": 448,
        "patch_size": config["vision_config"]["patch_size"],
        "tokens_per_tile": side * side,
        "hidden_size": config["llm_config"]["hidden_size"],
        "tiling": {"min_tiles": 1, "max_tiles": 12, "thumbnail": True},
    }
    assert manifest["normalization"]["rescale"] == 0.00392156862745098
    assert manifest["kv"]["layers"] == config["llm_config"]["num_hidden_layers"]
    assert manifest["max_positions"] == 32768
    assert manifest["parity"] is None
    tokens = manifest["tokens"]
    assert tokens["image_context"] == tokens["image_end"] + 1 == tokens["image_start"] + 2
    assert tokens["pad"] == tokens["eos"] - 2 == tokens["skip"][0]
    assert tokens["vocabulary"] == config["llm_config"]["vocab_size"]


def test_every_file_is_listed_with_its_digest(exported):
    listed = exported.manifest["files"]
    assert {path.name for path in exported.package.iterdir()} == {*listed, "fleming.json"}
    for name, facts in listed.items():
        content = (exported.package / name).read_bytes()
        assert facts == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    sources = exported.manifest["source"]["files"]
    for path in exported.checkpoint.iterdir():
        assert sources[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_external_data_is_aligned_and_without_overlap(exported):
    for graph in exported.manifest["graphs"].values():
        end = 0
        model = onnx.load(exported.package / graph["file"], load_external_data=False)
        for tensor in model.graph.initializer:
            place = {entry.key: entry.value for entry in tensor.external_data}
            if not place:
                continue
            assert place["location"] == graph["data"][0]
            offset, length = int(place["offset"]), int(place["length"])
            assert offset % 4096 == 0
            assert offset >= end
            end = offset + length
        assert end == exported.manifest["files"][graph["data"][0]]["bytes"]


def test_the_same_twice(tiny, tmp_path):
    again = export(str(tiny.checkpoint), tmp_path / "again")
    for path in tiny.package.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_system_message_of_the_config(damaged, tmp_path, caplog):
    """The published modelling code takes the template's text whatever config.json says, and so does this."""
    edit_json(damaged / "config.json", "system_message", "You answer briefly.")
    package = export(str(damaged), tmp_path / "package")
    assert json.loads((package / "fleming.json").read_text())["prompt"]["system"] == SYSTEM
    assert "system_message is ignored" in caplog.text


def test_existing_target(plain, tmp_path):
    out = export(str(plain), tmp_path / "package")
    with pytest.raises(ExportError, match="--force"):
        export(str(plain), out)
    (out / "README.md").write_text("kept")
    export(str(plain), out, force=True, recipe=make_recipe("tensorrt", "f16"))
    assert (out / "README.md").read_text() == "kept"
    assert {path.name for path in out.iterdir()} == {*LISTED, "fleming.json", "README.md"}
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_force_removes_nothing_but_a_package(plain, tmp_path, kind):
    out = tmp_path / "precious"
    if kind == "folder":
        out.mkdir()
        (out / "thesis.txt").write_text("")
    elif kind == "file":
        out.write_text("")
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="remove it yourself"):
        export(str(plain), out, force=True)
    assert out.is_symlink() or out.exists()


def test_interruption_leaves_nothing_and_keeps_the_old(plain, tmp_path, monkeypatch):
    out = export(str(plain), tmp_path / "package")
    before = (out / "fleming.json").read_bytes()

    def interrupt(*_):
        assert len(list(tmp_path.glob("package.partial-*"))) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr("fleming_export.pipeline.write_parameters", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(str(plain), out, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["package"]
    assert (out / "fleming.json").read_bytes() == before


def test_a_killed_export_has_no_manifest(plain, tmp_path, monkeypatch):
    """The manifest is the last file, so that what a kill leaves behind does not open."""

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    monkeypatch.setattr("fleming_export.pipeline.source_json", killed)
    with pytest.raises(SystemExit):
        export(str(plain), tmp_path / "package")
    (aside,) = tmp_path.iterdir()
    assert ".partial-" in aside.name
    assert (aside / "decoder.onnx.data").exists()
    assert not (aside / "fleming.json").exists()


def kill(plain, out, where: str, call: int) -> None:
    command = [sys.executable, "-c", KILLED, str(plain), str(out), where, str(call)]
    assert subprocess.run(command, check=False).returncode == -9


@pytest.mark.parametrize(
    ("where", "call"),
    [
        ("fleming_export.weights:_append", 2),
        ("fleming_export.weights:_append", 150),
        ("fleming_export.pipeline:_write_manifest", 1),
        ("fleming_export.package:_keep_strangers", 1),
    ],
)
def test_after_a_kill_the_same_export_comes_out(plain, tmp_path, where, call):
    """Real kills: while weights are written, before the manifest, and before the old package is gone."""
    recipe, out = make_recipe("cpu", "int4"), tmp_path / "package"
    whole = export(str(plain), tmp_path / "whole", recipe=recipe)
    before = export(str(plain), out)
    (out / "README.md").write_text("kept")
    f32 = (before / "fleming.json").read_bytes()
    kill(plain, out, where, call)
    assert len(list(tmp_path.iterdir())) == 3
    if "package:" not in where:  # nothing happened to the old package
        assert (out / "fleming.json").read_bytes() == f32
    export(str(plain), out, recipe=recipe, force=True)
    for path in whole.iterdir():
        assert (out / path.name).read_bytes() == path.read_bytes()


def test_a_kill_between_the_renames_loses_nothing(plain, tmp_path):
    """The old package is aside and the new one not yet there: the next export puts it back first."""
    out = export(str(plain), tmp_path / "package")
    (out / "README.md").write_text("kept")
    out.rename(tmp_path / "package.partial-old-01234567")
    export(str(plain), out, force=True)
    assert (out / "README.md").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_the_next_export_sweeps_up_after_a_killed_one(plain, tmp_path):
    """A living export's folder and a stranger's stay."""
    out = tmp_path / "package"
    kill(plain, out, "fleming_export.pipeline:write_parameters", 1)
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / "package.partial").mkdir()
    with staged(out, force=False) as living:
        assert [path.name for path in tmp_path.iterdir() if ".partial-" in path.name] == [living.name]
        export(str(plain), tmp_path / "package")
        assert living.exists()
        shutil.rmtree(out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package", "package.partial"]


def test_full_disk_is_noticed_before_writing(plain, tmp_path, monkeypatch):
    monkeypatch.setattr("fleming_export.package.free_bytes", lambda _: 1000)
    with pytest.raises(ExportError, match="MB of free space"):
        export(str(plain), tmp_path / "package")
    assert not list(tmp_path.iterdir())


def test_numbers_of_a_full_disk_differ_when_they_are_near(tmp_path, monkeypatch):
    monkeypatch.setattr("fleming_export.package.free_bytes", lambda _: 167_000_000)
    with pytest.raises(ExportError) as caught:
        check_space(tmp_path, 100_000_000)
    assert (caught.value.wanted, caught.value.got) == ("167.1 MB of free space", "167.0 MB")


def test_a_disk_that_fills_while_writing_is_named(plain, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("fleming_export.pipeline.write_parameters", full)
    with pytest.raises(ExportError, match="No space left on device") as caught:
        export(str(plain), tmp_path / "package")
    assert caught.value.thing == str(tmp_path / "package")
    assert not list(tmp_path.iterdir())


def test_a_package_that_appears_meanwhile_stays(plain, tmp_path):
    out = tmp_path / "package"
    with pytest.raises(ExportError, match="does not exist"), staged(out, force=False) as folder:
        (folder / "file").write_text("mine")
        export(str(plain), out)
    assert (out / "fleming.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_a_terminated_export_leaves_nothing(plain, tmp_path):
    """By SIGTERM, in the middle of the weights."""
    started = KILLED.replace("SIGKILL", "SIGTERM").partition("recipe =")[0]
    code = (
        f"{started}\nimport runpy\ndel sys.argv[3:]\nrunpy.run_module('fleming_export', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(plain), str(tmp_path / "package")]
    command += ["fleming_export.weights:_append", "20"]
    assert subprocess.run(command, check=False).returncode == 128 + signal.SIGTERM
    assert not list(tmp_path.iterdir())


def test_exports_at_once(plain, tmp_path):
    """With --force each of them ends well, and the last of them is there whole."""
    command = [sys.executable, "-m", "fleming_export", str(plain), str(tmp_path / "package")]
    command += ["--force", "--no-self-test"]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [each.communicate()[1] for each in running] == [""] * 4
    assert [each.returncode for each in running] == [0] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["package"]
    export(str(plain), tmp_path / "wanted")
    for path in (tmp_path / "wanted").iterdir():
        assert (tmp_path / "package" / path.name).read_bytes() == path.read_bytes()


def test_no_folder_is_swept_between_its_making_and_its_lock(tmp_path, monkeypatch):
    """Another export's sweep waits: it would take a folder that is not locked yet for a dead one's."""
    real, swept = os.open, []

    def slow(path, *arguments):
        if "package.partial-" in str(path) and not swept:
            sweeper = threading.Thread(target=lambda: staged_once(tmp_path / "package"))
            swept.append(sweeper)
            sweeper.start()
            sweeper.join(0.3)
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", slow)
    with staged(tmp_path / "package", force=True) as folder:
        assert folder.exists()
    swept[0].join()


def staged_once(out) -> None:
    with staged(out, force=True):
        pass


def test_staged_makes_parents(tmp_path):
    with staged(tmp_path / "a" / "b", force=False) as folder:
        (folder / "file").write_text("")
    assert (tmp_path / "a/b/file").exists()


def test_command_line(plain, tmp_path, capsys):
    command = [sys.executable, "-m", "fleming_export", str(plain), str(tmp_path / "package")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path / 'package'}\n", "")
    for arguments in (command[3:], [str(tmp_path / "nothing"), str(tmp_path / "other")]):
        assert main(arguments) == 1
        out, error = capsys.readouterr()
        assert out == ""
        assert error.startswith("fleming_export: ")
        assert error.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        main([str(plain), str(tmp_path / "other"), "--target", "toaster"])


@pytest.mark.parametrize(("key", "value"), [("target", "toaster"), ("precision", "f8")])
def test_unknown_target_or_precision(key, value):
    with pytest.raises(ExportError, match=value):
        make_recipe(**{"target": "cpu", "precision": "f32", key: value})
