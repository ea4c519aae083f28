"""Columns of a weight brought to like size before it is quantised, and the inverse put where the column's
input is made. The function stays the same to the last bit, as the factors are powers of two.

A channel that is large before a layer and has small weights in it (an outlier channel) costs a block-wise
scheme most: the small weights are rounded by the scale of their large neighbours. Afterwards no column is
small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..links import Link, Part
from ..quantize import Encoded
from .readable import Readable

#: Factors stay within 2 to this power either way.
LIMIT = 12


class EqualizedCheckpoint(Readable):
    """A checkpoint whose tensors are read with the factors applied; they are found when first needed."""

    def __init__(self, checkpoint: Readable, found: Sequence[Link]) -> None:
        self._checkpoint = checkpoint
        self.tensors = checkpoint.tensors
        found = [link for link in found if checkpoint.equalizable(link)]
        self._readers = {name: link for link in found for name in link.readers}
        self._makers = {part.name: (part, link) for link in found for part in link.makers}
        self._factors: dict[Link, np.ndarray] = {}

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """As of a checkpoint."""
        reader, maker = self._readers.get(name), self._makers.get(name)
        if not reader and not maker:
            yield from self._checkpoint.blocks(name)
            return
        shape = self.tensors[name].shape
        width = shape[1] if len(shape) > 1 else 1
        columns = self._columns(reader) if reader else None
        rows = self._rows(*maker, shape[0]) if maker else None
        start = 0
        for block in self._checkpoint.blocks(name):
            values = block.reshape(-1, width)
            if columns is not None:
                values = values * columns
            if rows is not None:
                values = values * rows[start : start + len(values), None]
            start += len(values)
            yield values.reshape(-1)

    def ready(self, name: str) -> Iterator[Encoded] | None:
        """As of a checkpoint: such weights take no factors."""
        return self._checkpoint.ready(name)

    def inverse(self, name: str) -> np.ndarray:
        """What a row of this reader is to be multiplied by to be as in the checkpoint."""
        if name not in self._readers:
            return np.ones(self.tensors[name].shape[1], np.float32)
        return 1 / self._columns(self._readers[name])

    def _columns(self, link: Link) -> np.ndarray:
        """Factors of the readers' columns."""
        factors = self._factor(link).reshape(-1, link.head)
        return np.repeat(factors, link.repeat, axis=0).reshape(-1)

    def _rows(self, part: Part, link: Link, count: int) -> np.ndarray:
        """Factors of a maker's rows: the inverse."""
        rows = np.ones(count, np.float32)
        rows[part.start : part.stop] = 1 / self._factor(link)
        return rows

    def _factor(self, link: Link) -> np.ndarray:
        """A power of two for each value that is made, near mean size / size of its columns."""
        if link not in self._factors:
            squares = sum(self._squares(name) for name in link.readers)
            squares = squares.reshape(-1, link.repeat, link.head).sum(1).reshape(-1)
            factors = np.ones(len(squares), np.float32)
            alive = squares > 0  # a column of zeros stays one
            logarithm = np.log2(squares[alive]) / 2
            power = np.clip(np.rint(np.median(logarithm) - logarithm), -LIMIT, LIMIT) if alive.any() else 0
            factors[alive] = np.exp2(power)
            self._factors[link] = factors
        return self._factors[link]

    def _squares(self, name: str) -> np.ndarray:
        """Sum of the squares of each column; every row counts the same, as each has its own scales."""
        width = self.tensors[name].shape[1]
        total = np.zeros(width)
        for block in self._checkpoint.blocks(name):
            rows = block.reshape(-1, width)
            sizes = np.einsum("rk,rk->r", rows, rows)
            weights = np.divide(1, sizes, out=np.zeros_like(sizes), where=sizes > 0)
            total += weights @ (rows * rows)
        return total
