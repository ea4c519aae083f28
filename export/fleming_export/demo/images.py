"""Single pictures of six kinds. Sides of chest and head are the patient's: right is left in the picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Mark, Picture, blank, ellipse, grey, line, noise, waves
from .seeds import choose

SIDES = {"left": 1.0, "right": -1.0}  # the patient's, as the sign of x
DEVICES = ("none", "pacemaker", "port", "catheter")
Rng = np.random.Generator


def jitter(rng: Rng, value: float, share: float = 0.1) -> float:
    """A value within a share of itself."""
    return value * float(rng.uniform(1 - share, 1 + share))


def device(canvas: np.ndarray, kind: str, place: tuple[float, float], sign: float) -> None:
    """A pacemaker is a large block with a lead, a port a small ring, a catheter a line alone."""
    y, x = place
    if kind == "pacemaker":
        ellipse(canvas, (y, x), (0.13, 0.1), 1.0)
        line(canvas, (y, x), (y + 0.3, x - 0.3 * sign), 1.0, width=0.014)
    elif kind == "port":
        ellipse(canvas, (y, x), (0.075, 0.075), 1.0)
        ellipse(canvas, (y, x), (0.035, 0.035), 0.15)
    elif kind == "catheter":
        line(canvas, (y - 0.16, x), (y + 0.16, x - 0.04 * sign), 1.0, width=0.022)


def chest(rng: Rng) -> Picture:
    """A chest radiograph: lungs, heart, ribs; a nodule, a device, an enlarged heart."""
    facts, marks = {"modality": "chest X-ray"}, []
    canvas = blank(0.12)
    width = jitter(rng, 0.9, 0.06)
    ellipse(canvas, (0.15, 0), (1.15, width), 0.55, soft=0.05)
    for sign in SIDES.values():
        ellipse(canvas, (jitter(rng, 0.04), 0.4 * sign), (0.62, jitter(rng, 0.29, 0.07)), 0.2, soft=0.05)
    spacing, lift = jitter(rng, 0.17), float(rng.uniform(0, 0.1))
    for number in range(6):
        y = -0.5 + lift + number * spacing
        for sign in SIDES.values():
            line(canvas, (y, 0.1 * sign), (y + 0.12, 0.72 * sign), 0.36, width=0.016)
    facts["cxr_heart"] = choose(rng, ("normal", "enlarged"))
    large = float(rng.uniform(0.42, 0.5) if facts["cxr_heart"] == "enlarged" else rng.uniform(0.2, 0.27))
    ellipse(canvas, (0.36, 0.1), (0.32, large), 0.62, soft=0.04)
    line(canvas, (-1, 0), (1, 0), 0.62, width=0.06)
    facts["cxr_nodule"] = choose(rng, ("none", "left lung", "right lung"))
    if facts["cxr_nodule"] != "none":
        sign = SIDES[facts["cxr_nodule"].split()[0]]
        radius = float(rng.uniform(0.085, 0.12))
        place = (float(rng.uniform(-0.4, 0.02)), sign * float(rng.uniform(0.32, 0.5)))
        ellipse(canvas, place, (radius, radius), 0.85, soft=0.02)
        marks.append(Mark("cxr_nodule", facts["cxr_nodule"], place, radius))
    facts["cxr_device"] = choose(rng, DEVICES)
    if facts["cxr_device"] != "none":
        facts["cxr_side"] = choose(rng, tuple(SIDES))
        sign = SIDES[facts["cxr_side"]]
        place = (float(rng.uniform(-0.72, -0.6)), sign * float(rng.uniform(0.6, 0.72)))
        device(canvas, facts["cxr_device"], place, sign)
        marks.append(Mark("cxr_device", facts["cxr_device"], place, 0.12))
    return Picture(grey(canvas + waves(rng, 0.05) + noise(rng, 0.02)), facts, marks)


def ct_body(canvas: np.ndarray, rng: Rng) -> None:
    """The parts of an axial slice through the chest: body, lungs, spine, heart."""
    ellipse(canvas, (0, 0), (jitter(rng, 0.68, 0.05), jitter(rng, 0.88, 0.04)), 0.55)
    for sign in SIDES.values():
        ellipse(canvas, (-0.03, 0.42 * sign), (jitter(rng, 0.42, 0.06), jitter(rng, 0.25, 0.06)), 0.1)
    ellipse(canvas, (0.42, 0), (0.12, 0.11), 0.85)
    ellipse(canvas, (-0.05, 0.05), (jitter(rng, 0.2), jitter(rng, 0.17)), 0.65)


def ct(rng: Rng) -> Picture:
    """One axial slice of the chest: a lesion of a lung, a device in the chest wall."""
    facts, marks = {"modality": "axial CT"}, []
    canvas = blank(0.02)
    ct_body(canvas, rng)
    facts["ct_lesion"] = choose(rng, ("none", "left lung", "right lung"))
    if facts["ct_lesion"] != "none":
        sign, radius = SIDES[facts["ct_lesion"].split()[0]], float(rng.uniform(0.06, 0.1))
        place = (float(rng.uniform(-0.2, 0.15)), sign * float(rng.uniform(0.38, 0.48)))
        ellipse(canvas, place, (radius, radius), 0.7)
        marks.append(Mark("ct_lesion", facts["ct_lesion"], place, radius))
    facts["ct_device"] = choose(rng, DEVICES)
    if facts["ct_device"] != "none":
        facts["ct_side"] = choose(rng, tuple(SIDES))
        place = wall_device(canvas, facts["ct_device"], SIDES[facts["ct_side"]])
        marks.append(Mark("ct_device", facts["ct_device"], place, 0.12))
    return Picture(grey(canvas + noise(rng, 0.02)), facts, marks)


def wall_device(canvas: np.ndarray, kind: str, sign: float) -> tuple[float, float]:
    """A device in the front of the chest wall of a slice; returns its place."""
    if kind == "pacemaker":
        ellipse(canvas, (-0.52, 0.5 * sign), (0.07, 0.17), 1.0)
    elif kind == "port":
        ellipse(canvas, (-0.52, 0.5 * sign), (0.085, 0.085), 1.0)
        ellipse(canvas, (-0.52, 0.5 * sign), (0.04, 0.04), 0.2)
    elif kind == "catheter":
        line(canvas, (-0.62, 0.62 * sign), (-0.4, 0.34 * sign), 1.0, width=0.02)
    return (-0.52, 0.5 * sign)


def mri(rng: Rng) -> Picture:
    """An axial slice of the brain: skull, folds, ventricles; a bright lesion."""
    facts, marks = {"modality": "brain MRI"}, []
    canvas = blank(0.02)
    tall, wide = jitter(rng, 0.85, 0.05), jitter(rng, 0.68, 0.05)
    ellipse(canvas, (0, 0), (tall, wide), 0.8)
    ellipse(canvas, (0, 0), (tall - 0.06, wide - 0.06), 0.08)
    ellipse(canvas, (0, 0), (tall - 0.1, wide - 0.1), 0.45)
    turn = float(rng.uniform(0, 0.5))
    for angle in np.arange(0, 6.28, 0.45) + turn:
        y, x = np.sin(angle), np.cos(angle)
        inner = ((tall - 0.24) * y, (wide - 0.24) * x)
        line(canvas, inner, ((tall - 0.1) * y, (wide - 0.1) * x), 0.2, width=0.012)
    line(canvas, (-tall + 0.1, 0), (tall - 0.1, 0), 0.15, width=0.008)
    facts["mri_ventricles"] = choose(rng, ("normal", "enlarged"))
    large = float(rng.uniform(1.6, 2.0) if facts["mri_ventricles"] == "enlarged" else rng.uniform(0.7, 0.95))
    for sign in SIDES.values():
        ellipse(canvas, (-0.02, 0.09 * sign * large), (0.17 * large**0.5, 0.05 * large), 0.05)
    facts["mri_lesion"] = choose(rng, ("none", "left hemisphere", "right hemisphere"))
    if facts["mri_lesion"] != "none":
        sign, radius = SIDES[facts["mri_lesion"].split()[0]], float(rng.uniform(0.07, 0.11))
        place = (float(rng.uniform(-0.4, 0.4)), sign * float(rng.uniform(0.3, 0.38)))
        ellipse(canvas, place, (radius, jitter(rng, radius)), 0.95, soft=0.02)
        marks.append(Mark("mri_lesion", facts["mri_lesion"], place, radius))
    return Picture(grey(canvas + waves(rng, 0.06) + noise(rng, 0.025)), facts, marks)


def fundus(rng: Rng) -> Picture:
    """The back of the eye in colour: disc, vessels, macula; haemorrhages. Sides are the picture's."""
    facts = {"modality": "fundus photograph", "fundus_disc": choose(rng, ("left", "right"))}
    sign = 1.0 if facts["fundus_disc"] == "right" else -1.0
    canvas = np.zeros((256, 256, 3), np.float32)
    red = jitter(rng, 0.75, 0.12)
    ellipse(canvas, (0, 0), (0.93, 0.93), (red, 0.38 * red + 0.05, 0.15), soft=0.02)
    disc = (float(rng.uniform(-0.08, 0.08)), sign * jitter(rng, 0.42))
    for up in (-1, 1):
        for bend in (0.35, 0.6):
            middle = (disc[0] + up * bend, disc[1] - sign * 0.3 * jitter(rng, 1, 0.3))
            end = (disc[0] + up * (bend + 0.1), disc[1] - sign * jitter(rng, 0.9, 0.1))
            line(canvas, disc, middle, (0.45, 0.08, 0.06), width=0.018)
            line(canvas, middle, end, (0.45, 0.08, 0.06), width=0.012)
    ellipse(canvas, disc, (jitter(rng, 0.16), jitter(rng, 0.14)), (0.98, 0.85, 0.55), soft=0.02)
    marks = [Mark("fundus_disc", facts["fundus_disc"], disc, 0.14)]
    ellipse(canvas, (0, disc[1] - sign * 0.55), (0.14, 0.14), (0.42, 0.16, 0.08), soft=0.08)
    facts["fundus_bleed"] = choose(rng, ("none", "haemorrhages"))
    if facts["fundus_bleed"] != "none":
        for _ in range(int(rng.integers(5, 10))):
            place, radius = rng.uniform(-0.55, 0.55, 2), float(rng.uniform(0.045, 0.075))
            ellipse(canvas, tuple(place), (radius, jitter(rng, radius, 0.3)), (0.3, 0.0, 0.02))
            marks.append(Mark("fundus_bleed", "haemorrhages", tuple(map(float, place)), radius))
    grain = (waves(rng, 0.05) + noise(rng, 0.015))[..., None]
    return Picture(grey(canvas * (1 + 2 * grain)), facts, marks)


