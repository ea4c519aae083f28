"""Groups of query heads filled up with heads of zeros to a size that the fast kernels of CUDA take.

Seven query heads share keys and values in the 8B. ONNX Runtime's fastest decoding kernel has no form for it,
and one for eight. An added head's queries are zero, and so are the columns of the output projection that read
it: the function is the same. Everything behind this sees a model that has the larger number of heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..config import LanguageConfig, ModelConfig
from ..errors import ExportError
from ..links import Link
from ..quantize import Encoded
from .readable import Readable

#: query heads of a group that the kernel takes
GROUPS = (1, 2, 4, 5, 8, 16, 32)


def padded_config(config: ModelConfig) -> ModelConfig:
    """The model with the next larger group that the kernel takes; an error if its own is one."""
    language = config.language
    group = language.heads // language.kv_heads
    larger = [size for size in GROUPS if size > group]
    if group in GROUPS or not larger:
        wanted = (
            f"a group of query heads that is none of {', '.join(map(str, GROUPS))} and smaller than the last"
        )
        raise ExportError("--pad-groups", wanted, group, "leave the option out")
    if config.packing:
        raise ExportError("--pad-groups", "weights that are not packed", config.packing.method)
    return replace(config, language=replace(language, heads=language.kv_heads * larger[0]))


def padding_json(config: ModelConfig, padded: ModelConfig) -> dict:
    """The ``padding`` of ``fleming.json``: query heads of the checkpoint, and of the graph."""
    return {"query_heads": {"checkpoint": config.language.heads, "package": padded.language.heads}}


class PaddedCheckpoint(Readable):
    """A checkpoint whose queries and output projections have the heads of ``padded``."""

    def __init__(self, checkpoint: Readable, language: LanguageConfig, padded: LanguageConfig) -> None:
        self._checkpoint = checkpoint
        self._groups = language.kv_heads
        #: values of a group before and after
        self._from, self._to = (c.attention_width // c.kv_heads for c in (language, padded))
        self.tensors = dict(checkpoint.tensors)
        for name, tensor in checkpoint.tensors.items():
            axis = _axis(name)
            shape = list(tensor.shape)
            # another shape is an error that is told where shapes are compared
            if axis is not None and shape[axis : axis + 1] == [self._groups * self._from]:
                shape[axis] = self._groups * self._to
                self.tensors[name] = replace(tensor, shape=tuple(shape))

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """As of a checkpoint, with zeros in the place of the added heads."""
        axis = _axis(name)
        if axis is None or self.tensors[name] == self._checkpoint.tensors[name]:
            yield from self._checkpoint.blocks(name)
        elif axis == 1:
            for block in self._checkpoint.blocks(name):
                yield self._filled(block.reshape(-1, self._groups, self._from), 2)
        else:
            whole = np.concatenate(list(self._checkpoint.blocks(name)))
            yield self._filled(whole.reshape(self._groups, self._from, -1), 1)

    def ready(self, name: str) -> Iterator[Encoded] | None:
        return self._checkpoint.ready(name)

    def equalizable(self, link: Link) -> bool:
        return self._checkpoint.equalizable(link)

    def _filled(self, values: np.ndarray, axis: int) -> np.ndarray:
        more = [(0, 0)] * values.ndim
        more[axis] = (0, self._to - self._from)
        return np.pad(values, more).reshape(-1)


def _axis(name: str) -> int | None:
    """Where a tensor has the query heads."""
    if name.endswith((".self_attn.q_proj.weight", ".self_attn.q_proj.bias")):
        return 0
    return 1 if name.endswith(".self_attn.o_proj.weight") else None
