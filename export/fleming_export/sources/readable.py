"""What tensors are read from, as they are or changed on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ..links import Link
from ..quantize import Encoded
from .stored import StoredTensor


class Readable(Protocol):
    """Tensors by their names in the original layout."""

    tensors: dict[str, StoredTensor]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all tensors."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """The tensor's values in float32, flat, in order; whole rows, about ``BLOCK_VALUES`` at a time."""
        ...

    def ready(self, name: str) -> Iterator[Encoded] | None:
        """A weight's levels, where it has levels and not values."""
        return None

    def equalizable(self, link: Link) -> bool:
        """Whether the weights of a link may take factors."""
        return True

    def inverse(self, name: str) -> np.ndarray:
        """What a row of this weight is multiplied by to be as in the checkpoint, [columns] float32."""
        return np.ones(self.tensors[name].shape[1], np.float32)
