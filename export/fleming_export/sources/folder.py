"""A checkpoint folder: its JSON files, and its tensors by name, read lazily."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import UNMERGED, ExportError
from ..files import read_json
from .readable import Readable
from .safetensors import read_header
from .stored import StoredTensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
#: What a package is made from, beside the weights.
SMALL_FILES = {
    "config.json",
    "preprocessor_config.json",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "tokenizer.json",
    INDEX,
}


class Checkpoint(Readable):
    """A local checkpoint folder."""

    #: what a package says of the checkpoint, where that is known without reading it
    source: dict | None = None

    def __init__(self, folder: Path, name: str, given: str) -> None:
        self.folder = folder
        self.name = name
        #: How the checkpoint is called in ``fleming.json``: a hub id, or a folder's own name.
        self.given = given
        self.shards = _shards(folder)
        self.tensors = _tensors(folder, self.shards)

    def json(self, name: str) -> dict:
        """A JSON file that must be there."""
        if not (self.folder / name).is_file():
            hint = "fine-tunes may leave it out: copy it from the InternVL3 checkpoint they began with"
            raise ExportError(name, f"a file in {self.folder}", "no such file", hint)
        return read_json(self.folder / name)

    def optional_json(self, name: str) -> dict | None:
        """A JSON file that may be absent."""
        return read_json(self.folder / name) if (self.folder / name).is_file() else None

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        yield from self.tensors[name].blocks()

    def source_files(self) -> list[Path]:
        """Every file the package is made from, shards last."""
        small = [
            path for path in sorted(self.folder.iterdir()) if path.name in SMALL_FILES and path.is_file()
        ]
        return small + [self.folder / shard for shard in self.shards]


def _shards(folder: Path) -> list[str]:
    """File names of the weights, in order."""
    if (folder / ADAPTER).is_file():
        raise ExportError(str(folder / ADAPTER), "a checkpoint alone", "LoRA adapters", UNMERGED)
    single, index = (folder / SINGLE).is_file(), (folder / INDEX).is_file()
    if single and index:
        raise ExportError(folder.name, f"either {SINGLE} or {INDEX}", "both", "remove the stale one")
    if single:
        return [SINGLE]
    if not index:
        hint = "only safetensors checkpoints are read" if list(folder.glob("*.bin")) else ""
        raise ExportError(folder.name, f"{SINGLE} or {INDEX}", "neither", hint)
    weight_map = read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ExportError(INDEX, "a weight_map", weight_map)
    for shard in weight_map.values():
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise ExportError(INDEX, "file names in the checkpoint's own folder", shard)
    shards = sorted(set(weight_map.values()))
    for shard in shards:
        if not (folder / shard).is_file():
            raise ExportError(
                shard, f"a shard named by {INDEX}", "no such file", "the download is incomplete"
            )
    return shards


def _tensors(folder: Path, shards: list[str]) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {}
    for shard in shards:
        for tensor in read_header(folder / shard):
            if tensor.name in tensors:
                raise ExportError(tensor.name, "one place", f"{tensors[tensor.name].file.name} and {shard}")
            tensors[tensor.name] = tensor
    if shards != [SINGLE]:
        weight_map = read_json(folder / INDEX)["weight_map"]
        for name, shard in weight_map.items():
            if name not in tensors or tensors[name].file.name != shard:
                got = tensors[name].file.name if name in tensors else "no shard"
                raise ExportError(name, f"in {shard}, as {INDEX} says", got)
        for name in tensors.keys() - weight_map.keys():
            raise ExportError(name, f"an entry in {INDEX}", f"only in {tensors[name].file.name}")
    return tensors
