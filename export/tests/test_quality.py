"""The quality report tells a good package from a bad one; inspect and the memory formula are right."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from conftest import edit_json

from fleming_export import ExportError, export, make_recipe
from fleming_export.__main__ import main
from fleming_export.config import read_config
from fleming_export.memory import needed, weight_bytes
from fleming_export.quality import BARS, Tally, compare, verify
from fleming_export.recipe import TARGETS


@pytest.fixture(scope="module")
def eight(tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("quality") / "package"
    return export(str(tiny.checkpoint), out, recipe=make_recipe("cpu", "int8"))


def test_tally():
    tally = Tally(cosines=[1.0])
    tally.add(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]), 1)
    tally.add(np.array([0.0, 0.0]), np.array([np.log(3.0), 0.0]), 1)
    report = tally.report()
    assert (report["positions"], report["top1_agreement"]) == (2, 1.0)
    divergence = (
        np.log(0.5) - np.log(0.75) / 2 - np.log(0.25) / 2
    )  # of the second position; none at the first
    assert report["kl_divergence"]["mean"] == pytest.approx(divergence / 2)
    assert report["perplexity_ratio"] == pytest.approx(np.sqrt(2))


def test_the_f32_package_is_itself(tiny):
    report = compare(tiny.package, tiny.package, asked=2)
    assert report["top1_agreement"] == 1
    assert abs(report["kl_divergence"]["mean"]) < 1e-12
    assert report["perplexity_ratio"] == pytest.approx(1)
    assert report["positions"] > 64


def test_verify_records_the_report_and_fails_below_the_bar(tiny, eight, monkeypatch, capsys):
    """A tiny model of random weights is near ties everywhere; the bar is for models that have learned."""
    passed = verify(str(tiny.checkpoint), eight)
    report = json.loads((eight / "fleming.json").read_text())["quality"]
    assert json.loads(capsys.readouterr().out) == report
    assert report["passed"] == passed == (report["top1_agreement"] >= BARS["int8"])
    assert report["embedding_cosine"]["min"] > 0.995
    assert 0 < report["kl_divergence"]["mean"] < 0.05
    assert not [path for path in eight.parent.iterdir() if "reference" in path.name]
    monkeypatch.setitem(BARS, "int8", 1.01)
    assert not verify(str(tiny.checkpoint), eight, tiny.package)


def test_a_damaged_package_shows(tiny, eight, tmp_path):
    damaged = shutil.copytree(eight, tmp_path / "damaged")
    path = damaged / "decoder.onnx.data"
    values = np.fromfile(path, np.uint8)
    values[::97] ^= 0x20
    values.tofile(path)
    whole, broken = (compare(package, tiny.package, asked=2) for package in (eight, damaged))
    assert not broken["kl_divergence"]["mean"] < 2 * whole["kl_divergence"]["mean"]


def test_a_reference_of_another_checkpoint_is_refused(eight, exported):
    source = json.loads((eight / "fleming.json").read_text())["source"]
    if source == exported.manifest["source"]:
        pytest.skip("the same checkpoint")
    with pytest.raises(ExportError, match="same checkpoint"):
        compare(eight, exported.package)


def test_command_line(plain, tmp_path, capsys):
    out = str(tmp_path / "package")
    assert main([str(plain), out, "--precision", "int4", "--block", "64"]) == 0
    assert main(["inspect", out]) == 0
    shown = capsys.readouterr().out
    for part in (
        "int4 for cpu",
        "language: 4 bits in blocks of 64",
        "quality: not measured",
        "memory at 4096",
    ):
        assert part in shown
    assert main(["inspect", str(tmp_path)]) == 1
    assert main([str(plain), out, "--target", "cuda", "--verify", "--force"]) == 1
    assert "--verify" in capsys.readouterr().err


def test_the_formula_knows_the_size_of_the_files(exported, tmp_path):
    config = read_config(exported.manifest["source"]["config"])
    for target, precisions in TARGETS.items():
        for precision in precisions:
            recipe = make_recipe(target, precision)
            out = export(str(exported.checkpoint), tmp_path / "package", recipe=recipe, force=True)
            manifest = json.loads((out / "fleming.json").read_text())
            assert needed(manifest, 100)["weights"] == weight_bytes(config, recipe)
            layers, kv = config.language.layers, config.language.kv_heads * config.language.head_dim
            size = 4 if precision == "f32" or target == "cpu" else 2
            assert needed(manifest, 100)["kv"] == 2 * layers * kv * size * 100


@pytest.mark.parametrize(
    ("key", "value"), [("use_llm_lora", 16), ("quantization_config", {"quant_method": "awq"})]
)
def test_checkpoints_that_are_not_plain(damaged, tmp_path, key, value):
    edit_json(damaged / "config.json", key, value)
    with pytest.raises(ExportError, match=key):
        export(str(damaged), tmp_path / "package")
    assert not (tmp_path / "package").exists()
