"""Checkpoints in every variant, and how a test changes one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fleming_export.synthetic.drawn import Options

#: size, tied, patch size, shard limit: both towers, tied and untied, one file and several
VARIANTS = {
    "tiny": ("tiny", Options(seed=1)),
    "tiny-tied-sharded": ("tiny", Options(seed=2, tied=True, patch_size=28, shard_bytes=300_000)),
    "38b-sharded": ("tiny-38b", Options(seed=3, patch_size=28, shard_bytes=300_000)),
    "38b-tied": ("tiny-38b", Options(seed=4, tied=True, patch_size=28)),
    "qwen3": ("tiny-qwen3", Options(seed=5, patch_size=28)),
}


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
