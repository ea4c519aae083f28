"""A package in ONNX Runtime's Python API, with KV buffers that past and present share, as the Rust runtime
binds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from ..contract import DECODER_FILE, MANIFEST_FILE, VISION_FILE

if TYPE_CHECKING:
    from .prompts import Prompt

#: Positions whose logits are asked for in one run: of the 8B's vocabulary they take 39 MB.
EVERY = 64
LAST = np.array([-1], np.int64)


class PackageRunner:
    """Runs one conversation at a time."""

    def __init__(self, package: Path, capacity: int, library: Path | None = None) -> None:
        """With ``libfleming``, its kernels compute products and attention, as they do in the Rust runtime."""
        self._library = library
        self.manifest = json.loads((package / MANIFEST_FILE).read_text(encoding="utf-8"))
        self._package = package
        self._decoder = _session(package / DECODER_FILE, library)
        self._capacity = 0
        self._buffers: dict[str, np.ndarray] = {}
        self.room(capacity)
        self._past = 0
        self._vision: onnxruntime.InferenceSession | None = None

    def room(self, positions: int) -> None:
        """Sees to KV buffers of at least so many positions; if they grow, a new conversation must begin."""
        if positions <= self._capacity:
            return
        kv, self._capacity = self.manifest["kv"], positions
        shape = (1, kv["heads"], positions, kv["head_dim"])
        parts = [f"{what}.{layer}" for layer in range(kv["layers"]) for what in ("key", "value")]
        self._buffers = {part: np.zeros(shape, np.float32) for part in parts}

    def fill(self) -> None:
        """Touches every page of the KV buffers, which until then take no memory."""
        for buffer in self._buffers.values():
            buffer.fill(0)

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """[tiles, 3, S, S] -> [tiles, T, H], a tile at a time."""
        if self._vision is None:
            self._vision = _session(self._package / VISION_FILE, self._library)
        session = self._vision
        return np.concatenate(
            [session.run(None, {"pixel_values": pixels[i : i + 1]})[0] for i in range(len(pixels))]
        )

    def prefill(self, prompt: Prompt, rows: np.ndarray, chunk: int) -> np.ndarray:
        """A whole prompt, ``chunk`` positions at a time -> [V] logits of the last."""
        return self.prefill_ids(prompt.ids, prompt.splice, rows, chunk)

    def prefill_ids(
        self, ids: np.ndarray, splice: np.ndarray, rows: np.ndarray, chunk: int = 512
    ) -> np.ndarray:
        """The same, of ids and splice map."""
        self._past = 0
        for start in range(0, len(ids), chunk):
            part = slice(start, start + chunk)
            logits = self._run(ids[part], splice[part], rows)
        return logits[0]

    def every(self, ids: np.ndarray, splice: np.ndarray, rows: np.ndarray, first: int) -> np.ndarray:
        """A conversation from its beginning -> logits [N - first, V] of every position from ``first`` on."""
        self._past = 0
        if first:
            self._run(ids[:first], splice[:first], rows)
        parts = []
        for start in range(first, len(ids), EVERY):
            part = slice(start, start + EVERY)
            asked = np.arange(len(ids[part]))
            parts.append(self._run(ids[part], splice[part], rows, asked))
        return np.concatenate(parts)

    def step(self, token: int) -> np.ndarray:
        """One more token -> [V] logits."""
        hidden = self.manifest["vision"]["hidden_size"]
        return self._run(np.array([token]), np.array([-1]), np.zeros((1, hidden), np.float32))[0]

    def _run(
        self, ids: np.ndarray, splice: np.ndarray, rows: np.ndarray, asked: np.ndarray = LAST
    ) -> np.ndarray:
        """New positions -> logits [asked, V]."""
        self._past += len(ids)
        binding = self._decoder.io_binding()
        binding.bind_cpu_input("input_ids", ids.astype(np.int64)[None])
        binding.bind_cpu_input("splice", splice.astype(np.int64)[None])
        binding.bind_cpu_input("image_embeds", np.ascontiguousarray(rows, np.float32))
        binding.bind_cpu_input("seqlens_k", np.array([self._past - 1], np.int32))
        binding.bind_cpu_input("logits_at", asked)
        binding.bind_cpu_input("total_sequence_length", np.array(self._past, np.int32))
        for name, buffer in self._buffers.items():
            place = ("cpu", 0, np.float32, buffer.shape, buffer.ctypes.data)
            binding.bind_input(f"past_{name}", *place)
            binding.bind_output(f"present_{name}", *place)
        binding.bind_output("logits")
        self._decoder.run_with_iobinding(binding)
        return binding.get_outputs()[-1].numpy()


def _session(path: Path, library: Path | None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    if library is not None:
        options.register_custom_ops_library(str(library.resolve()))
    # two models take turns: threads of one that wait busily would slow the other
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
