"""What the scripts of all peers share: rounds, memory, and the answer, with the fields of `fleming bench`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np


class Peer(Protocol):
    """A model that is loaded."""

    def facts(self) -> dict:
        """What it is, for the answer."""

    def first(self, tokens: int) -> None:
        """Reads the first question of all, and chooses a token."""

    def text(self, request: dict, streams: int, seed: int) -> dict:
        """Reads a text for each stream, which no other round had, and appends tokens to all of them."""

    def pictures(self, request: dict, seed: int) -> dict:
        """Reads pictures of noise and a question, and chooses a token."""


def serve(load: Callable[[dict], Peer]) -> None:
    """The whole script: SCRIPT REQUEST.json ANSWER.json"""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(answer(request, load)), encoding="utf-8")


def answer(request: dict, load: Callable[[dict], Peer]) -> dict:
    """Loads, asks once without counting, and measures what was asked for."""
    before, started = status("VmRSS"), time.perf_counter()
    peer = load(request)
    loaded, memory = time.perf_counter() - started, status("VmHWM")
    peer.first(request["first_tokens"])
    first = time.perf_counter() - started
    asked(peer, {**request, "new_tokens": 2}, 1, 0)
    rows = []
    for streams in request["streams"]:
        measured = list(rounds(peer, request, streams))
        row = {name: spread([one[name] for one in measured]) for name in measured[0]}
        rows.append({"streams": streams, **row})
    return {
        **peer.facts(),
        "load_ms": 1e3 * loaded,
        "first_token": {"ms": 1e3 * first, "prompt_tokens": request["first_tokens"]},
        "before_memory_bytes": before,
        "loaded_memory_bytes": memory - before,
        "peak_memory_bytes": status("VmHWM") - before,
        "streams": rows,
    }


def rounds(peer: Peer, request: dict, streams: int) -> Iterator[dict]:
    """The rounds that are counted."""
    for number in range(request["repeat"]):
        yield asked(peer, request, streams, 1000 * streams + number + 1)


def asked(peer: Peer, request: dict, streams: int, seed: int) -> dict:
    """One round."""
    return peer.pictures(request, seed) if request["tiles"] else peer.text(request, streams, seed)


def of_text(request: dict, streams: int, prefill: float, decoding: float) -> dict:
    """The numbers of a round of texts, of the seconds that it took."""
    length, steps = request["prompt_tokens"], request["new_tokens"] - 1
    return {
        "prefill_tokens_per_s": streams * length / prefill,
        "decode_tokens_per_s": steps / decoding,
        "total_decode_tokens_per_s": streams * steps / decoding,
        "ttft_ms": 1e3 * prefill,
        "prompt_tokens": length,
    }


def of_pictures(request: dict, tokens: int, vision: float, whole: float) -> dict:
    """The numbers of a round of pictures, of the seconds that it took."""
    return {
        "vision_ms_per_tile": 1e3 * vision / request["tiles"],
        "prefill_tokens_per_s": tokens / (whole - vision),
        "ttft_ms": 1e3 * whole,
        "prompt_tokens": tokens,
    }


def spread(values: list[float]) -> dict:
    """Median and extremes."""
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def status(field: str) -> int:
    """A size of this process in bytes, by its name in /proc/self/status."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
