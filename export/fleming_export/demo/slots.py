"""What a single frame shows, as a fixed list of slots, and the vectors that stand for it.

Each row of a frame that the tower hands to the language model speaks of one slot, and holds the code of its
value: a fixed random vector. The tower learns to write the codes, the language model to read them; neither
waits for the other, and the language model never sees a picture while it learns.
"""

from __future__ import annotations

import numpy as np

from .canvas import Picture
from .facts import IMAGE, VIDEO, VOLUME

_SIDES = ("left", "right")
#: slot -> its values. Of the last two, the scales, a frame shows an amount between the values' numbers.
SLOTS: dict[str, tuple[str, ...]] = {
    "modality": (*IMAGE["modality"].values, "instruments"),
    "device": tuple(IMAGE["cxr_device"].values),
    "device_side": _SIDES,
    "nodule": tuple(IMAGE["cxr_nodule"].values),
    "node": ("none", *VOLUME["vol_node"].values),
    "heart": tuple(IMAGE["cxr_heart"].values),
    "brain_lesion": tuple(IMAGE["mri_lesion"].values),
    "ventricles": tuple(IMAGE["mri_ventricles"].values),
    "disc": _SIDES,
    "retina": tuple(IMAGE["fundus_bleed"].values),
    "mass": tuple(IMAGE["us_mass"].values),
    "cells": tuple(IMAGE["histo_cells"].values),
    "gland": tuple(IMAGE["histo_gland"].values),
    "instruments": tuple(VIDEO["vid_count"].values),
    "entry": tuple(VIDEO["vid_side"].values),
    "depth": tuple("0123"),
    "radius": tuple("01234"),
}
SCALES = ("depth", "radius")
#: a frame's fact -> its slot
SLOT_OF = {
    "modality": "modality",
    "cxr_device": "device",
    "ct_device": "device",
    "vol_device": "device",
    "cxr_side": "device_side",
    "ct_side": "device_side",
    "vol_side": "device_side",
    "cxr_nodule": "nodule",
    "ct_lesion": "nodule",
    "slice_nodule": "nodule",
    "slice_node": "node",
    "cxr_heart": "heart",
    "mri_lesion": "brain_lesion",
    "mri_ventricles": "ventricles",
    "fundus_disc": "disc",
    "fundus_bleed": "retina",
    "us_mass": "mass",
    "histo_cells": "cells",
    "histo_gland": "gland",
    "vid_count": "instruments",
    "vid_side": "entry",
}
ROWS = 64  # of a frame
#: the slot of each row: a value is written three or four times
SLOT_OF_ROW = np.arange(ROWS) % len(SLOTS)

#: What is marked in single places, by number; nothing is number 0.
MARKS = (
    ("nothing", ""),
    ("small_node", "node"),
    ("chamber", "chamber"),
    *(("tip", side) for side in VIDEO["vid_side"].values),
    *(
        (slot, value)
        for slot in ("device", "nodule", "node", "brain_lesion", "disc", "retina", "mass", "gland")
        for value in SLOTS[slot]
        if value != "none"
    ),
)


def seen(picture: Picture) -> np.ndarray:
    """[slots] float32: 1 + the number of each slot's value, fractions between a scale's; 0 where a slot does
    not apply."""
    values = np.zeros(len(SLOTS), np.float32)
    for number, (slot, names) in enumerate(SLOTS.items()):
        shown = [value for fact, value in picture.facts.items() if SLOT_OF[fact] == slot]
        if slot == "node" and picture.facts["modality"] == "axial CT":
            shown = shown or ["none"]  # single slices are drawn without nodes
        if slot in picture.amounts:
            values[number] = 1 + np.clip(picture.amounts[slot], 0, len(names) - 1)
        elif shown:
            values[number] = 1 + names.index(shown[0])
    return values


def mark_number(fact: str, value: str) -> int:
    """The number of a mark in ``MARKS``."""
    return MARKS.index((SLOT_OF.get(fact, fact), value))


def codes(width: int) -> np.ndarray:
    """[slots, 1 + values, width] float32: half of a code's square is its slot's, half the value's."""
    rng = np.random.Generator(np.random.PCG64(17))
    most = 1 + max(map(len, SLOTS.values()))
    slots = rng.standard_normal((len(SLOTS), 1, width), np.float32)
    values = rng.standard_normal((len(SLOTS), most, width), np.float32)
    return 0.1 * (slots + values) / np.float32(2**0.5)
