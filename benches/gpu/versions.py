"""Versions of torch and what belongs to it."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

NAMES = ("torch", "transformers", "numpy", "onnx", "onnx-ir", "tokenizers")


def found() -> dict:
    """What is installed, and what torch sees."""
    versions = {"versions": {name: _version(name) for name in NAMES}}
    if versions["versions"]["torch"] is None:
        return versions
    import torch

    seen = torch.cuda.is_available()
    return {
        **versions,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if seen else None,
        "gpu": torch.cuda.get_device_name() if seen else None,
        "gpu_memory_bytes": torch.cuda.get_device_properties(0).total_memory if seen else None,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(found()), encoding="utf-8")
