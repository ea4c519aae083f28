"""Studies as the finished tower sees them: the language model learns from these, without looking again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from .batches import normalise, pixels, stream
from .images import MODALITIES
from .model import DemoModel
from .questions import DRAWN
from .seeds import choose, generator

#: studies of a sort that are kept; pictures of each modality
COUNTS = {**dict.fromkeys(MODALITIES, 1800), "volume": 1500, "clip": 1600}
#: studies that are drawn and looked at together
TOGETHER = 4


@dataclass(frozen=True)
class Seen:
    """A study that was looked at: rows ``first`` to ``last`` of the gallery are its frames."""

    facts: dict[str, str]
    first: int
    last: int

    def looked_at(self) -> list[int]:
        """The numbers of its frames."""
        return list(range(self.first, self.last))


class Gallery:
    """A source of studies; ``rows`` [frames, T, H] float16, mapped from a file."""

    def __init__(self, folder: Path) -> None:
        self.rows = np.load(folder / "gallery.npy", mmap_mode="r")
        kept = json.loads((folder / "gallery.json").read_text(encoding="utf-8"))
        self._studies = {sort: [Seen(*study) for study in studies] for sort, studies in kept.items()}

    def picture(self, rng: np.random.Generator, modality: str | None = None) -> Seen:
        return choose(rng, self._studies[modality or choose(rng, tuple(MODALITIES))])

    def volume(self, rng: np.random.Generator) -> Seen:
        return choose(rng, self._studies["volume"])

    def clip(self, rng: np.random.Generator) -> Seen:
        return choose(rng, self._studies["clip"])


def _draw(seed: int, sort: str, number: int) -> tuple[list[tuple[dict, int]], torch.Tensor]:
    """A few studies: their facts and numbers of frames, and the pixels of all frames."""
    studies = []
    for index in range(number * TOGETHER, (number + 1) * TOGETHER):
        rng = generator("train", seed, 97, list(COUNTS).index(sort), index)
        drawn = {"volume": DRAWN.volume, "clip": DRAWN.clip}.get(sort, partial(DRAWN.picture, modality=sort))
        study = drawn(rng)
        studies.append((study.facts, study.looked_at()))
    pictures = [frame for _, frames in studies for frame in frames]
    return [(facts, len(frames)) for facts, frames in studies], pixels(pictures)


@torch.inference_mode()
def fill(folder: Path, model: DemoModel, seed: int, device: str) -> Gallery:
    """Draws studies of every sort, looks at them and keeps what the tower makes of them in ``folder``."""
    kept, rows, place = {}, [], 0
    model.eval()
    for sort, count in COUNTS.items():
        kept[sort], batches = [], stream(partial(_draw, seed, sort), 0, 1)
        while len(kept[sort]) < count:
            studies, values = next(batches)
            rows.append(model.embed(normalise(values.to(device))).half().cpu().numpy())
            for facts, frames in studies:
                kept[sort].append((facts, place, place + frames))
                place += frames
    np.save(folder / "gallery.npy", np.concatenate(rows))
    (folder / "gallery.json").write_text(json.dumps(kept), encoding="utf-8")
    return Gallery(folder)
