"""Cases as files: pictures, volumes, clips, and ``cases.jsonl``, one object a line. Without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from ..errors import ExportError
from ..synthetic.inputs import encode_clip
from .clips import RATE, Clip
from .questions import KINDS, Sample, sample
from .volumes import Volume

#: the kinds that are written unless others are named
ASSETS = ("image", "volume", "video", "compare", "follow_up")


def write_cases(out: Path, seed: int, per_kind: int, kinds: tuple[str, ...] = ASSETS) -> Path:
    """Writes ``per_kind`` cases of each kind, drawn from the test split; returns the path of the list."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ExportError("kinds", f"some of {', '.join(KINDS)}", ", ".join(unknown))
    if {"video", "mixed"} & set(kinds) and not shutil.which("ffmpeg"):
        raise ExportError("ffmpeg", "the program, to write clips", "not installed")
    (out / "inputs").mkdir(parents=True, exist_ok=True)
    path = out / "cases.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for kind in kinds:
            for index in range(per_kind):
                name = f"{kind}-{index:04d}"
                case = write_case(out, name, sample(kind, ("test", seed, index)))
                file.write(json.dumps(case, ensure_ascii=False) + "\n")
    return path


def write_case(out: Path, name: str, case: Sample) -> dict:
    """Writes a case's inputs below ``out``; returns its line, in which paths are relative to ``out``."""
    from PIL import Image

    line = {"id": name, "kind": case.kind, "fact": case.fact, "images": [], "volume": None, "video": None}
    for number, study in enumerate(case.studies):
        path = f"inputs/{name}-{number}"
        if isinstance(study, Volume):
            line["volume"] = f"{path}.npy"
            np.save(out / line["volume"], study.array())
        elif isinstance(study, Clip):
            line["video"] = f"{path}.mp4"
            encode_clip(out / line["video"], study.array(), RATE)
        else:
            line["images"].append(f"{path}.png")
            Image.fromarray(study.pixels).save(out / line["images"][-1])
    asked = {"question": case.asked.question, "answer": case.asked.answer}
    return {**line, "history": case.history, **asked}
