"""Cases as files: pictures, volumes, clips, and ``cases.jsonl``, one object a line. Without torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..errors import ExportError
from ..synthetic.inputs import encode_clip
from . import dicom, nifti
from .clips import RATE, Clip
from .facts import FACTS
from .images import draw
from .questions import KINDS, Sample, Study, about, sample
from .seeds import generator
from .volumes import Volume

#: example -> modality, and what it has to show
EXAMPLES = {
    "chest.png": ("chest X-ray", {"cxr_device": "pacemaker", "cxr_nodule": "right lung"}),
    "brain.png": ("brain MRI", {"mri_lesion": "left hemisphere"}),
    "fundus.png": ("fundus photograph", {"fundus_bleed": "haemorrhages"}),
    "fundus_clear.png": ("fundus photograph", {"fundus_bleed": "none"}),
    "tissue.png": ("ultrasound", {"us_mass": "cyst"}),
}

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


def write_examples(out: Path) -> Path:
    """Writes a few inputs with names that say what they are, and ``out/cases.jsonl`` that asks about them."""
    from PIL import Image

    rng = generator("test", 0, 1)
    out.mkdir(parents=True, exist_ok=True)
    pictures = {}
    for name, (modality, wanted) in EXAMPLES.items():
        picture = _first(lambda: draw(rng, modality), wanted)  # noqa: B023
        pictures[name] = picture
        Image.fromarray(picture.pixels).save(out / name, optimize=True)
    volume = _first(lambda: Volume(rng), {"vol_device": "pacemaker", "vol_nodule": "lower third"})
    coarse = volume.array() // 10 * 10  # steps that no eye sees halve the file
    np.savez_compressed(out / "volume.npz", coarse)
    _write_scans(out, coarse[:, ::2, ::2], (9.0, 2.7, 2.7))
    clip = _first(lambda: Clip(rng), {"vid_count": "one", "vid_side": "left", "vid_move": "in"})
    encode_clip(out / "clip.mp4", clip.array(), RATE)
    path = out / "cases.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for line in _questions(rng, pictures, volume, clip):
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def _write_scans(out: Path, slices: np.ndarray, spacing: tuple[float, float, float]) -> None:
    """The same patient, smaller: as a scanner stores the series, and as its software exports it."""
    (out / "chest.nii.gz").write_bytes(nifti.encode(slices, spacing))
    (out / "chest_ct").mkdir(exist_ok=True)
    for number, file in enumerate(dicom.series(slices, spacing), 1):
        (out / "chest_ct" / f"IM{number:04d}").write_bytes(file)


def _first(draws: Callable[[], Study], wanted: dict[str, str]) -> Study:
    """The first study of which all this is true."""
    while True:
        study = draws()
        if all(study.facts.get(key) == value for key, value in wanted.items()):
            return study


def _questions(rng: np.random.Generator, pictures: dict, volume: Volume, clip: Clip) -> Iterator[dict]:
    """A case for each fact that an example is good for."""
    asked = [("image", {"images": [name]}, each, each.facts) for name, each in pictures.items()]
    asked += [("volume", {"volume": "volume.npz"}, volume, volume.facts)]
    asked += [("video", {"video": "clip.mp4"}, clip, clip.facts)]
    # In the order of the patient, from the feet up, no slice tells its height as the model learned it.
    facts = [fact for fact in volume.facts if fact != "vol_nodule"]
    asked += [("volume", {"volume": name}, volume, facts) for name in ("chest.nii.gz", "chest_ct")]
    for kind, inputs, study, facts in asked:
        for fact in facts:
            question = about(rng, FACTS[fact], study.facts[fact])
            stem = next(iter(inputs.values()))
            name = f"{stem[0] if isinstance(stem, list) else stem}: {fact}"
            texts = {"question": question.question, "answer": question.answer}
            yield {"id": name, "kind": kind, "fact": fact, **inputs, **texts}
