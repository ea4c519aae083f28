"""Checkpoints and packages made once per run, and a copy of one that a test may damage."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fleming_export import export
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options

#: size, tied, patch size, shard limit: both towers, tied and untied, one file and several
VARIANTS = {
    "tiny": ("tiny", Options(seed=1)),
    "tiny-tied-sharded": ("tiny", Options(seed=2, tied=True, patch_size=28, shard_bytes=300_000)),
    "38b-sharded": ("tiny-38b", Options(seed=3, patch_size=28, shard_bytes=300_000)),
    "38b-tied": ("tiny-38b", Options(seed=4, tied=True, patch_size=28)),
    "qwen3": ("tiny-qwen3", Options(seed=5, patch_size=28)),
}


@dataclass(frozen=True)
class Exported:
    """A checkpoint folder and the package made of it."""

    checkpoint: Path
    package: Path

    @property
    def manifest(self) -> dict:
        return json.loads((self.package / "fleming.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session", params=list(VARIANTS))
def exported(request, tmp_path_factory) -> Exported:
    """Every variant in turn."""
    return _export(request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Exported:
    """One variant, for what does not depend on the architecture."""
    return _export("tiny-tied-sharded", tmp_path_factory)


@pytest.fixture(scope="session")
def plain(tmp_path_factory) -> Path:
    """A checkpoint in one file, untied, at patch size 28."""
    folder = tmp_path_factory.mktemp("plain") / "checkpoint"
    write_checkpoint("tiny", folder, Options(patch_size=28))
    return folder


@pytest.fixture
def damaged(plain, tmp_path) -> Path:
    """A copy of ``plain`` to damage."""
    return Path(shutil.copytree(plain, tmp_path / "checkpoint"))


def _export(name: str, tmp_path_factory) -> Exported:
    folder = tmp_path_factory.mktemp(name)
    size, options = VARIANTS[name]
    write_checkpoint(size, folder / "checkpoint", options)
    return Exported(folder / "checkpoint", export(str(folder / "checkpoint"), folder / "package"))


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """The bfloat16 bit patterns of a checkpoint in one file."""
    raw = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    data = raw[8 + length :]
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], "<u2").reshape(entry["shape"])
        for name, entry in header.items()
    }


def write_tensors(folder: Path, tensors: dict[str, np.ndarray], dtypes: dict[str, str] | None = None) -> None:
    """Replaces model.safetensors."""
    header, offset, data = {}, 0, b""
    for name, values in tensors.items():
        raw = values.tobytes()
        entry = {"dtype": (dtypes or {}).get(name, "BF16"), "shape": values.shape}
        header[name] = {**entry, "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
        data += raw
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)


def edit_json(path: Path, keys: str, value: object) -> None:
    """Sets a dotted key of a JSON file; ``...`` removes it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    inner = content
    *parents, last = keys.split(".")
    for key in parents:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(content), encoding="utf-8")
