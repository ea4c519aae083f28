"""The model in plain numpy, double precision, from the checkpoint's files alone: what the graphs must match.

It shares no code with the exporter: its own reading of safetensors, its own shapes, its own order of
operations.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

_erf = np.vectorize(math.erf, otypes=[np.float64])


def load(folder: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """config.json, and every tensor in float64."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        raw = path.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        for name, entry in json.loads(raw[8 : 8 + length]).items():
            if name == "__metadata__":
                continue
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            if entry["dtype"] == "F32":
                values = np.frombuffer(raw[start:stop], "<f4")
            else:
                values = (np.frombuffer(raw[start:stop], "<u2").astype(np.uint32) << 16).view(np.float32)
            tensors[name] = values.astype(np.float64).reshape(entry["shape"])
    return json.loads((folder / "config.json").read_text()), tensors


class NumpyModel:
    """Reference forward passes."""

    def __init__(self, folder: Path) -> None:
        self.config, self.w = load(folder)
        self.vision, self.language = self.config["vision_config"], self.config["llm_config"]

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """[3, S, S] -> [T, H]: one tile."""
        side, width = self.vision["patch_size"], self.vision["hidden_size"]
        grid = pixels.shape[1] // side
        x = np.empty((1 + grid * grid, width))
        x[0] = self.w["vision_model.embeddings.class_embedding"][0, 0]
        kernel = self.w["vision_model.embeddings.patch_embedding.weight"].reshape(width, -1)
        for row in range(grid):
            for column in range(grid):
                patch = pixels[:, row * side : (row + 1) * side, column * side : (column + 1) * side]
                x[1 + row * grid + column] = kernel @ patch.astype(np.float64).reshape(-1)
        x[1:] += self.w["vision_model.embeddings.patch_embedding.bias"]
        x += self.w["vision_model.embeddings.position_embedding"][0]
        for layer in range(self.vision["num_hidden_layers"]):
            x = self._vision_layer(x, f"vision_model.encoder.layers.{layer}.")
        return self._project(x[1:].reshape(grid, grid, width))

    def _vision_layer(self, x: np.ndarray, name: str) -> np.ndarray:
        norm = self._layer_norm if self.vision["norm_type"] == "layer_norm" else self._rms_norm
        epsilon = self.vision["layer_norm_eps"]
        qkv = self._linear(norm(x, name + "norm1", epsilon), name + "attn.qkv")
        q, k, v = np.split(qkv, 3, axis=1)
        if self.vision["qk_normalization"]:
            q = self._rms_norm(q, name + "attn.q_norm", epsilon)
            k = self._rms_norm(k, name + "attn.k_norm", epsilon)
        heads, out = self.vision["num_attention_heads"], np.empty_like(q)
        size = q.shape[1] // heads
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            out[:, part] = _softmax(q[:, part] @ k[:, part].T / math.sqrt(size)) @ v[:, part]
        x = x + self.w[name + "ls1"] * self._linear(out, name + "attn.proj")
        y = _gelu(self._linear(norm(x, name + "norm2", epsilon), name + "mlp.fc1"))
        return x + self.w[name + "ls2"] * self._linear(y, name + "mlp.fc2")

    def _project(self, patches: np.ndarray) -> np.ndarray:
        """[grid, grid, C] -> [T, H]."""
        half = patches.shape[0] // 2
        rows = []
        for y in range(half):
            for x in range(half):
                four = [patches[2 * y + dy, 2 * x + dx] for dy in (0, 1) for dx in (0, 1)]
                rows.append(np.concatenate(four))
        x = self._layer_norm(np.stack(rows), "mlp1.0", 1e-5)
        return self._linear(_gelu(self._linear(x, "mlp1.1")), "mlp1.3")

    def logits(self, ids: list[int], spliced: dict[int, np.ndarray] | None = None) -> np.ndarray:
        """[N] ids, some positions replaced by rows -> [N, V], all positions at once, without a cache."""
        x = self.w["language_model.model.embed_tokens.weight"][ids].copy()
        for position, row in (spliced or {}).items():
            x[position] = row
        epsilon = self.language["rms_norm_eps"]
        for layer in range(self.language["num_hidden_layers"]):
            name = f"language_model.model.layers.{layer}."
            x = x + self._attention(self._rms_norm(x, name + "input_layernorm", epsilon), name + "self_attn.")
            y = self._rms_norm(x, name + "post_attention_layernorm", epsilon)
            gate = self._linear(y, name + "mlp.gate_proj")
            y = gate / (1 + np.exp(-gate)) * self._linear(y, name + "mlp.up_proj")
            x = x + self._linear(y, name + "mlp.down_proj")
        x = self._rms_norm(x, "language_model.model.norm", epsilon)
        tied = self.language["tie_word_embeddings"]
        head = "language_model.model.embed_tokens" if tied else "language_model.lm_head"
        return self._linear(x, head)

    def _attention(self, x: np.ndarray, name: str) -> np.ndarray:
        heads, kv_heads = self.language["num_attention_heads"], self.language["num_key_value_heads"]
        q, k, v = (self._linear(x, f"{name}{part}_proj") for part in "qkv")
        size, count = q.shape[1] // heads, len(x)
        if self.language["model_type"] == "qwen3":  # each head on its own
            epsilon = self.language["rms_norm_eps"]
            q = self._rms_norm(q.reshape(count, -1, size), name + "q_norm", epsilon).reshape(count, -1)
            k = self._rms_norm(k.reshape(count, -1, size), name + "k_norm", epsilon).reshape(count, -1)
        frequency = self.language["rope_theta"] ** (-np.arange(0, size, 2) / size)
        angle = np.arange(count)[:, None] * frequency
        mask = np.where(np.tri(count, dtype=bool), 0.0, -np.inf)
        out = np.empty_like(q)
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            shared = head // (heads // kv_heads)
            kv = slice(shared * size, (shared + 1) * size)
            scores = _rotate(q[:, part], angle) @ _rotate(k[:, kv], angle).T / math.sqrt(size)
            out[:, part] = _softmax(scores + mask) @ v[:, kv]
        return self._linear(out, name + "o_proj")

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.w[name + ".weight"].T + self.w.get(name + ".bias", 0.0)

    def _layer_norm(self, x: np.ndarray, name: str, epsilon: float) -> np.ndarray:
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon)
        return x * self.w[name + ".weight"] + self.w[name + ".bias"]

    def _rms_norm(self, x: np.ndarray, name: str, epsilon: float) -> np.ndarray:
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * self.w[name + ".weight"]


def _softmax(x: np.ndarray) -> np.ndarray:
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def _rotate(x: np.ndarray, angle: np.ndarray) -> np.ndarray:
    first, second = np.split(x, 2, axis=1)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=1)
