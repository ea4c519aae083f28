"""Short clips, [frames, 256, 256] at 8 frames a second: instruments, or a chamber that moves."""

from __future__ import annotations

import numpy as np

from .canvas import Mark, Picture, blank, ellipse, grey, line, noise, waves
from .images import sector
from .seeds import choose

RATE = 8
#: side of the picture -> (y, x) outwards
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "top": (-1, 0), "bottom": (1, 0)}
COUNTS = ("one", "two", "three")


def looked_at(frames: int) -> list[int]:
    """The frames the runtime takes: one a second, by the authors' rule."""
    count, last = max(frames // RATE, 1), frames - 1
    step = last / count
    return [int(step / 2 + np.round(step * i)) for i in range(count)]


class Clip:
    """One recording; frames are drawn when asked for."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.frames = RATE * int(rng.integers(4, 8))
        self._grain = int(rng.integers(1 << 31))
        self._tissue = blank(0.45) + waves(rng, 0.15)
        self._place = (float(rng.uniform(-0.1, 0.15)), float(rng.uniform(-0.15, 0.15)))
        self._phase, self._rate = float(rng.uniform(0, 1)), float(rng.uniform(0.27, 0.4))
        self._radius = float(rng.uniform(0.2, 0.28))
        self._instruments: list[tuple[str, float]] = []
        self.facts: dict[str, str] = {}
        (self._instrument_facts if rng.random() < 0.5 else self._chamber_facts)(rng)

    def _instrument_facts(self, rng: np.random.Generator) -> None:
        count = int(rng.integers(1, 4))
        sides = [list(DIRECTIONS)[int(i)] for i in rng.permutation(4)[:count]]
        self._instruments = [(side, float(rng.uniform(-0.3, 0.3))) for side in sides]
        self.facts = {"vid_count": COUNTS[count - 1], "vid_move": choose(rng, ("in", "out"))}
        if count == 1:
            self.facts["vid_side"] = sides[0]

    def _chamber_facts(self, rng: np.random.Generator) -> None:
        self.facts = {"vid_motion": choose(rng, ("beating", "still"))}
        if self.facts["vid_motion"] == "still":
            self.facts["vid_change"] = choose(rng, ("grows", "shrinks", "stays"))
            if self.facts["vid_change"] != "stays":
                del self.facts["vid_motion"]

    def frame(self, number: int) -> Picture:
        """[256, 256] uint8, and the facts of this frame."""
        canvas = self._tissue.copy()
        share = number / (self.frames - 1)
        canvas += noise(np.random.default_rng([self._grain, number]), 0.03)
        if self._instruments:
            depth, marks = self._draw_instruments(canvas, share)
            facts = {key: self.facts[key] for key in ("vid_count", "vid_side") if key in self.facts}
            facts["modality"] = "instruments"
            return Picture(grey(canvas), facts, marks, {"depth": 3 * depth})
        radius = self._radius_at(number, share)
        ellipse(canvas, self._place, (radius + 0.08, radius + 0.08), 0.85, soft=0.03)
        ellipse(canvas, self._place, (radius, radius), 0.04, soft=0.03)
        marks = [Mark("chamber", "chamber", self._place, radius)]
        amounts = {"radius": (radius - 0.1) / 0.07}
        return Picture(grey(canvas * sector()), {"modality": "ultrasound"}, marks, amounts)

    def _draw_instruments(self, canvas: np.ndarray, share: float) -> tuple[float, list[Mark]]:
        depth = share if self.facts["vid_move"] == "in" else 1 - share
        reach, marks = 0.85 - 0.65 * depth, []
        for side, offset in self._instruments:
            y, x = DIRECTIONS[side]
            start = (y * 1.1 + (x != 0) * offset, x * 1.1 + (y != 0) * offset)
            end = (y * reach + (x != 0) * offset, x * reach + (y != 0) * offset)
            line(canvas, start, end, 0.98, width=0.055)
            ellipse(canvas, end, (0.07, 0.07), 0.02)
            marks.append(Mark("tip", side, end, 0.07))
        return depth, marks

    def _radius_at(self, number: int, share: float) -> float:
        if self.facts.get("vid_motion") == "beating":
            angle = 2 * np.pi * (self._phase + self._rate * number / RATE)
            return self._radius + 0.1 * float(np.sin(angle))
        swing = {"grows": 0.22, "shrinks": -0.22}.get(self.facts["vid_change"], 0.0)
        return self._radius + swing * (share - 0.5)

    def looked_at(self) -> list[Picture]:
        """The frames the runtime takes."""
        return [self.frame(number) for number in looked_at(self.frames)]

    def array(self) -> np.ndarray:
        """[frames, 256, 256, 3] uint8."""
        grey_frames = np.stack([self.frame(number).pixels for number in range(self.frames)])
        return np.repeat(grey_frames[..., None], 3, axis=3)
