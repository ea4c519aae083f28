"""What is measured: visits, in which a side loads and answers, and the rows of the table that they fill."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from building import HERE, Workshop, run

SLICES, STREAMS = 11, 8
#: Tokens of the first question of all, as many as that of `fleming bench` has with a small vocabulary.
FIRST_TOKENS = 26


@dataclass(frozen=True)
class Visit:
    """One loading of a model and the questions asked of it."""

    prompt_tokens: int
    new_tokens: int = 2
    tiles: int = 0
    streams: tuple[int, ...] = (1,)
    repeat: int = 1
    busy: bool = False  # beside a process that keeps a core busy

    @property
    def context(self) -> int:
        """Positions for a stream: tiles of 258, the text, which is about as long as said, and the reply."""
        needed = self.tiles * 258 + self.prompt_tokens + self.prompt_tokens // 16 + self.new_tokens + 128
        return -(-needed // 256) * 256


def visits(contexts: list[int]) -> dict[str, Visit]:
    """All visits by name; a text for each length of context."""
    texts = {
        f"text-{length}": Visit(length, 65 if length < 1024 else 33, repeat=2 if length < 1024 else 1)
        for length in contexts
    }
    return {
        "image": Visit(64, tiles=1, repeat=2),
        **texts,
        "busy": Visit(contexts[0], 65, busy=True),
        "streams": Visit(64, 65, streams=(1, STREAMS), repeat=2),
        "volume": Visit(64, tiles=SLICES),
    }


@dataclass(frozen=True)
class Row:
    """A row of the table: a number of an answer."""

    stage: str  # of --only
    title: str
    visit: str
    value: Callable[[dict], float]
    rate: bool = False  # more is better
    digits: int = 2
    against: str = ""  # the visit that the value is divided by that of


def rows(contexts: list[int]) -> list[Row]:
    """The rows in their order."""

    def of(field: str, scale: float = 1.0, stream: int = 0) -> Callable[[dict], float]:
        return lambda answer: answer["streams"][stream][field]["median"] / scale

    reads = [
        Row("prefill", f"prefill of {n:,}, tokens/s", f"text-{n}", of("prefill_tokens_per_s"), True, 0)
        for n in contexts
    ]
    steps = [
        Row("decode", f"decoding at {n:,}, tokens/s", f"text-{n}", of("decode_tokens_per_s"), True, 1)
        for n in contexts
    ]
    shared, idle = f"decoding at {contexts[0]:,} beside a busy process", f"text-{contexts[0]}"
    total = "total_decode_tokens_per_s"
    return [
        Row("vision", "vision, s a tile", "image", of("vision_ms_per_tile", 1e3)),
        *reads,
        *steps,
        Row("image", "first token about an image, s", "image", of("ttft_ms", 1e3)),
        Row("volume", f"first token about {SLICES} slices, s", "volume", of("ttft_ms", 1e3), False, 1),
        Row("load", "load to first token, s", "image", lambda answer: answer["first_token"]["ms"] / 1e3),
        Row("memory", "peak memory, an image, MB", "image", lambda a: a["peak_memory_bytes"] / 1e6, False, 0),
        Row("busy", f"{shared}, tokens/s", "busy", of("decode_tokens_per_s"), True, 1),
        Row("busy", f"{shared}, times alone", "busy", of("decode_tokens_per_s"), True, 2, idle),
        Row("streams", f"{STREAMS} streams, tokens/s in all", "streams", of(total, 1.0, 1), True, 1),
        Row("streams", f"{STREAMS} streams, times one", "streams", times_one, True, 2),
    ]


def times_one(answer: dict) -> float:
    """How many times the tokens of one stream all streams make."""
    one, all_ = (row["total_decode_tokens_per_s"]["median"] for row in answer["streams"])
    return all_ / one


# ── the two sides


def fleming(workshop: Workshop, precision: str, visit: Visit, options: dict) -> dict:
    """Our side of a visit: what `fleming bench` measures."""
    command = [options["fleming"], "bench", "--model", workshop.package(precision), "--json"]
    command += ["--threads", options["threads"], "--context", visit.context]
    command += ["--tiles", visit.tiles, "--prompt-tokens", visit.prompt_tokens]
    command += ["--new-tokens", visit.new_tokens, "--repeat", visit.repeat]
    command += ["--streams", ",".join(map(str, visit.streams))]
    command += ["--provider-option", "kernels=avx2"] if options["avx2"] else []
    # ONNX Runtime is there, for a binary that has none beside it
    return json.loads(run(command, VIRTUAL_ENV=str(workshop.folder / workshop.venv)))


def llama(workshop: Workshop, kinds: str, visit: Visit, options: dict) -> dict:
    """llama.cpp's side of a visit, with the files `TEXT/PROJECTOR`."""
    return asked(workshop, "llama_side.py", {**files(workshop, kinds), **question(visit, options)})


def transformers(workshop: Workshop, kind: str, visit: Visit, options: dict) -> dict:
    """transformers' side of a visit, in the type that is named."""
    model = {"checkpoint": str(workshop.checkpoint), "kind": kind}
    return asked(workshop, "torch_side.py", {**model, **question(visit, options)})


def files(workshop: Workshop, kinds: str) -> dict:
    """llama.cpp's files, of the types `TEXT/PROJECTOR`."""
    text, projector = kinds.split("/")
    return {"text": str(workshop.text(text)), "projector": str(workshop.projector(projector))}


def question(visit: Visit, options: dict) -> dict:
    """What a peer is asked."""
    return {
        "threads": options["threads"],
        "context": visit.context,
        "tiles": visit.tiles,
        "prompt_tokens": visit.prompt_tokens,
        "new_tokens": visit.new_tokens,
        "streams": visit.streams,
        "repeat": visit.repeat,
        "first_tokens": FIRST_TOKENS,
    }


def agreement(workshop: Workshop, precision: str, kinds: str, options: dict) -> dict:
    """The cosines of the image embeddings of both sides on the same picture."""
    with tempfile.TemporaryDirectory() as folder:
        picture, trace = Path(folder) / "noise.png", Path(folder) / "trace"
        asked(workshop, "agreement.py", {"picture": str(picture)})
        command = [options["fleming"], "ask", picture, "--model", workshop.package(precision)]
        run(
            [*command, "--question", "What?", "--trace", trace, "--max-new-tokens", 1],
            VIRTUAL_ENV=str(workshop.folder / workshop.venv),
        )
        request = {"trace": str(trace), "threads": options["threads"], **files(workshop, kinds)}
        return asked(workshop, "agreement.py", request)


def asked(workshop: Workshop, script: str, request: dict) -> dict:
    """The answer of a script in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        question, answer = (Path(folder) / f"{name}.json" for name in ("request", "answer"))
        question.write_text(json.dumps(request), encoding="utf-8")
        paths = os.pathsep.join(map(str, (HERE, HERE.parents[1] / "export")))
        run([workshop.python, HERE / script, question, answer], PYTHONPATH=paths)
        return json.loads(answer.read_text(encoding="utf-8"))
