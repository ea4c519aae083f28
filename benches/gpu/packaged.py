"""The weights that a package holds, under the names of its checkpoint, as torch tensors."""

from __future__ import annotations

import json
import math
from pathlib import Path

import onnx
import torch
from onnx import TensorProto
from torch_model import raw

KINDS = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.UINT8: torch.uint8,
}
EMBEDDING = "language_model.model.embed_tokens.weight"
QKV = "self_attn.qkv_proj."


class PackagedWeights:
    """Called with a name, gives the values that the graphs compute with, on the device."""

    def __init__(self, package: Path) -> None:
        manifest = json.loads((package / "fleming.json").read_text(encoding="utf-8"))
        language = manifest["source"]["config"]["llm_config"]
        head = language["hidden_size"] // language["num_attention_heads"]
        counts = [language["num_attention_heads"], *[language["num_key_value_heads"]] * 2]
        #: rows of queries, keys and values, which lie one below the other
        self._qkv = [count * head for count in counts]
        hidden, inner, words = (language[k] for k in ("hidden_size", "intermediate_size", "vocab_size"))
        #: part of a name -> rows; there are more where kernels want them
        self._rows = {"qkv_proj": sum(self._qkv), "o_proj": hidden, "down_proj": hidden}
        self._rows |= {"gate_proj": inner, "up_proj": inner, "lm_head": words, "embed_tokens": words}
        self._stored: dict[str, tuple[Path, TensorProto]] = {}
        #: name of levels -> bits and values of a row
        self._packed: dict[str, tuple[int, int]] = {}
        for name in ("vision.onnx", "decoder.onnx"):
            graph = onnx.load(package / name, load_external_data=False).graph
            data = package / f"{name}.data"
            self._stored |= {tensor.name: (data, tensor) for tensor in graph.initializer}
            for node in graph.node:
                if node.op_type == "MatMulNBits":
                    facts = {attribute.name: attribute.i for attribute in node.attribute}
                    self._packed[node.input[1]] = facts["bits"], facts["K"]
        if f"{EMBEDDING}.scales" in self._stored:
            bits = manifest["quantization"]["embedding"]["bits"]
            self._packed[EMBEDDING] = bits, language["hidden_size"]

    def __call__(self, name: str) -> torch.Tensor:
        for place, part in enumerate("qkv"):
            fused = name.replace(f"self_attn.{part}_proj.", QKV)
            if fused != name and fused in self._stored:
                return self._values(fused).split(self._qkv)[place]
        return self._values(name)

    def _values(self, name: str) -> torch.Tensor:
        return self._decoded(name) if name in self._packed else self._raw(name)

    def _raw(self, name: str) -> torch.Tensor:
        data, tensor = self._stored[name]
        if not tensor.external_data:
            raise ValueError(f"{name} lies in the graph's own file")
        places = {entry.key: entry.value for entry in tensor.external_data}
        kind, shape = KINDS[tensor.data_type], tuple(tensor.dims)
        if int(places["length"]) != math.prod(shape) * kind.itemsize:
            raise ValueError(f"{name}: {places['length']} bytes of {shape}")
        return raw(data, int(places.get("offset", 0)), kind, shape)

    def _decoded(self, name: str) -> torch.Tensor:
        """[rows, blocks, bytes] of levels -> [rows, inputs] float32."""
        bits, inputs = self._packed[name]
        levels, scales = self._raw(name), self._raw(f"{name}.scales").float()
        levels, scales = (part.flatten(1) for part in (_unpacked(levels, bits), scales))
        zeros = torch.tensor(1 << (bits - 1), device=levels.device)
        if f"{name}.zero_points" in self._stored:
            zeros = _unpacked(self._raw(f"{name}.zero_points"), bits)[:, : scales.shape[1], None]
        values = levels.unflatten(1, (scales.shape[1], -1)).float() - zeros.float()
        values = (values * scales[..., None]).flatten(1)[:, :inputs]
        if f"{name}.columns" in self._stored:
            values = values * self._raw(f"{name}.columns").float()
        return values[: next((rows for part, rows in self._rows.items() if part in name), len(values))]


def _unpacked(levels: torch.Tensor, bits: int) -> torch.Tensor:
    """Of two 4-bit levels in a byte the first has the lower half."""
    return levels if bits == 8 else torch.stack([levels & 15, levels >> 4], -1).flatten(-2)
