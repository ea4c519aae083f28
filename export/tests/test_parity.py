"""The parity check passes a right package and fails a wrong one; without the verify extra it says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from checkpoints import edit_json
from native import as_native

from fleming_export import ExportError, export
from fleming_export.__main__ import main
from fleming_export.parity.prompts import require


def has_extra() -> bool:
    try:
        require()
    except ExportError:
        return False
    return True


needs_extra = pytest.mark.skipif(not has_extra(), reason="needs the verify extra")


@pytest.mark.skipif(has_extra(), reason="the verify extra is installed")
def test_missing_extra_is_named_before_any_work(plain, tmp_path, capsys):
    assert main([str(plain), str(tmp_path / "package"), "--verify"]) == 1
    assert "pip install 'torch" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_export_imports_neither_torch_nor_onnxruntime():
    heavy = {"torch", "transformers", "onnxruntime"}
    program = f"import sys, fleming_export; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@needs_extra
def test_a_right_package_passes(exported, tmp_path):
    from fleming_export.parity import verify

    package = shutil.copytree(exported.package, tmp_path / "package")
    assert verify(str(exported.checkpoint), package, steps=8)
    parity = json.loads((package / "fleming.json").read_text())["parity"]
    assert parity["passed"]
    assert parity["greedy"]["equal"] + len(parity["greedy"]["ties"]) == 24


@needs_extra
@pytest.mark.parametrize("version", [4, 5])
def test_the_native_layout_passes(plain, tmp_path, version):
    """Without vocab.json too, and with a processor of another class."""
    from fleming_export.parity import verify

    native = as_native(plain, tmp_path / "native", version)
    assert verify(str(native), export(str(native), tmp_path / "package"), steps=3)


@needs_extra
def test_the_self_test_gets_the_answers_of_torch(plain, tmp_path):
    """Once, however often it is verified; a prompt that the exporter wrote otherwise fails the check."""
    from fleming_export.parity import verify

    out = tmp_path / "package"
    assert main([str(plain), str(out)]) == 0
    assert verify(str(plain), out, steps=2)
    assert verify(str(plain), out, steps=2)
    manifest = json.loads((out / "fleming.json").read_text())
    assert manifest["parity"]["self_test"] == {"cases": 3, "different": 0}
    ours, torch = manifest["self_test"]["runs"]
    assert (ours["by"].split()[0], torch["by"].split()[0]) == ("ONNX", "torch")
    for one, other in zip(ours["answers"], torch["answers"], strict=True):
        assert one["tokens"] == other["tokens"]
        assert one["logits"]["values"] == pytest.approx(other["logits"]["values"], abs=1e-4)
    edit_json(
        out / "fleming.json",
        "self_test.cases",
        [{**case, "ids_sha256": "0"} for case in manifest["self_test"]["cases"]],
    )
    assert not verify(str(plain), out, steps=2)


@needs_extra
@pytest.mark.parametrize("value", [0.5, np.nan])
@pytest.mark.parametrize("graph", ["vision", "decoder"])
def test_a_wrong_package_fails_and_stays(tiny, tmp_path, graph, value):
    from fleming_export.parity import verify

    package = shutil.copytree(tiny.package, tmp_path / "package")
    path = package / f"{graph}.onnx.data"
    weights = np.fromfile(path, np.float32)
    weights[-64:] = value  # the last bias of the projector, or the last norm
    weights.tofile(path)
    assert not verify(str(tiny.checkpoint), package, steps=4)
    parity = json.loads((package / "fleming.json").read_text(), parse_constant=pytest.fail)["parity"]
    assert not parity["passed"]


@needs_extra
def test_goldens(plain, tmp_path):
    from fleming_export.parity.goldens import write_goldens

    write_goldens(str(plain), tmp_path)
    golden = json.loads((tmp_path / "frames.json").read_text())
    assert len(golden["files"]) == 16
    assert golden["pixels"]["shape"] == [16, 3, 448, 448]
    rows = np.load(tmp_path / "frames.image_embeds.npy")
    assert rows.shape == (16 * 64 // golden["image_embeds_row_stride"], 64)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 300_000
