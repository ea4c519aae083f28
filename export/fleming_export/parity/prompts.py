"""What the parity check and the goldens ask, and how it becomes ids: with the slow tokenizer and image
processor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ExportError, to_install
from ..files import read_json
from ..recipe import Recipe, check_runs_here


@dataclass(frozen=True)
class Case:
    """A question about some pictures, which are [height, width, 3] uint8."""

    name: str
    question: str
    pictures: tuple[np.ndarray, ...] = ()
    reasoning: bool = True


@dataclass(frozen=True)
class Prompt:
    """A case as the model sees it: ids [N], splice [N], and the pictures before and after normalising."""

    text: str
    ids: np.ndarray
    splice: np.ndarray
    resized: np.ndarray  # [tiles, 3, S, S] uint8
    pixels: np.ndarray  # [tiles, 3, S, S] float32


class Preparer:
    """Turns cases into prompts, by a checkpoint's own files and a package's prompt pieces."""

    def __init__(self, checkpoint: Path, manifest: dict) -> None:
        from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer

        processor = _image_processor()
        if (checkpoint / "vocab.json").is_file():
            self._tokenizer = Qwen2Tokenizer.from_pretrained(checkpoint)
        else:
            self._tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(checkpoint / "tokenizer.json"))
        path = checkpoint / "preprocessor_config.json"
        if path.is_file() and read_json(path).get("crop_size"):
            self._processor = processor.from_pretrained(checkpoint)
        else:  # none, or a native one: the same for a picture that has the size of a tile
            constants, size = manifest["normalization"], manifest["vision"]["image_size"]
            sizes = {"size": {"shortest_edge": size}, "crop_size": {"height": size, "width": size}}
            means = {"image_mean": constants["mean"], "image_std": constants["std"]}
            self._processor = processor(**sizes, **means, rescale_factor=constants["rescale"])
        self._manifest = manifest

    def prepare(self, case: Case) -> Prompt:
        pieces, tokens = self._manifest["prompt"], self._manifest["tokens"]
        tag = pieces["placeholder"] + "\n"
        question = tag * len(case.pictures) + case.question
        if case.reasoning:
            question = pieces["instructions"]["reasoning"] + "\n" + question
        text = pieces["system_start"] + pieces["system"] + pieces["turn_end"]
        text += pieces["user_start"] + question + pieces["turn_end"] + pieces["assistant_start"]
        context = pieces["image_context"] * self._manifest["vision"]["tokens_per_tile"]
        expanded = text.replace(pieces["placeholder"], pieces["image_start"] + context + pieces["image_end"])
        ids = np.array(self._tokenizer(expanded, add_special_tokens=False)["input_ids"])
        is_image = ids == tokens["image_context"]
        splice = np.where(is_image, np.cumsum(is_image) - 1, -1)
        return Prompt(text, ids, splice, *self._pixels(case.pictures))

    def decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True)

    def compare_ids(self, package: Path, texts: list[str]) -> int:
        """How many texts the package's tokenizer.json turns into other ids."""
        from tokenizers import Tokenizer

        fast = Tokenizer.from_file(str(package / "tokenizer.json"))
        pairs = (
            (fast.encode(text, add_special_tokens=False).ids, self._tokenizer(text)["input_ids"])
            for text in texts
        )
        return sum(got != wanted for got, wanted in pairs)

    def _pixels(self, pictures: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
        from PIL import Image

        size = self._manifest["vision"]["image_size"]
        if not pictures:
            return np.zeros((0, 3, size, size), np.uint8), np.zeros((0, 3, size, size), np.float32)
        resized = [Image.fromarray(picture).resize((size, size)) for picture in pictures]
        pixels = self._processor(images=resized, return_tensors="np")["pixel_values"].astype(np.float32)
        return np.stack([np.asarray(image) for image in resized]).transpose(0, 3, 1, 2), pixels


def _image_processor() -> type:
    """The image processor that counts in NumPy: version 5 of transformers counts in torch under its old name,
    and rounds otherwise."""
    import transformers

    numpy_one = getattr(transformers, "CLIPImageProcessorPil", None)
    return numpy_one or transformers.CLIPImageProcessor


def require(recipe: Recipe | None = None) -> None:
    """Reports what the check misses before any work is done."""
    check_runs_here(recipe)
    import importlib.metadata

    for name, wanted in (("torch", ""), ("transformers", "4.57.6"), ("onnxruntime", ""), ("pillow", "")):
        try:
            got = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            got = "not installed"
        if got == "not installed" or (wanted and got != wanted):
            hint = to_install("verify")
            raise ExportError(name, f"version {wanted}" if wanted else "the library, for --verify", got, hint)