def ultrasound(rng: Rng) -> Picture:
    """A sector full of speckle: a dark cyst, or a bright stone with its shadow."""
    marks, facts = [], {"modality": "ultrasound", "us_mass": choose(rng, ("none", "cyst", "stone"))}
    canvas = blank(jitter(rng, 0.4, 0.2)) + waves(rng, 0.12)
    ellipse(canvas, (float(rng.uniform(-0.5, 0.6)), 0), (0.05, 0.8), 0.6, soft=0.05)
    y, x = float(rng.uniform(-0.3, 0.25)), float(rng.uniform(-0.35, 0.35))
    if facts["us_mass"] == "cyst":
        radius = float(rng.uniform(0.15, 0.24))
        ellipse(canvas, (y, x), (radius, jitter(rng, radius)), 0.02, soft=0.03)
        marks.append(Mark("us_mass", "cyst", (y, x), radius))
    elif facts["us_mass"] == "stone":
        radius = float(rng.uniform(0.08, 0.12))
        line(canvas, (y, x), (1.0, x * 1.5), 0.04, width=radius * 0.9)
        ellipse(canvas, (y, x), (radius * 0.7, radius), 1.0)
        marks.append(Mark("us_mass", "stone", (y, x), radius))
    canvas *= 0.35 + 0.65 * np.sqrt(rng.random((256, 256), dtype=np.float32)) * 1.3
    return Picture(grey(canvas * sector()), facts, marks)


