"""A checkpoint folder: its JSON files, and its tensors by name, read lazily."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import UNMERGED, ExportError
from ..files import read_json
from .layout import canonical, original_names
from .pickled import read_pickled
from .readable import Readable
from .safetensors import read_header
from .stored import StoredTensor

ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class Container:
    """A kind of file that weights come in: the name of one alone, of the index of several, and its reader."""

    single: str
    index: str
    read: Callable[[Path], list[StoredTensor]]


#: The first that a folder has is read, as the libraries do it.
CONTAINERS = (
    Container("model.safetensors", "model.safetensors.index.json", read_header),
    Container("pytorch_model.bin", "pytorch_model.bin.index.json", read_pickled),
)
#: What a package is made from, beside the weights.
SMALL_FILES = {
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "video_preprocessor_config.json",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "tokenizer.json",
    *(container.index for container in CONTAINERS),
}


class Remote(Protocol):
    """Where weights are that are not here."""

    def missing(self) -> dict[str, int]:
        """Files that are still there alone, and their bytes."""
        ...

    def fetch(self) -> None:
        """Brings them here."""
        ...


class Checkpoint(Readable):
    """A local checkpoint folder."""

    #: what a package says of the checkpoint, where that is known without reading it
    source: dict | None = None
    _remote: Remote | None = None

    def __init__(self, folder: Path, name: str, given: str, remote: Remote | None = None) -> None:
        """Of a checkpoint that is elsewhere, ``folder`` has the small files, and the weights once they were
        fetched."""
        self.folder = folder
        self.name = name
        #: How the checkpoint is called in ``fleming.json``: a hub id, or a folder's own name.
        self.given = given
        self._remote = remote

    @cached_property
    def shards(self) -> list[str]:
        """File names of the weights, in order."""
        if self._remote:
            self._remote.fetch()
        return find_shards(self.folder, find_container(self.folder))

    @cached_property
    def tensors(self) -> dict[str, StoredTensor]:
        """Every tensor by its name in the original layout."""
        return self._read_tensors()

    def _read_tensors(self) -> dict[str, StoredTensor]:
        shards = self.shards
        return canonical(_tensors(self.folder, find_container(self.folder), shards))

    def to_fetch(self) -> dict[str, int]:
        """Files of the weights that are not here yet, and their bytes."""
        return self._remote.missing() if self._remote else {}

    def indexed(self) -> set[str]:
        """Names of the tensors by an index; empty where there is none."""
        for container in CONTAINERS:
            content = self.optional_json(container.index)
            if content is not None:
                return original_names(content.get("weight_map") or {})
        return set()

    def json(self, name: str) -> dict:
        """A JSON file that must be there."""
        if not (self.folder / name).is_file():
            hint = "copy it from the checkpoint that the fine-tune began with"
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


def refuse_adapters(folder: Path) -> None:
    """An error if a folder has adapters, which its weights may or may not have taken up."""
    if (folder / ADAPTER).is_file():
        raise ExportError(str(folder / ADAPTER), "a checkpoint alone", "LoRA adapters", UNMERGED)


def find_container(folder: Path) -> Container:
    """What the weights of a folder come in."""
    refuse_adapters(folder)
    for container in CONTAINERS:
        single, index = (folder / container.single).is_file(), (folder / container.index).is_file()
        if single and index:
            wanted = f"either {container.single} or {container.index}"
            raise ExportError(folder.name, wanted, "both", "remove the stale one")
        if single or index:
            return container
    first, other = CONTAINERS
    wanted = f"{first.single}, {other.single}, or an index of several"
    raise ExportError(folder.name, wanted, "none of them", _what_is_there(folder))


def _what_is_there(folder: Path) -> str:
    """What to do about a folder without weights, by what it has."""
    if list(folder.glob("*-of-*.safetensors")) or list(folder.glob("*-of-*.bin")):
        return "there are shards, and the index that lists them is missing"
    if list(folder.glob("*.gguf")):
        return "GGUF files are not read: export the checkpoint that they were made from"
    return "safetensors and pytorch_model*.bin are read"


def find_shards(folder: Path, container: Container) -> list[str]:
    """File names of the weights, in order."""
    if (folder / container.single).is_file():
        return [container.single]
    weight_map = read_json(folder / container.index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ExportError(container.index, "a weight_map", weight_map)
    for shard in weight_map.values():
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise ExportError(container.index, "file names in the checkpoint's own folder", shard)
    return sorted(set(weight_map.values()))


def _tensors(folder: Path, container: Container, shards: list[str]) -> dict[str, StoredTensor]:
    tensors: dict[str, StoredTensor] = {}
    for shard in shards:
        if not (folder / shard).is_file():
            wanted = f"a shard named by {container.index}"
            raise ExportError(shard, wanted, "no such file", "the download is incomplete")
        for tensor in container.read(folder / shard):
            if tensor.name in tensors:
                raise ExportError(tensor.name, "one place", f"{tensors[tensor.name].file.name} and {shard}")
            tensors[tensor.name] = tensor
    if shards != [container.single]:
        weight_map = read_json(folder / container.index)["weight_map"]
        for name, shard in weight_map.items():
            if name not in tensors or tensors[name].file.name != shard:
                got = tensors[name].file.name if name in tensors else "no shard"
                raise ExportError(name, f"in {shard}, as {container.index} says", got)
        for name in tensors.keys() - weight_map.keys():
            raise ExportError(name, f"an entry in {container.index}", f"only in {tensors[name].file.name}")
    return tensors
