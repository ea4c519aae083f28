"""Checkpoints whose language model was quantised by AWQ or GPTQ: their levels go into a package as they are.

A layer ``name`` of theirs has no weight, but three tensors, and GPTQ a fourth (levels are unsigned, eight of
4 bits or four of 8 in an int32, the lowest bits first; a group is ``group`` inputs of one output):

    AWQ    qweight [in, out / 8]    qzeros [in / group, out / 8]    both in the order 0 2 4 6 1 3 5 7
    GPTQ   qweight [in / 8, out]    qzeros [in / group, out / 8]    g_idx [in], the group of each input
    both   scales [in / group, out] float16

and the weight is ``(level - zero) * scale``. What GPTQ calls its first format stores each zero less one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ..config import ModelConfig, Packing, read_config
from ..errors import ExportError
from ..links import Link
from ..quantize import Blockwise, Encoded, pack
from .folder import Checkpoint
from .stored import BLOCK_VALUES, PACKED_PARTS, StoredTensor

#: place in an int32 -> output, of every eight
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
WHERE = "language_model.model.layers."


class PrequantizedCheckpoint(Checkpoint):
    """Its layers' weights under their plain names: as float32 in ``blocks``, as levels in ``ready``."""

    @cached_property
    def _config(self) -> ModelConfig:
        return read_config(self.json("config.json"))

    @property
    def _packing(self) -> Packing:
        return self._config.packing

    @cached_property
    def _raw(self) -> dict[str, StoredTensor]:
        """The tensors as they lie there, packed ones and all."""
        return super()._read_tensors()

    @cached_property
    def _packed(self) -> list[str]:
        """Names of the layers that are packed."""
        found = [key.removesuffix(".qweight") for key in self._raw if key.endswith(".qweight")]
        if not found:
            raise ExportError("quantization_config", "layers with a qweight", "none", "remove the key")
        return found

    def _read_tensors(self) -> dict[str, StoredTensor]:
        tensors = dict(self._raw)
        for layer in self._packed:
            self._join(layer, tensors)
        return tensors

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        if name.removesuffix(".weight") not in self._packed:
            yield from super().blocks(name)
            return
        for encoded in self.ready(name):
            scheme = Blockwise(self._packing.bits, self._packing.group)
            yield encoded.decoded(scheme, self.tensors[name].shape[1]).reshape(-1)

    def ready(self, name: str) -> Iterator[Encoded] | None:
        layer = name.removesuffix(".weight")
        return self._encoded(layer) if layer in self._packed else None

    def equalizable(self, link: Link) -> bool:
        """Whether nothing that the link joins is packed: a packed weight cannot take a factor."""
        names = [*link.readers, *(part.name for part in link.makers)]
        return not any(name.rpartition(".")[0] in self._packed for name in names)

    def _join(self, layer: str, tensors: dict[str, StoredTensor]) -> None:
        """Puts one weight in place of a layer's packed tensors, after a look at their shapes."""
        if not layer.startswith(WHERE):
            raise ExportError(layer, "packed weights in the language model's layers alone", "packed weights")
        parts = {}
        for part in PACKED_PARTS:
            found = tensors.pop(f"{layer}.{part}", None)
            if found is None and not (part == "g_idx" and self._packing.method == "awq"):
                raise ExportError(f"{layer}.{part}", f"a tensor beside {layer}.qweight", "no such tensor")
            if found is not None:
                parts[part] = found
        packing, per = self._packing, 32 // self._packing.bits
        groups, outputs = parts["scales"].shape
        inputs = groups * packing.group
        wanted = {
            "qweight": (inputs, outputs // per) if packing.method == "awq" else (inputs // per, outputs),
            "qzeros": (groups, outputs // per),
            "g_idx": (inputs,),
        }
        for part, tensor in parts.items():
            if tensor.shape != wanted.get(part, tensor.shape):
                hint = f"scales {[groups, outputs]}, groups of {packing.group}, {packing.bits} bits"
                shape = f"shape {list(wanted[part])}"
                raise ExportError(tensor.name, shape, list(tensor.shape), hint)
        place = parts["qweight"]
        tensors[f"{layer}.weight"] = StoredTensor(
            f"{layer}.weight", place.dtype, (outputs, inputs), place.file, place.offset
        )
        self._drop_empty_bias(layer, tensors)

    def _drop_empty_bias(self, layer: str, tensors: dict[str, StoredTensor]) -> None:
        """Some packers give every layer a bias, of zeros where the model has none."""
        bias = f"{layer}.bias"
        has_none = not (layer.endswith(("q_proj", "k_proj", "v_proj")) and self._config.language.bias)
        if has_none and bias in tensors and not any(b.any() for b in tensors[bias].blocks()):
            del tensors[bias]

    def _encoded(self, layer: str) -> Iterator[Encoded]:
        """Some outputs at a time."""
        packing = self._packing
        self._check_groups(layer)
        outputs, inputs = self.tensors[f"{layer}.weight"].shape
        qweight, qzeros = (self._raw[f"{layer}.{part}"].integers() for part in ("qweight", "qzeros"))
        scales = np.concatenate(list(self._raw[f"{layer}.scales"].blocks())).reshape(-1, outputs)
        zeros = unpacked(qzeros, packing, axis=1).astype(np.int16) + packing.zero_shift
        top = (1 << packing.bits) - 1
        if zeros.max() > top:
            hint = "the first format of GPTQ cannot tell 0 from one above the highest; convert it to gptq_v2"
            raise ExportError(f"{layer}.qzeros", f"zero levels up to {top}", int(zeros.max()), hint)
        if packing.symmetric and (zeros != 1 << (packing.bits - 1)).any():
            hint = "quantization_config says that the weights are symmetric"
            raise ExportError(f"{layer}.qzeros", "the middle level everywhere", "other levels", hint)
        # whole int32 of outputs, about BLOCK_VALUES values
        step = max(8, BLOCK_VALUES // inputs // 8 * 8)
        for start in range(0, outputs, step):
            part = slice(start, min(start + step, outputs))
            if packing.method == "awq":
                levels = unpacked(qweight[:, start // 8 : -(-part.stop // 8)], packing, axis=1)
            else:
                levels = unpacked(qweight[:, part], packing, axis=0)
            blocks = np.ascontiguousarray(levels.T).reshape(part.stop - start, -1, packing.group)
            yield Encoded(
                pack(blocks, packing.bits),
                np.ascontiguousarray(scales[:, part].T),
                np.ascontiguousarray(zeros[:, part].T.astype(np.uint8)),
            )

    def _check_groups(self, layer: str) -> None:
        name = f"{layer}.g_idx"
        if name in self._raw:
            found = self._raw[name].integers()
            if not np.array_equal(found, np.arange(len(found)) // self._packing.group):
                hint = "quantise it again without desc_act"
                raise ExportError(name, "groups of neighbouring inputs", "another order (act-order)", hint)


def unpacked(words: np.ndarray, packing: Packing, axis: int) -> np.ndarray:
    """[rows, columns] uint32 -> levels, uint8, the packed axis as many times longer as a word has levels."""
    bits, per = packing.bits, 32 // packing.bits
    order = AWQ_ORDER if packing.method == "awq" else range(per)
    parts = [None] * per
    for place, wanted in enumerate(order):
        parts[wanted] = (words >> np.uint32(bits * place)).astype(np.uint8) & ((1 << bits) - 1)
    levels = np.stack(parts, axis + 1)
    shape = list(words.shape)
    shape[axis] *= per
    return levels.reshape(shape)
