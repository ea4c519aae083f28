"""Small golden files for the runtime's tests: pictures drawn here, and what the torch reference makes of
them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np

from ..config import read_config, settled
from ..contract import MANIFEST_FILE
from ..package import versions
from ..pipeline import export
from ..source import open_checkpoint
from ..synthetic.inputs import chest, small_clip
from .prompts import Case, Preparer, Prompt

STEPS = 32
#: Every n-th row of the image embeddings is kept.
ROW_STRIDE = 16


def cases() -> list[tuple[Case, list[str]]]:
    """Each case with the names of the files its pictures are written to."""
    clip = small_clip()
    frames = [f"frames/{number:02}.png" for number in range(len(clip))]
    return [
        (Case("text", "List three causes of chest pain.", reasoning=False), []),
        (Case("image", "Is there a nodule in the right lung?", (chest(130, 150),)), ["chest.png"]),
        (Case("frames", "Please describe the video.", tuple(clip)), frames),
    ]


def write_goldens(given: str, out: Path) -> None:
    """Writes the inputs, and for each case ``NAME.json`` and, with pictures, ``NAME.image_embeds.npy``."""
    from PIL import Image

    from .reference import LanguageReference, VisionReference

    checkpoint = open_checkpoint(given)
    config = settled(read_config(checkpoint.json("config.json")), checkpoint.shapes())
    with tempfile.TemporaryDirectory() as folder:  # only for the prompt pieces and ids in its manifest
        package = export(given, Path(folder) / "package")
        manifest = json.loads((package / MANIFEST_FILE).read_text(encoding="utf-8"))
    preparer = Preparer(checkpoint.folder, manifest)
    vision, language = VisionReference(checkpoint, config), LanguageReference(checkpoint, config)
    (out / "frames").mkdir(parents=True, exist_ok=True)
    for case, files in cases():
        for file, picture in zip(files, case.pictures, strict=True):
            Image.fromarray(picture).save(out / file, optimize=True)
        prompt = preparer.prepare(case)
        rows = np.zeros((1, config.language.hidden), np.float32)
        if files:
            rows = vision.embed(prompt.pixels).reshape(-1, config.language.hidden)
            np.save(out / f"{case.name}.image_embeds.npy", rows[::ROW_STRIDE])
        logits = language.generate(prompt, rows, STEPS)
        golden = {**_asked(case, files, prompt), **_answered(logits, manifest, preparer)}
        golden["reference"] = versions(("torch", "transformers", "pillow", "numpy"))
        path = out / f"{case.name}.json"
        path.write_text(json.dumps(golden, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _asked(case: Case, files: list[str], prompt: Prompt) -> dict:
    return {
        "case": case.name,
        "question": case.question,
        "reasoning": case.reasoning,
        "files": files,
        "prompt": prompt.text,
        "input_ids": prompt.ids.tolist(),
        "pixels": {
            "shape": list(prompt.pixels.shape),
            "sha256_u8": hashlib.sha256(np.ascontiguousarray(prompt.resized).tobytes()).hexdigest(),
            "sha256_f32": hashlib.sha256(np.ascontiguousarray(prompt.pixels, "<f4").tobytes()).hexdigest(),
        },
        "image_embeds_row_stride": ROW_STRIDE,
    }


def _answered(logits: np.ndarray, manifest: dict, preparer: Preparer) -> dict:
    """Greedy ids up to and with the end token, and how sure each was."""
    ids = logits.argmax(1).tolist()
    eos = manifest["tokens"]["eos"]
    ids = ids[: ids.index(eos) + 1] if eos in ids else ids
    order = np.argsort(-logits[0], kind="stable")[:50]
    two = np.sort(logits, axis=1)[:, -2:]
    return {
        "first_logits": {"ids": order.tolist(), "values": [float(logits[0, i]) for i in order]},
        "generated": {
            "ids": ids,
            "top": [float(best) for _, best in two[: len(ids)]],
            "margin": [float(best - second) for second, best in two[: len(ids)]],
            "stopped": ids[-1] == eos,
            "text": preparer.decode(ids),
        },
    }