def sector() -> np.ndarray:
    """[256, 256] 0 or 1: the field of an ultrasound probe."""
    return _SECTOR


def _sector() -> np.ndarray:
    axis = (np.arange(256) + 0.5) / 128 - 1
    y, x = axis[:, None] + 1.25, axis[None, :]
    depth = np.hypot(y, x)
    return ((np.abs(np.arctan2(x, y)) < 0.62) & (depth > 0.25) & (depth < 2.15)).astype(np.float32)


_SECTOR = _sector()


def histology(rng: Rng) -> Picture:
    """Stained tissue: few or many nuclei, and perhaps a gland, a ring of nuclei around a white lumen."""
    marks, facts = [], {"modality": "histology", "histo_cells": choose(rng, ("sparse", "dense"))}
    canvas = np.empty((256, 256, 3), np.float32)
    canvas[:] = (jitter(rng, 0.9, 0.05), jitter(rng, 0.68, 0.08), jitter(rng, 0.8, 0.05))
    canvas += waves(rng, 0.08)[..., None]
    count = int(rng.integers(75, 100) if facts["histo_cells"] == "dense" else rng.integers(12, 25))
    violet = (0.32, 0.18, jitter(rng, 0.5))
    spots, radii = rng.uniform(-0.97, 0.97, (count, 2)), rng.uniform(0.035, 0.055, (count, 2))
    for spot, radius in zip(spots, radii, strict=True):
        ellipse(canvas, tuple(spot), tuple(radius), violet)
    facts["histo_gland"] = choose(rng, ("none", "gland"))
    if facts["histo_gland"] != "none":
        y, x = (float(v) for v in rng.uniform(-0.4, 0.4, 2))
        radius = float(rng.uniform(0.25, 0.33))
        marks.append(Mark("histo_gland", "gland", (y, x), radius))
        ellipse(canvas, (y, x), (radius + 0.08, radius + 0.08), (0.85, 0.5, 0.7))
        ellipse(canvas, (y, x), (radius - 0.08, radius - 0.08), (0.98, 0.96, 0.97))
        for angle in np.arange(0, 6.28, 0.35):
            spot = (y + radius * np.sin(angle), x + radius * np.cos(angle))
            ellipse(canvas, spot, (0.045, 0.045), violet)
    return Picture(grey(canvas + noise(rng, 0.02)[..., None]), facts, marks)


#: modality -> how to draw it
MODALITIES: dict[str, Callable[[Rng], Picture]] = {
    "chest X-ray": chest,
    "axial CT": ct,
    "brain MRI": mri,
    "fundus photograph": fundus,
    "ultrasound": ultrasound,
    "histology": histology,
}


def draw(rng: Rng, modality: str | None = None) -> Picture:
    """A picture of a modality, or of any."""
    return MODALITIES[modality or choose(rng, tuple(MODALITIES))](rng)
