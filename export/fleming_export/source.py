"""Opens whatever a checkpoint is given as: a folder, a package, or a hub id."""

from __future__ import annotations

import re
from pathlib import Path

from .config import read_config
from .contract import MANIFEST_FILE
from .errors import ExportError
from .files import read_json
from .sources.folder import Checkpoint, Remote
from .sources.hub import Hub
from .sources.packaged import PackagedCheckpoint
from .sources.prequantized import PrequantizedCheckpoint

#: What the hub allows in the two halves of an id.
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def open_checkpoint(given: str) -> Checkpoint:
    """A local folder (an f32 package among them), or else a hub id.

    Its small files are there afterwards; of a hub id the weights are fetched when they are first needed.
    """
    folder = Path(given).expanduser()
    if (folder / MANIFEST_FILE).is_file():
        return PackagedCheckpoint(folder)
    if (folder / "snapshots").is_dir():
        found = ", ".join(str(path) for path in sorted((folder / "snapshots").iterdir())) or "none"
        raise ExportError(given, "one snapshot of the hub's cache", "all of a model", f"there is {found}")
    if folder.is_dir():
        return _opened(folder, *_named(folder.resolve()))
    if folder.exists() or not HUB_ID.fullmatch(given):
        raise ExportError(given, "a checkpoint folder, or a hub id like owner/name", "no such folder")
    if folder.parent.is_dir():
        hint = "a hub id is looked up from a folder that has none of its owner's name"
        raise ExportError(given, "a checkpoint folder", f"nothing of this name in {folder.parent}", hint)
    hub = Hub(given)
    return _opened(hub.small_files(), given.rsplit("/", 1)[-1], given, hub)


def _named(folder: Path) -> tuple[str, str]:
    """Name, and how the checkpoint is called in ``fleming.json``: by the folder, or by the hub id where the
    folder is a snapshot in the hub's cache, whose own name is a digest."""
    cached = folder.parent.parent.name
    if folder.parent.name == "snapshots" and cached.startswith("models--"):
        hub_id = cached.removeprefix("models--").replace("--", "/", 1)
        return hub_id.rsplit("/", 1)[-1], hub_id
    return folder.name, folder.name


def _opened(folder: Path, name: str, given: str, remote: Remote | None = None) -> Checkpoint:
    """By what config.json says of quantised weights."""
    config = folder / "config.json"
    packed = config.is_file() and read_config(read_json(config)).packing
    kind = PrequantizedCheckpoint if packed else Checkpoint
    return kind(folder, name, given, remote)
