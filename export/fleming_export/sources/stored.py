"""One tensor in a file: where it lies, and its values a few rows at a time.

Files are read here and not through a library: nothing is mapped into memory (mapped pages count as this
process's memory), and a damaged file is named with what is wrong with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ExportError

#: Values converted at a time: 16 Mi, that is 64 MiB of float32.
BLOCK_VALUES = 1 << 24
ITEM_BYTES = {"BF16": 2, "F16": 2, "F32": 4}
INTEGERS = {"I32": 4}
#: The tensors of a layer that AWQ or GPTQ has packed.
PACKED_PARTS = ("qweight", "qzeros", "scales", "g_idx")


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies: ``bytes`` bytes at ``offset`` of ``file``, row-major."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int
    #: the tensors that lie one below the other in this one, if it is no tensor of its own
    parts: tuple[StoredTensor, ...] = ()
    #: items from one element to the next along each axis, where that is not row-major
    strides: tuple[int, ...] | None = None

    @property
    def values(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.values * {**ITEM_BYTES, **INTEGERS}[self.dtype]

    def blocks(self) -> Iterator[np.ndarray]:
        """Its values in float32, flat, in order; whole rows, about ``BLOCK_VALUES`` at a time."""
        if self.parts or self.strides:
            yield from self._gathered()
            return
        item = ITEM_BYTES[self.dtype]
        row = math.prod(self.shape[1:]) or 1
        most = max(1, BLOCK_VALUES // row) * row
        with self.file.open("rb", buffering=0) as file:
            file.seek(self.offset)
            for start in range(0, self.values, most):
                count = min(most, self.values - start)
                raw = np.empty(count * item, np.uint8)
                self._read_into(file, raw)
                yield self._checked(to_float32(raw, self.dtype))

    def _gathered(self) -> Iterator[np.ndarray]:
        """Of several tensors, or of elements that do not lie in order."""
        for part in self.parts:
            yield from part.blocks()
        if not self.parts:
            whole = self._strided(f"<u{ITEM_BYTES[self.dtype]}")
            step = max(1, BLOCK_VALUES // (math.prod(self.shape[1:]) or 1))
            for start in range(0, self.shape[0], step):
                rows = np.ascontiguousarray(whole[start : start + step]).reshape(-1)
                yield self._checked(to_float32(rows.view(np.uint8), self.dtype))

    def _strided(self, kind: str) -> np.ndarray:
        """A view of the file: only what is looked at is read."""
        extent = 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        flat = np.memmap(self.file, kind, "r", self.offset, (extent,))
        return np.lib.stride_tricks.as_strided(flat, self.shape, [n * flat.itemsize for n in self.strides])

    def _checked(self, block: np.ndarray) -> np.ndarray:
        if not np.isfinite(block).all():
            hint = "the checkpoint is damaged"
            raise ExportError(self.name, "finite values", "NaN or infinity", hint)
        return block

    def integers(self) -> np.ndarray:
        """Its 32-bit words, unsigned, in its shape."""
        if self.strides:
            return np.ascontiguousarray(self._strided("<u4"))
        raw = np.fromfile(self.file, "<u4", self.values, offset=self.offset)
        if len(raw) != self.values:
            raise ExportError(self.file.name, f"{self.bytes} bytes of {self.name}", "the end of the file")
        return raw.reshape(self.shape)

    def _read_into(self, file, raw: np.ndarray) -> None:
        """Fills ``raw``; a read may return less than was asked for."""
        view = memoryview(raw)
        while view:
            count = file.readinto(view)
            if not count:
                raise ExportError(self.file.name, f"{self.bytes} bytes of {self.name}", "the end of the file")
            view = view[count:]


def to_float32(raw: np.ndarray, dtype: str) -> np.ndarray:
    """Bytes of a floating-point type as float32."""
    if dtype == "F32":
        return raw.view("<f4")
    if dtype == "F16":
        return raw.view("<f2").astype(np.float32)
    # bfloat16 is the upper half of a float32
    wide = raw.view("<u2").astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
