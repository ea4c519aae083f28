"""Checkpoints and packages made once per run, and a copy of one that a test may damage."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from checkpoints import VARIANTS

from fleming_export import export
from fleming_export.synthetic.checkpoint import write_checkpoint
from fleming_export.synthetic.drawn import Options


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
