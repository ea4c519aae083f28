"""What both packages read, as ids, splice map and pixels: questions written here, the cases of a file, or
what the runtime has seen.

Pictures are opened here. Clips and volumes are not: their one reader is the runtime's, whose traces say what
it made of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ExportError
from ..synthetic.inputs import chest

QUESTIONS = [
    ("List three causes of chest pain.", 0),
    ("Is there a nodule in the right lung?", 1),
    ("What differs between the two images?", 2),
    ("Please describe the picture. What organ is shown, and is anything abnormal?", 1),
    ("A patient of 62 years has had a cough for three weeks. Which finding fits best?", 1),
    ("Compare the heart's width with that of the chest in both pictures, the first being older.", 2),
    ("How does computed tomography differ from magnetic resonance imaging?", 0),
    ("Where does the tip of the catheter lie, and is it where it should be?", 1),
    ("Name the modality and the plane, then every device that is seen, one on a line.", 1),
    ("Which of the two was taken after the operation? Give your reasons in one sentence.", 2),
    ("What would you look for in an ultrasound clip of a gallbladder?", 0),
    ("Is the picture good enough for a diagnosis? If it is not, say what is wrong with it.", 1),
]


@dataclass(frozen=True)
class Sequence:
    """A prompt: ids [N], splice [N], and the pixels [pictures, 3, S, S] that its rows come from."""

    kind: str
    ids: np.ndarray
    splice: np.ndarray
    pixels: np.ndarray

    @property
    def text(self) -> int:
        """Where the text after the last picture begins; 1 without pictures."""
        places = np.flatnonzero(self.splice >= 0)
        return int(places.max()) + 1 if len(places) else 1


class Writer:
    """Writes sequences in the words of a package."""

    def __init__(self, package: Path, manifest: dict) -> None:
        from tokenizers import Tokenizer

        self._manifest = manifest
        self._tokenizer = Tokenizer.from_file(str(package / "tokenizer.json"))

    def questions(self, count: int | None = None) -> Iterator[Sequence]:
        """The questions written here, about drawn pictures."""
        size = self._manifest["vision"]["image_size"]
        drawn = [chest(size, size), np.ascontiguousarray(chest(size, size)[:, ::-1] // 2)]
        tag = self._manifest["prompt"]["placeholder"] + "\n"
        for question, pictures in QUESTIONS[:count]:
            yield self._sequence("questions", [(tag * pictures + question, "")], drawn[:pictures])

    def cases(self, path: Path) -> Iterator[Sequence]:
        """Cases about pictures or about nothing in a file that ``fleming eval`` reads, asked as it does."""
        from PIL import Image

        pieces = self._manifest["prompt"]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                case = json.loads(line)
                if case.get("volume") or case.get("video"):
                    continue
                files, history = case.get("images") or [], case.get("history") or []
                kind, question = case.get("kind") or "cases", case["question"]
            except (ValueError, KeyError, AttributeError) as error:
                wanted = "an object with question, and images and history if any"
                raise ExportError(f"{path.name}, line {number}", wanted, repr(error)) from None
            pictures = [np.asarray(Image.open(path.parent / name).convert("RGB")) for name in files]
            tags = "" if history else (pieces["placeholder"] + "\n") * len(files)
            asked = f"{pieces['instructions']['reasoning']}\n{tags}{question}"
            yield self._sequence(kind, [*history, (asked, "")], pictures)

    def ask(self, question: str, pictures: list[np.ndarray], instruction: str = "direct") -> Sequence:
        """A question that begins a conversation, as the runtime asks it, ``direct`` or ``reasoning``."""
        pieces = self._manifest["prompt"]
        before = "" if instruction == "direct" else pieces["instructions"][instruction] + "\n"
        tags = (pieces["placeholder"] + "\n") * len(pictures)
        return self._sequence("question", [(before + tags + question, "")], pictures)

    def _sequence(self, kind: str, turns: list, pictures: list[np.ndarray]) -> Sequence:
        pieces = self._manifest["prompt"]
        text = pieces["system_start"] + pieces["system"] + pieces["turn_end"]
        for question, reply in turns:
            text += pieces["user_start"] + question + pieces["turn_end"] + pieces["assistant_start"]
            text += reply + pieces["turn_end"] if reply else ""
        context = pieces["image_context"] * self._manifest["vision"]["tokens_per_tile"]
        text = text.replace(pieces["placeholder"], pieces["image_start"] + context + pieces["image_end"])
        ids = np.array(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return Sequence(kind, ids, _splice(ids, self._manifest), self._pixels(pictures))

    def _pixels(self, pictures: list[np.ndarray]) -> np.ndarray:
        """[height, width, 3] uint8 each -> [pictures, 3, S, S] normalised."""
        from PIL import Image

        size, constants = self._manifest["vision"]["image_size"], self._manifest["normalization"]
        resized = [np.asarray(Image.fromarray(p).resize((size, size), Image.BICUBIC)) for p in pictures]
        if not resized:
            return np.zeros((0, 3, size, size), np.float32)
        # a byte times the factor in double precision, rounded to single: as transformers does
        pixels = (np.stack(resized) * constants["rescale"]).astype(np.float32)
        pixels = (pixels - np.float32(constants["mean"])) / np.float32(constants["std"])
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))


def traced(folder: Path, manifest: dict) -> Iterator[Sequence]:
    """The questions whose traces lie in the folders of ``folder``, as the runtime asked them."""
    found = sorted(folder.glob("*/input_ids.npy"))
    if not found:
        raise ExportError(str(folder), "folders that fleming eval --trace has written", "none")
    for path in found:
        ids, pixels = (np.load(path.with_name(name)) for name in (path.name, "pixel_values.npy"))
        splice = _splice(ids, manifest)
        rows = len(pixels) * manifest["vision"]["tokens_per_tile"]
        places = int(splice.max()) + 1
        if places != rows:
            raise ExportError(str(path), f"{rows} places of image rows, as there are pixels", places)
        yield Sequence(path.parent.name, ids, splice, pixels)


def _splice(ids: np.ndarray, manifest: dict) -> np.ndarray:
    """The rows of the pictures in their order, -1 for text."""
    is_image = ids == manifest["tokens"]["image_context"]
    return np.where(is_image, np.cumsum(is_image) - 1, -1)
