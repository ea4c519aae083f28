"""What a perfect tower would see of some thousand studies: the language model learns from these."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from .batches import stream
from .images import MODALITIES
from .questions import DRAWN
from .seeds import choose, generator
from .slots import seen

#: studies of a sort that are kept; pictures of each modality
COUNTS = {**dict.fromkeys(MODALITIES, 1500), "volume": 1500, "clip": 2000}
#: studies that are drawn together
TOGETHER = 8


@dataclass(frozen=True)
class Kept:
    """A study: rows ``first`` to ``last`` of the gallery are its frames."""

    facts: dict[str, str]
    first: int
    last: int

    def looked_at(self) -> list[int]:
        """The numbers of its frames."""
        return list(range(self.first, self.last))


class Gallery:
    """A source of studies; ``values`` [frames, slots], as ``slots.seen`` gives them."""

    def __init__(self, folder: Path) -> None:
        self.values = np.load(folder / "gallery.npy")
        kept = json.loads((folder / "gallery.json").read_text(encoding="utf-8"))
        self._studies = {sort: [Kept(*study) for study in studies] for sort, studies in kept.items()}

    def picture(self, rng: np.random.Generator, modality: str | None = None) -> Kept:
        return choose(rng, self._studies[modality or choose(rng, tuple(MODALITIES))])

    def volume(self, rng: np.random.Generator) -> Kept:
        return choose(rng, self._studies["volume"])

    def clip(self, rng: np.random.Generator) -> Kept:
        return choose(rng, self._studies["clip"])


def _draw(seed: int, sort: str, number: int) -> list[tuple[dict, np.ndarray]]:
    """A few studies: their facts, and what their frames show [frames, slots]."""
    studies = []
    for index in range(number * TOGETHER, (number + 1) * TOGETHER):
        rng = generator("train", seed, 97, list(COUNTS).index(sort), index)
        drawn = {"volume": DRAWN.volume, "clip": DRAWN.clip}.get(sort, partial(DRAWN.picture, modality=sort))
        study = drawn(rng)
        studies.append((study.facts, np.stack([seen(frame) for frame in study.looked_at()])))
    return studies


def fill(folder: Path, seed: int, workers: int) -> Gallery:
    """Draws studies of every sort and keeps in ``folder`` what they show."""
    kept, rows, place = {}, [], 0
    for sort, count in COUNTS.items():
        kept[sort], batches = [], stream(partial(_draw, seed, sort), 0, workers)
        while len(kept[sort]) < count:
            for facts, values in next(batches):
                rows.append(values)
                kept[sort].append((facts, place, place + len(values)))
                place += len(values)
    np.save(folder / "gallery.npy", np.concatenate(rows))
    (folder / "gallery.json").write_text(json.dumps(kept), encoding="utf-8")
    return Gallery(folder)
