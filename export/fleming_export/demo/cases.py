"""Cases as files: pictures, volumes, clips, and ``cases.jsonl``, one object a line. Without torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from ..errors import ExportError
from ..synthetic.inputs import encode_clip
from .clips import RATE
from .questions import KINDS, Sample, sample


def write_cases(out: Path, seed: int, per_kind: int, kinds: tuple[str, ...] = KINDS[:5]) -> Path:
    """Writes ``per_kind`` cases of each kind, drawn from the test split; returns the path of the list."""
    if "video" in kinds and not shutil.which("ffmpeg"):
        raise ExportError("ffmpeg", "the program, to write clips", "not installed")
    (out / "inputs").mkdir(parents=True, exist_ok=True)
    path = out / "cases.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for kind in kinds:
            for index in range(per_kind):
                name = f"{kind}-{index:04d}"
                case = write_case(out, name, sample(kind, "test", seed, index))
                file.write(json.dumps(case, ensure_ascii=False) + "\n")
    return path


def write_case(out: Path, name: str, case: Sample) -> dict:
    """Writes a case's inputs below ``out``; returns its line, in which paths are relative to ``out``."""
    from PIL import Image

    line = {"id": name, "kind": case.kind, "fact": case.fact, "images": [], "volume": None, "video": None}
    for number, picture in enumerate(case.images):
        line["images"].append(f"inputs/{name}-{number}.png")
        Image.fromarray(picture.pixels).save(out / line["images"][-1])
    if case.volume:
        line["volume"] = f"inputs/{name}.npy"
        np.save(out / line["volume"], case.volume.array())
    if case.clip:
        line["video"] = f"inputs/{name}.mp4"
        encode_clip(out / line["video"], case.clip.array(), RATE)
    asked = {"question": case.asked.question, "answer": case.asked.answer}
    return {**line, "history": case.history, **asked}
