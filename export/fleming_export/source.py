"""Opens whatever a checkpoint is given as: a folder, a package, or a hub id."""

from __future__ import annotations

from pathlib import Path

from .contract import MANIFEST_FILE
from .errors import ExportError
from .files import read_json
from .sources.folder import Checkpoint
from .sources.packaged import PackagedCheckpoint
from .sources.prequantized import PrequantizedCheckpoint


def open_checkpoint(given: str) -> Checkpoint:
    """A local folder (an f32 package among them), or else a hub id, downloaded into the hub's own cache."""
    folder = Path(given)
    if (folder / MANIFEST_FILE).is_file():
        return PackagedCheckpoint(folder)
    if folder.is_dir():
        name = folder.resolve().name
        return _opened(folder, name, name)
    looks_local = given.startswith((".", "/", "~")) or given.count("/") != 1
    if looks_local or folder.exists():
        raise ExportError(given, "a checkpoint folder, or a hub id like owner/name", "no such folder")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        hint = "pip install 'fleming-export[hub]', or give a local folder"
        raise ExportError(given, "huggingface_hub to download a checkpoint", "not installed", hint) from None
    try:
        local = snapshot_download(given, allow_patterns=["*.json", "*.txt", "*.safetensors"])
    except Exception as error:  # the hub client has dozens of error types: a reader needs its one line
        raise ExportError(given, "a checkpoint on the hub", f"{type(error).__name__}: {error}") from None
    return _opened(Path(local), given.rsplit("/", 1)[-1], given)


def _opened(folder: Path, name: str, given: str) -> Checkpoint:
    """By what config.json says of quantised weights; where it is missing, that is told later."""
    content = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    sections = content, content.get("llm_config")
    if any(isinstance(part, dict) and part.get("quantization_config") for part in sections):
        return PrequantizedCheckpoint(folder, name, given)
    return Checkpoint(folder, name, given)
