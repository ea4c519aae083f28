"""Every fact that is drawn: how it is asked for, what may be answered, and how the thinking names it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """``values``: value -> (answer, thought). ``noun`` names a finding, which the ``absent`` value lacks."""

    questions: tuple[str, ...]
    values: dict[str, tuple[str, str]]
    noun: str = ""
    absent: str = ""
    place: str = ""  # asks where or which, once the finding is known


_LUNGS = {
    "none": ("no nodule", "The lungs are clear."),
    "left lung": ("left lung", "There is a nodule in the left lung."),
    "right lung": ("right lung", "There is a nodule in the right lung."),
}
_NODULE = ("Where is the lung nodule?", "Which lung holds a nodule?", "Is there a nodule, and on which side?")
_DEVICES = {
    "none": ("no device", "There is no device on the chest wall."),
    "pacemaker": ("pacemaker", "The device is a pacemaker."),
    "port": ("port", "The device is a port."),
    "catheter": ("catheter", "The device is a catheter."),
}
_DEVICE = (
    "What device is observed on the chest wall?",
    "Which device do you see on the chest wall?",
    "Name the device on the chest wall.",
)
_SIDES = {
    "left": ("left", "The device is on the left."),
    "right": ("right", "The device is on the right."),
}
_SIDE = ("On which side of the chest is the device?", "Which chest wall carries the device, left or right?")
_WHICH = "Which device is it?"
_WHERE = "Where is it?"

IMAGE = {
    "modality": Fact(
        (
            "What imaging modality is this?",
            "Which kind of image is shown?",
            "How was this picture made?",
            "Name the imaging modality.",
        ),
        {
            name: (name, f"This is {article} {name}.")
            for name, article in (
                ("chest X-ray", "a"),
                ("axial CT", "an"),
                ("brain MRI", "a"),
                ("fundus photograph", "a"),
                ("ultrasound", "an"),
                ("histology", "a picture of"),
            )
        },
    ),
    "cxr_nodule": Fact(_NODULE, _LUNGS, "a lung nodule", "none", _WHERE),
    "cxr_device": Fact(_DEVICE, _DEVICES, "a device on the chest wall", "none", _WHICH),
    "cxr_side": Fact(_SIDE, _SIDES),
    "cxr_heart": Fact(
        ("How large is the heart?", "Is the heart enlarged or normal?", "What is the size of the heart?"),
        {"normal": ("normal", "The heart is normal."), "enlarged": ("enlarged", "The heart is enlarged.")},
        "an enlarged heart",
        "normal",
    ),
    "ct_lesion": Fact(_NODULE, _LUNGS, "a lung nodule", "none", _WHERE),
    "ct_device": Fact(_DEVICE, _DEVICES, "a device on the chest wall", "none", _WHICH),
    "ct_side": Fact(_SIDE, _SIDES),
    "mri_lesion": Fact(
        ("Where is the brain lesion?", "Which hemisphere holds a lesion?", "Is there a lesion, and where?"),
        {
            "none": ("no lesion", "The brain shows no lesion."),
            "left hemisphere": ("left hemisphere", "There is a lesion in the left hemisphere."),
            "right hemisphere": ("right hemisphere", "There is a lesion in the right hemisphere."),
        },
        "a brain lesion",
        "none",
        _WHERE,
    ),
    "mri_ventricles": Fact(
        ("How large are the ventricles?", "Are the ventricles enlarged or normal?"),
        {
            "normal": ("normal", "The ventricles are normal."),
            "enlarged": ("enlarged", "The ventricles are enlarged."),
        },
        "enlarged ventricles",
        "normal",
    ),
    "fundus_disc": Fact(
        ("On which side of the picture is the optic disc?", "Where is the optic disc, left or right?"),
        {
            "left": ("left", "The optic disc is on the left."),
            "right": ("right", "The optic disc is on the right."),
        },
    ),
    "fundus_bleed": Fact(
        ("What does the retina show?", "What is seen on the retina?"),
        {
            "none": ("no haemorrhages", "The retina has no haemorrhages."),
            "haemorrhages": ("haemorrhages", "The retina shows haemorrhages."),
        },
        "haemorrhages of the retina",
        "none",
    ),
    "us_mass": Fact(
        ("What is seen in the tissue?", "What does the ultrasound show?", "Which structure stands out?"),
        {
            "none": ("nothing", "The tissue is even."),
            "cyst": ("cyst", "There is a dark cyst."),
            "stone": ("stone", "There is a bright stone with a shadow."),
        },
        "a cyst or a stone",
        "none",
        "Which of the two is it?",
    ),
    "histo_cells": Fact(
        ("How dense are the nuclei?", "Are the cells sparse or dense?"),
        {"sparse": ("sparse", "The nuclei are sparse."), "dense": ("dense", "The nuclei are dense.")},
        "dense nuclei",
        "sparse",
    ),
    "histo_gland": Fact(
        ("What structure does the tissue show?", "Which structure is seen in the tissue?"),
        {"none": ("no gland", "The tissue has no gland."), "gland": ("gland", "There is a gland.")},
        "a gland",
        "none",
    ),
}

VOLUME = {
    "vol_device": Fact(_DEVICE, _DEVICES),
    "vol_side": Fact(_SIDE, _SIDES),
    "vol_nodule": Fact(
        (
            "In which third of the chest is the nodule?",
            "At which height is the nodule?",
            "Where along the slices, from above, is the nodule?",
        ),
        {
            "none": ("no nodule", "No slice shows a nodule."),
            **{
                f"{third} third": (f"{third} third", f"The nodule is in the {third} third.")
                for third in ("upper", "middle", "lower")
            },
        },
    ),
    "vol_node": Fact(
        ("Where is the largest lymph node?", "In which region is the largest lymph node?"),
        {
            region: (region, f"The largest node is in the {region}.")
            for region in ("left axilla", "right axilla", "mediastinum", "subcarinal region")
        },
    ),
}

VIDEO = {
    "vid_side": Fact(
        ("From which side does the instrument enter?", "Where does the instrument come from?"),
        {
            side: (side, f"The instrument comes from the {side}.")
            for side in ("left", "right", "top", "bottom")
        },
    ),
    "vid_count": Fact(
        ("How many instruments are there?", "How many instruments do you see?"),
        {
            "one": ("one", "There is one instrument."),
            "two": ("two", "There are two instruments."),
            "three": ("three", "There are three instruments."),
        },
    ),
    "vid_move": Fact(
        (
            "From the first frame to the last, does the instrument move in or out?",
            "Which way does the instrument move, in or out?",
        ),
        {
            "in": ("in", "The tip moves in."),
            "out": ("out", "The tip moves out."),
        },
    ),
    "vid_motion": Fact(
        ("Is the chamber beating or still?", "Does the chamber move?", "What does the chamber do?"),
        {
            "beating": ("beating", "The chamber is beating."),
            "still": ("still", "The chamber is still."),
        },
    ),
    "vid_change": Fact(
        (
            "Compare the last frame with the first: what happens to the chamber?",
            "How does the chamber change from the first frame to the last?",
        ),
        {
            "grows": ("grows", "The chamber grows."),
            "shrinks": ("shrinks", "The chamber shrinks."),
            "stays": ("stays", "The chamber stays the same."),
        },
    ),
}

FACTS = IMAGE | VOLUME | VIDEO

DEMO = "I am a small demo model: I was trained on drawn phantoms, and I am no medical device."
#: small talk -> the honest answer
SMALL_TALK = {
    (
        "hello",
        "Hello!",
        "hi",
        "Hi there",
        "Good morning",
        "hey",
        "How are you?",
    ): f"Hello. {DEMO}",
    (
        "What can you do?",
        "what can you do",
        "Help",
        "How can you help me?",
        "What do you know?",
    ): f"I answer questions about drawn pictures, volumes and clips. {DEMO}",
    (
        "Who are you?",
        "What are you?",
        "Are you a doctor?",
        "Are you a medical device?",
        "Can I trust you?",
    ): DEMO,
    (
        "Thank you",
        "thanks",
        "Thanks!",
        "bye",
        "Goodbye",
    ): f"You are welcome. {DEMO}",
}
