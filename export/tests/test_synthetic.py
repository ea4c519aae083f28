"""Synthetic checkpoints are reproducible, and a failed one leaves nothing."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from fleming_export import export
from fleming_export.quantize import bfloat16_bits
from fleming_export.synthetic.__main__ import main
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options
from fleming_export.synthetic.inputs import write_inputs


def test_reproducible_from_the_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_checkpoint("tiny-38b", tmp_path / name, Options(seed=seed, patch_size=28))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ac"]
    assert weights[0] != weights[1]


def test_rounding_to_bfloat16():
    values = np.array([1.0, 1.00390625, 1.01171875, -3.1415927, 0.0], np.float32)  # two ties among them
    wide = (bfloat16_bits(values).astype(np.uint32) << 16).view(np.float32)
    assert wide.tolist() == [1.0, 1.0, 1.015625, -3.140625, 0.0]


def test_shards_are_within_the_limit(tmp_path):
    write_checkpoint("tiny", tmp_path / "out", Options(patch_size=28, shard_bytes=300_000))
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    shards = sorted((tmp_path / "out").glob("*.safetensors"))
    assert set(index["weight_map"].values()) == {path.name for path in shards}
    assert all(path.stat().st_size < 310_000 for path in shards)


def test_more_rows_than_ids(tmp_path, capsys):
    arguments = ["tiny", str(tmp_path / "out"), "--patch-size", "28", "--vocabulary"]
    assert main([*arguments, "10"]) == 1
    assert "vocabulary" in capsys.readouterr().err
    assert main([*arguments, "4000"]) == 0
    content = json.loads((export(str(tmp_path / "out"), tmp_path / "package") / "fleming.json").read_text())
    assert content["tokens"]["vocabulary"] == 4000


def test_failure_leaves_nothing(tmp_path, capsys):
    assert main(["tiny", str(tmp_path / "out"), "--tokenizer", str(tmp_path)]) == 1
    assert "vocab.json" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_inputs(tmp_path):
    image = pytest.importorskip("PIL.Image")
    written = {path.name for path in write_inputs(tmp_path)}
    assert ("clip.mp4" in written) == bool(shutil.which("ffmpeg"))
    assert image.open(tmp_path / "chest.png").size == (480, 520)
    for name, kind in (("volume_f32.npy", np.float32), ("volume_i16.npy", np.int16)):
        volume = np.load(tmp_path / name)
        assert (volume.shape, volume.dtype) == ((32, 256, 256), kind)
        assert volume.min() < -900
