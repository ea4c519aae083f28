"""A checkpoint folder: its JSON files, and its tensors by name, read lazily and a few rows at a time.

The safetensors container is read here and not through a library: nothing is mapped into memory (mapped pages
count as this process's memory), and a damaged file is named with what is wrong with it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .contract import MANIFEST_FILE
from .errors import UNMERGED, ExportError

if TYPE_CHECKING:
    from .equalize import Link
    from .quantize import Encoded

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
#: Values converted at a time: 16 Mi, that is 64 MiB of float32.
BLOCK_VALUES = 1 << 24
#: The header of a 78B checkpoint is about 0.2 MB; anything near this is not a header.
HEADER_LIMIT = 100_000_000
ITEM_BYTES = {"BF16": 2, "F16": 2, "F32": 4}
INTEGERS = {"I32": 4}
#: The tensors of a layer that AWQ or GPTQ has packed.
PACKED_PARTS = ("qweight", "qzeros", "scales", "g_idx")
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


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies: ``bytes`` bytes at ``offset`` of ``file``, row-major."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.values * {**ITEM_BYTES, **INTEGERS}[self.dtype]


def read_json(path: Path) -> dict:
    """The object in a JSON file; an :class:`ExportError` when it is missing or is not an object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ExportError(path.name, f"a file in {path.parent}", "no such file") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ExportError(path.name, "a JSON file", error) from None
    if not isinstance(content, dict):
        raise ExportError(path.name, "a JSON object", type(content).__name__)
    return content


def sha256_of(path: Path, progress: Callable[[int], object] = lambda _: None) -> str:
    """SHA-256 of a file in lower-case hex; ``progress`` is told of every block's length in bytes."""
    digest = hashlib.sha256()
    buffer = bytearray(1 << 22)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
            progress(count)
    return digest.hexdigest()


class Checkpoint:
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
        """The tensor's values in float32, flat, in order; whole rows, about ``BLOCK_VALUES`` at a time."""
        tensor = self.tensors[name]
        item = ITEM_BYTES[tensor.dtype]
        row = math.prod(tensor.shape[1:]) or 1
        most = max(1, BLOCK_VALUES // row) * row
        with tensor.file.open("rb", buffering=0) as file:
            file.seek(tensor.offset)
            for start in range(0, tensor.values, most):
                count = min(most, tensor.values - start)
                raw = np.empty(count * item, np.uint8)
                _read_into(file, raw, tensor)
                block = _to_float32(raw, tensor.dtype)
                if not np.isfinite(block).all():
                    raise ExportError(name, "finite values", "NaN or infinity", "the checkpoint is damaged")
                yield block

    def ready(self, name: str) -> Iterator[Encoded] | None:
        """A weight's levels, if the checkpoint has them and not its values."""

    def equalizable(self, link: Link) -> bool:
        """Whether the weights of a link may take factors."""
        return True

    def source_files(self) -> list[Path]:
        """Every file the package is made from, shards last."""
        small = [
            path for path in sorted(self.folder.iterdir()) if path.name in SMALL_FILES and path.is_file()
        ]
        return small + [self.folder / shard for shard in self.shards]


def _read_into(file, raw: np.ndarray, tensor: StoredTensor) -> None:
    """Fills ``raw``; a read may return less than was asked for."""
    view = memoryview(raw)
    while view:
        count = file.readinto(view)
        if not count:
            raise ExportError(
                tensor.file.name, f"{tensor.bytes} bytes of {tensor.name}", "the end of the file"
            )
        view = view[count:]


def _to_float32(raw: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "F32":
        return raw.view("<f4")
    if dtype == "F16":
        return raw.view("<f2").astype(np.float32)
    # bfloat16 is the upper half of a float32
    wide = raw.view("<u2").astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)


def open_checkpoint(given: str) -> Checkpoint:
    """A local folder (an f32 package among them), or else a hub id, downloaded into the hub's own cache."""
    folder = Path(given)
    if (folder / MANIFEST_FILE).is_file():
        from .packaged import PackagedCheckpoint  # which builds graphs, and they read checkpoints

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
        from .prequantized import PrequantizedCheckpoint

        return PrequantizedCheckpoint(folder, name, given)
    return Checkpoint(folder, name, given)


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
        for tensor in _read_header(folder / shard):
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


def _read_header(path: Path) -> list[StoredTensor]:
    """Every tensor of one file, checked: the tensors must fill the file exactly, without overlap."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(HEADER_LIMIT, size - 8):
            raise ExportError(path.name, "a safetensors file", f"{size} bytes with a header of {length}")
        try:
            header = json.loads(file.read(length).decode("utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ExportError(path.name, "a safetensors header", error) from None
    if not isinstance(header, dict):
        raise ExportError(path.name, "a safetensors header", type(header).__name__)
    header.pop("__metadata__", None)
    data = 8 + length
    found = [(_entry(path, name, entry), entry["data_offsets"]) for name, entry in header.items()]
    end = 0
    tensors = []
    for tensor, (start, stop) in sorted(found, key=lambda item: item[1][0]):
        if start != end or stop - start != tensor.bytes:
            wanted = f"{tensor.bytes} bytes at {end}"
            raise ExportError(f"{tensor.name} in {path.name}", wanted, f"bytes {start} to {stop}")
        end = stop
        tensors.append(StoredTensor(tensor.name, tensor.dtype, tensor.shape, path, data + start))
    if data + end != size:
        raise ExportError(
            path.name, f"{data + end} bytes", f"{size} bytes", "the file is cut short or damaged"
        )
    return tensors


def _entry(path: Path, name: str, entry: object) -> StoredTensor:
    """One header entry without its place."""
    try:
        dtype, shape, offsets = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        numbers = [*shape, *offsets]
        well_formed = isinstance(dtype, str) and len(offsets) == 2
        well_formed = well_formed and all(type(n) is int and n >= 0 for n in numbers)
    except (TypeError, KeyError):
        well_formed = False
    if not well_formed:
        raise ExportError(f"{name} in {path.name}", "dtype, shape and data_offsets", entry)
    packed = name.rpartition(".")[2] in PACKED_PARTS
    known = INTEGERS if packed and not name.endswith(".scales") else ITEM_BYTES
    if dtype not in known:
        raise ExportError(f"{name} in {path.name}", f"dtype {' or '.join(known)}", dtype)
    return StoredTensor(name, dtype, shape, path, 0)


def free_bytes(folder: Path) -> int:
    """Bytes that this user may still write where ``folder`` lies."""
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize
