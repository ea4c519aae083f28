"""transformers' side of a visit, where torch is installed: torch_side.py REQUEST.json ANSWER.json"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from answering import of_pictures, of_text, serve

sys.path.append(str(Path(__file__).resolve().parents[1] / "gpu"))

from fleming_export.source import open_checkpoint
from torch_model import both, of_checkpoint

#: Positions of the text that stands around a tile, as the runtime's prompt has them.
AROUND = 2


class Model:
    """The tower and the language model, as the kit for GPUs has them."""

    def __init__(self, request: dict) -> None:
        torch.set_num_threads(request["threads"])
        checkpoint = open_checkpoint(request["checkpoint"])
        self.content = checkpoint.json("config.json")
        kinds = (request["kind"],) * 2
        self.tower, self.language = both(
            list(checkpoint.tensors), of_checkpoint(checkpoint), self.content, kinds
        )

    def facts(self) -> dict:
        """Versions."""
        return {"torch": torch.__version__, "transformers": transformers.__version__}

    def first(self, tokens: int) -> None:
        """Reads the first question of all, and chooses a token."""
        self.read(np.arange(tokens)[None], 0)

    def text(self, request: dict, streams: int, seed: int) -> dict:
        """Texts of one length together, as a batch."""
        ids = np.random.default_rng(seed).integers(0, 1000, (streams, request["prompt_tokens"]))
        return of_text(request, streams, *self.read(ids, request["new_tokens"] - 1))

    def pictures(self, request: dict, seed: int) -> dict:
        """All tiles at once, and then a prompt of their length and the text's."""
        size, tiles = self.content["force_image_size"], request["tiles"]
        pixels = torch.from_numpy(
            np.random.default_rng(seed).standard_normal((tiles, 3, size, size), np.float32)
        )
        started = time.perf_counter()
        rows = self.tower.rows(pixels)
        vision = time.perf_counter() - started
        tokens = len(rows) + AROUND * tiles + request["prompt_tokens"]
        prefill, _ = self.read(np.random.default_rng(seed).integers(0, 1000, (1, tokens)), 0)
        return of_pictures(request, tokens, vision, vision + prefill)

    def read(self, ids: np.ndarray, steps: int) -> tuple[float, float]:
        """Seconds of the prompts and of the steps after them; [B, N] of ids."""
        started = time.perf_counter()
        x = torch.cat([self.language.embed(row, -1, None) for row in ids])
        made = self.language.generate(x, steps)
        next(made)
        prefill = time.perf_counter() - started
        for _ in made:
            pass
        return prefill, time.perf_counter() - started - prefill


if __name__ == "__main__":
    serve(Model)
