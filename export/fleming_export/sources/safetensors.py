"""The tensors of a safetensors file, from its header."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import ExportError
from ..files import refuse_pointer
from .stored import INTEGERS, ITEM_BYTES, PACKED_PARTS, StoredTensor

#: The header of a 78B checkpoint is about 0.2 MB; anything near this is not a header.
HEADER_LIMIT = 100_000_000


def read_header(path: Path) -> list[StoredTensor]:
    """Every tensor of one file, checked: the tensors must fill the file exactly, without overlap."""
    size = path.stat().st_size
    with path.open("rb") as file:
        refuse_pointer(path, file.read(100))
        file.seek(0)
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
