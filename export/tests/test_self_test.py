"""The self-test of a package: what is recorded is true, and nothing is loaded that there is no room for."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy_model import NumpyModel

from fleming_export import ExportError, export, make_recipe, memory, self_test
from fleming_export.__main__ import main
from fleming_export.config import read_config
from fleming_export.memory import needed, needed_by, work_bytes
from fleming_export.recipe import TARGETS, Choices, Recipe
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options


def manifest_of(package: Path) -> dict:
    return json.loads((package / "fleming.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def asked(plain, tmp_path_factory) -> Path:
    """A package with its self-test."""
    out = tmp_path_factory.mktemp("asked") / "package"
    assert main([str(plain), str(out)]) == 0
    return out


@pytest.fixture
def copied(asked, tmp_path) -> Path:
    return Path(shutil.copytree(asked, tmp_path / "copy"))


def test_the_picture_is_that_of_the_runtime():
    """src/self_test.rs has the same digest."""
    drawn = self_test.draw(30, 20)
    assert (drawn.shape, drawn.dtype) == ((20, 30, 3), np.uint8)
    digest = "053baf9eca1f2730d77595c3076c538a80ba973ca67e66cf4f1156ca54cba652"
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == digest
    assert drawn[10, 15].tolist() == [127, 127, 255]
    assert drawn[0, 29].tolist() == [246, 0, 128]


def test_what_is_recorded_is_what_the_model_computes(plain, asked):
    """Beside the model in plain numpy: embeddings, first logits, and the first token."""
    model, manifest = NumpyModel(plain), manifest_of(asked)
    test = manifest["self_test"]
    assert test["version"] == self_test.VERSION
    assert [case["name"] for case in test["cases"]] == [case.name for case in self_test.CASES]
    (run,) = test["runs"]
    assert run["precision"] == "f32"
    for case, written, answer in zip(self_test.CASES, test["cases"], run["answers"], strict=True):
        prompt = self_test._Prompt(case, asked, manifest)
        assert written["tokens"] == len(prompt.ids)
        embeds = [model.embed(tile) for tile in prompt.pixels]
        assert (answer["embeddings"] is None) == (not embeds)
        rows = np.concatenate(embeds) if embeds else None
        if embeds:
            holds(answer["embeddings"], rows.reshape(-1))
        places = {int(at): rows[prompt.splice[at]] for at in np.flatnonzero(prompt.splice >= 0)}
        logits = model.logits(prompt.ids.tolist(), places)[-1]
        holds(answer["logits"], logits)
        for place, value in answer["logits"]["top"]:
            assert logits[place] == pytest.approx(value, abs=1e-4)
        assert len(answer["tokens"]) == len(answer["margins"]) == self_test.STEPS
        best = np.sort(logits)[::-1]
        assert answer["tokens"][0] == answer["logits"]["top"][0][0] == logits.argmax()
        assert answer["margins"][0] == pytest.approx(best[0] - best[1], abs=1e-4)


def holds(recorded: dict, values: np.ndarray) -> None:
    """What was recorded of a tensor is true of these values."""
    assert recorded["count"] == values.size
    assert recorded["mean"] == pytest.approx(values.mean(), abs=1e-5)
    assert recorded["deviation"] == pytest.approx(values.std(), abs=1e-5)
    assert recorded["largest"] == pytest.approx(np.abs(values).max(), abs=1e-4)
    places = np.arange(len(recorded["values"])) * recorded["stride"] % values.size
    assert len(set(places)) == self_test.VALUES
    assert np.array(recorded["values"]) == pytest.approx(values[places], abs=1e-4)


def test_pixels_and_ids_are_those_of_pillow_and_the_slow_arithmetic(asked):
    """Normalised as transformers does it: a byte times the factor in double precision, rounded to single."""
    from PIL import Image

    manifest = manifest_of(asked)
    constants, case = manifest["normalization"], manifest["self_test"]["cases"][2]
    tiles = []
    for width, height in case["pictures"]:
        resized = np.asarray(Image.fromarray(self_test.draw(width, height)).resize((448, 448)))
        scaled = (resized.astype(np.float64) * constants["rescale"]).astype(np.float32)
        normal = (scaled - np.array(constants["mean"], np.float32)) / np.array(constants["std"], np.float32)
        tiles.append(normal.transpose(2, 0, 1))
    raw = np.stack(tiles).astype("<f4").tobytes()
    assert case["pixels_sha256"] == hashlib.sha256(raw).hexdigest()


def test_the_same_twice(asked, copied):
    before = (copied / "fleming.json").read_bytes()
    assert main(["self-test", str(copied)]) == 0
    assert (copied / "fleming.json").read_bytes() == before


@pytest.mark.parametrize("precision", ["int8", "int4"])
def test_a_package_for_the_cpu_answers_itself(plain, asked, tmp_path, precision):
    out = tmp_path / "package"
    assert main([str(plain), str(out), "--precision", precision]) == 0
    mine, other = (manifest_of(package)["self_test"] for package in (out, asked))
    assert mine["cases"] == other["cases"]
    assert mine["runs"][0]["precision"] == precision
    assert mine["runs"][0]["answers"] != other["runs"][0]["answers"]


def test_a_package_for_a_gpu_takes_the_answers_of_an_f32_package(plain, asked, tmp_path, capsys):
    out = tmp_path / "package"
    assert main([str(plain), str(out), "--target", "cuda"]) == 0
    assert "an f32 package is made for the time" in capsys.readouterr().err
    assert manifest_of(out)["self_test"] == manifest_of(asked)["self_test"]
    assert [path.name for path in tmp_path.iterdir()] == ["package"]


def test_an_f32_package_that_has_been_asked_is_not_asked_again(asked, copied, tmp_path, monkeypatch):
    def unasked(*_):
        raise AssertionError

    monkeypatch.setattr(self_test, "_run", unasked)
    out = tmp_path / "package"
    assert main([str(asked), str(out), "--target", "tensorrt"]) == 0
    wanted = manifest_of(asked)["self_test"]
    assert manifest_of(out)["self_test"] == wanted
    # and given later, by hand
    other = export(str(asked), tmp_path / "other", recipe=make_recipe("cuda", "f16"))
    assert manifest_of(other)["self_test"] is None
    assert main(["self-test", str(other), "--reference", str(copied)]) == 0
    assert manifest_of(other)["self_test"] == wanted


def test_a_reference_of_another_checkpoint_or_none_is_refused(asked, tiny, tmp_path, capsys):
    out = export(str(asked), tmp_path / "package", recipe=make_recipe("cuda", "bf16"))
    for arguments, wanted in (
        ([], "name it with --reference"),
        (["--reference", str(tiny.package)], "of the same checkpoint"),
        (["--reference", str(out)], "bf16 for cuda"),
    ):
        assert main(["self-test", str(out), *arguments]) == 1
        assert wanted in capsys.readouterr().err
    assert manifest_of(out)["self_test"] is None


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_nothing_is_loaded_without_room(plain, tmp_path, monkeypatch, capsys, target):
    """By default a notice says so; where the self-test was demanded, it is an error. The package stays."""

    def loaded(*_):
        raise AssertionError

    monkeypatch.setattr(self_test, "available_bytes", lambda: 1000)
    monkeypatch.setattr("fleming_export.parity.runtime.PackageRunner", loaded)
    for option, code in (([], 0), (["--self-test"], 1)):
        out = tmp_path / f"package{code}"
        assert main([str(plain), str(out), "--target", target, *option]) == code
        told = capsys.readouterr()
        assert told.out == f"{out}\n"
        assert "0.2 GB of memory to ask it, got 0.0 GB" in told.err
        assert ("adds it on another machine" in told.err) == (code == 0)
        assert manifest_of(out)["self_test"] is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["package0", "package1"]


def test_no_room_for_the_f32_package(plain, tmp_path, monkeypatch, capsys):
    def full(folder, _):
        raise ExportError(str(folder), "32 GB of free space", "1 GB")

    monkeypatch.setattr(self_test, "check_space", full)
    assert main([str(plain), str(tmp_path / "package"), "--target", "cuda"]) == 0
    assert "32 GB of free space, for an f32 package, got 1 GB" in capsys.readouterr().err


def test_it_may_be_left_out(plain, tmp_path, capsys):
    assert main([str(plain), str(tmp_path / "package"), "--no-self-test"]) == 0
    assert capsys.readouterr().err == ""
    assert manifest_of(tmp_path / "package")["self_test"] is None


def test_a_missing_library_is_named_before_any_work_if_it_is_demanded(plain, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    out = tmp_path / "package"
    assert main([str(plain), str(out), "--self-test"]) == 1
    assert "pip install 'onnxruntime" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([str(plain), str(out)]) == 0
    assert "without a self-test: tokenizers: wanted the library" in capsys.readouterr().err


def test_a_package_that_holds_too_little(plain, tmp_path):
    recipe = make_recipe("tensorrt", "bf16", Choices(capacity=100))
    out = export(str(plain), tmp_path / "package", recipe=recipe)
    with pytest.raises(self_test.LeftOut, match=r"wanted room for \d+ positions, got 100"):
        self_test.add(out, checkpoint=str(plain))


def test_answers_that_are_no_numbers_are_an_error(copied, capsys):
    path = copied / "decoder.onnx.data"
    weights = np.fromfile(path, np.float32)
    weights[-64:] = np.nan
    weights.tofile(path)
    assert main(["self-test", str(copied)]) == 1
    assert "self-test, text: wanted finite embeddings and logits" in capsys.readouterr().err
    (copied / "decoder.onnx").write_bytes(b"no graph")
    assert main(["self-test", str(copied)]) == 1
    assert "wanted a package that ONNX Runtime runs" in capsys.readouterr().err


def test_the_figures_of_work_are_those_of_the_formula(exported, tmp_path):
    """Written out, package by package; one that has no figures is reckoned the same."""
    config = read_config(exported.manifest["source"]["config"])
    language, vision = config.language, config.vision
    position = 2 * language.intermediate + 3 * language.hidden + 2 * language.heads * language.head_dim
    tokens = vision.grid**2 + 1
    for target in TARGETS:
        recipe = make_recipe(target, None)
        out = export(str(exported.checkpoint), tmp_path / target, recipe=recipe)
        manifest = manifest_of(out)
        for context in (100, 4096):
            new = min(512, context)
            wanted = {
                "cpu": new * (position + language.heads * context)
                + 2 * tokens * vision.intermediate
                + vision.heads * tokens**2,
                "cuda": new * position + 12 * tokens * (vision.intermediate + 3 * vision.hidden),
                "tensorrt": 8 * 512 * position + 12 * tokens * (vision.intermediate + 3 * vision.hidden),
            }[target]
            parts = needed(manifest, context)
            assert parts["work"] == 4 * (wanted + language.vocabulary)
            assert parts["work"] == work_bytes(manifest["work"], context)
            assert parts["base"] == 150_000_000
            assert needed({**manifest, "work": None}, context) == parts
            assert needed_by(config, recipe, context) == parts


def test_padded_heads_are_counted(plain, tmp_path):
    """Of seven query heads in a group eight are made: one more in each group, as a query and as an output."""

    def seven(config: dict) -> None:
        config["llm_config"] |= {"num_attention_heads": 7, "num_key_value_heads": 1, "hidden_size": 112}
        config["hidden_size"] = 112

    folder = tmp_path / "checkpoint"
    write_checkpoint("tiny", folder, Options(patch_size=28), seven)
    more, less = (
        manifest_of(
            export(
                str(folder), tmp_path / f"{pad}", recipe=make_recipe("cuda", "bf16", Choices(pad_groups=pad))
            )
        )
        for pad in (True, False)
    )
    width = more["kv"]["head_dim"]
    assert more["work"]["position_bytes"] - less["work"]["position_bytes"] == 4 * 2 * width


def test_available_memory(monkeypatch):
    found = memory.available_bytes()
    assert found is None or found > 1 << 20
    files = {
        "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:  8000 kB\n",
        "/sys/fs/cgroup/memory.max": "max\n",
        "/sys/fs/cgroup/memory.current": "3000000\n",
        "/sys/fs/cgroup/memory.stat": "anon 7\nactive_file 400000\ninactive_file 600000\n",
    }
    monkeypatch.setattr(memory, "_read", lambda path: files.get(path, ""))
    assert memory.available_bytes() == 8000 * 1024
    files["/sys/fs/cgroup/memory.max"] = "5000000\n"
    assert memory.available_bytes() == 5_000_000 - (3_000_000 - 1_000_000)
    del files["/proc/meminfo"]
    assert memory.available_bytes() is None


def test_the_export_alone_imports_no_runtime():
    heavy = {"onnxruntime", "PIL", "tokenizers"}
    program = f"import sys, fleming_export.__main__; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_default_recipe_is_that_of_the_answers():
    """An f32 package for the cpu, which is what answers for a GPU's."""
    assert (Recipe().target, Recipe().precision) == ("cpu", "f32")
