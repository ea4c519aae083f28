"""The same work by transformers with SDPA: python baseline.py REQUEST.json ANSWER.json"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from fleming_export.config import read_config
from fleming_export.source import open_checkpoint
from torch_model import both, device, of_checkpoint

#: Positions of the text that stands around a study, as the runtime's prompt has them.
AROUND = 2
STREAMS = (1, 8, 32)
#: of a rate, and of the time it comes from
KINDS = {"median": "median", "min": "max", "max": "min"}


def timed(act: Callable[[], object], rounds: int) -> dict:
    """Milliseconds of an act, after one that is not counted; or those that it says it took itself."""
    times = []
    for _ in range(rounds + 1):
        synchronize()
        started = time.perf_counter()
        itself = act()
        synchronize()
        times.append(itself if isinstance(itself, float) else 1e3 * (time.perf_counter() - started))
    times = times[1:]
    return {"median": float(np.median(times)), "min": min(times), "max": max(times)}


def synchronize() -> None:
    """Waits for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(request: dict) -> dict:
    """Vision, prefill and time to the first token of each study; decoding for one stream and for eight."""
    checkpoint = open_checkpoint(request["checkpoint"])
    content, rounds = checkpoint.json("config.json"), request["rounds"]
    models = both(list(checkpoint.tensors), of_checkpoint(checkpoint), content, (request["kind"],) * 2)
    studies = {
        name: study(models, content, (tiles, tokens), rounds)
        for name, (tiles, tokens) in request["studies"].items()
    }
    decoding = [decode(models[1], streams, request["new_tokens"], rounds) for streams in STREAMS]
    seen = torch.cuda.is_available()
    return {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "device": torch.cuda.get_device_name() if seen else "cpu",
        "type": request["kind"],
        "rounds": rounds,
        "studies": studies,
        "streams": decoding,
        "peak_bytes": torch.cuda.max_memory_allocated() if seen else None,
        "how": "peak of torch's own allocations",
    }


def study(models: tuple, content: dict, shape: tuple[int, int], rounds: int) -> dict:
    """One picture, clip, volume or text: its tiles at once, and its prompt at once."""
    (tower, language), (tiles, tokens) = models, shape
    size, config = content["force_image_size"], read_config(content)
    ids = np.random.default_rng(0).integers(0, 1000, tokens + tiles * (config.tokens_per_tile + AROUND))
    # not zeros, which a GPU multiplies faster
    pixels = torch.randn(max(tiles, 1), 3, size, size, device=device())
    x = language.embed(ids, -1, None)
    found = {"tiles": tiles, "prompt_tokens": len(ids)}
    prefill = timed(lambda: next(language.generate(x, 0)), rounds)
    found["prefill_tokens_per_s"] = 1e3 * len(ids) / prefill["median"]
    if tiles:
        vision = timed(lambda: tower.rows(pixels), rounds)
        found["vision_ms_per_tile"] = vision["median"] / tiles

    def first_token() -> None:
        if tiles:
            tower.rows(pixels)
        next(language.generate(x, 0)).cpu()

    return {**found, "ttft_ms": timed(first_token, rounds)}


def decode(language, streams: int, steps: int, rounds: int) -> dict:
    """Tokens a second of all streams together, each step of all at once."""
    ids = np.random.default_rng(0).integers(0, 1000, 64)
    x = language.embed(ids, -1, None).expand(streams, -1, -1)

    def act() -> float:
        made = language.generate(x, steps)
        next(made)
        synchronize()
        started = time.perf_counter()
        for _ in made:
            pass
        synchronize()
        return 1e3 * (time.perf_counter() - started)

    times = timed(act, rounds)
    rates = {kind: 1e3 * streams * steps / times[of] for kind, of in KINDS.items()}
    return {"streams": streams, "new_tokens": steps, "total_decode_tokens_per_s": rates}


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(measure(asked), indent=1), encoding="utf-8")
