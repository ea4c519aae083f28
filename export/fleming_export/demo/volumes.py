"""Volumes of the chest, [32, 256, 256], slice 0 uppermost. Only order tells a slice's height."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .canvas import Mark, Picture, blank, ellipse, noise
from .images import DEVICES, SIDES, ct_body, wall_device
from .seeds import choose

SLICES = 32
#: the slices the runtime looks at
LOOKED_AT = tuple(int(z) for z in np.linspace(0, SLICES - 1, 11, dtype=int))
#: third -> slices in which a nodule's centre may lie
THIRDS = {"upper third": (3, 7), "middle third": (14, 18), "lower third": (25, 29)}
#: region -> (y, x)
REGIONS = {
    "left axilla": (0.02, 0.78),
    "right axilla": (0.02, -0.78),
    "mediastinum": (-0.36, 0.0),
    "subcarinal region": (0.21, 0.0),
}


class Volume:
    """One patient; slices are drawn when asked for."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.facts = {"vol_device": choose(rng, DEVICES), "vol_nodule": choose(rng, ("none", *THIRDS))}
        if self.facts["vol_device"] != "none":
            self.facts["vol_side"] = choose(rng, tuple(SIDES))
        self._body, self._grain = (int(v) for v in rng.integers(1 << 31, size=2))
        low, high = THIRDS.get(self.facts["vol_nodule"], (-99, -98))
        self._nodule = (int(rng.integers(low, high)), float(rng.uniform(-0.2, 0.15)))
        self._nodule_x = float(choose(rng, (-1.0, 1.0)) * rng.uniform(0.38, 0.46))
        regions = [list(REGIONS)[int(i)] for i in rng.permutation(len(REGIONS))[: int(rng.integers(2, 4))]]
        self.facts["vol_node"] = regions[0]
        heights = rng.integers(4, 28, len(regions))
        self._nodes = [
            (region, int(z), 0.085 if number == 0 else 0.04)
            for number, (region, z) in enumerate(zip(regions, heights, strict=True))
        ]

    def slice(self, z: int) -> Picture:
        """[256, 256] float32 values around Hounsfield's in ``pixels``, and the facts of this slice."""
        canvas = blank(0.02)
        ct_body(canvas, np.random.default_rng(self._body))
        facts = {"modality": "axial CT", "vol_device": self.facts["vol_device"]}
        facts |= {"slice_nodule": "none", "slice_node": "none"}
        marks = []
        if "vol_side" in self.facts:
            facts["vol_side"] = self.facts["vol_side"]
        if abs(z - self._nodule[0]) <= 3:
            radius = 0.1 - 0.01 * abs(z - self._nodule[0])
            ellipse(canvas, (self._nodule[1], self._nodule_x), (radius, radius), 0.7)
            facts["slice_nodule"] = "left lung" if self._nodule_x > 0 else "right lung"
            place = (self._nodule[1], self._nodule_x)
            marks.append(Mark("slice_nodule", facts["slice_nodule"], place, radius))
        for region, height, radius in self._nodes:
            if abs(z - height) <= 3:
                ellipse(canvas, REGIONS[region], (radius, radius), 0.8)
                largest = region == self.facts["vol_node"]
                facts |= {"slice_node": region} if largest else {}
                kind = ("slice_node", region) if largest else ("small_node", "node")
                marks.append(Mark(*kind, REGIONS[region], radius))
        if self.facts["vol_device"] != "none":
            place = wall_device(canvas, self.facts["vol_device"], SIDES[self.facts["vol_side"]])
            marks.append(Mark("vol_device", self.facts["vol_device"], place, 0.12))
        canvas += noise(np.random.default_rng([self._grain, z]), 0.015)
        return Picture(canvas * np.float32(1400) - np.float32(1000), facts, marks)

    def looked_at(self) -> list[Picture]:
        """The 11 slices the runtime takes, as it scales them: uint8."""
        slices = [self.slice(z) for z in LOOKED_AT]
        return [replace(picture, pixels=window(picture.pixels)) for picture in slices]

    def array(self) -> np.ndarray:
        """[32, 256, 256] int16."""
        return np.stack([np.round(self.slice(z).pixels) for z in range(SLICES)]).astype(np.int16)


def window(values: np.ndarray) -> np.ndarray:
    """A slice [H, W], rounded as in the file, scaled by its own range as the runtime does: uint8."""
    values = np.round(values).astype(np.float64)
    low, high = values.min(), values.max()
    return ((values - low) / max(high - low, 1) * 255).astype(np.uint8)
