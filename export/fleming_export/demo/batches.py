"""Samples as the model takes them in training: ids as the runtime builds them, pixels, and what to learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch.utils.data import DataLoader, IterableDataset

from ..checkpoint import open_checkpoint
from ..prompt import IMAGE_CONTEXT, IMAGE_END, IMAGE_START, REASONING, STOP, SYSTEM
from ..synthetic.sizes import PREPROCESSOR
from ..tokenizer import encode_json, read_tokenizer
from .canvas import Picture
from .clips import Clip
from .facts import LABELS
from .images import draw
from .questions import TAG, Asked, Sample, drill, sample
from .seeds import choose, generator
from .volumes import LOOKED_AT, Volume, window

TOKENS_PER_IMAGE = 64
SIDE = 448
#: samples of a kind in a batch
SIZES = {
    "frame": 32,
    "drill": 48,
    "image": 24,
    "compare": 12,
    "follow_up": 16,
    "text": 16,
    "volume": 6,
    "video": 8,
}
#: phase -> shares of the kinds
MIXES = {
    "vision": {"frame": 1.0},
    "images": {"frame": 0.1, "drill": 0.25, "image": 0.35, "compare": 0.13, "follow_up": 0.13, "text": 0.04},
    "all": {
        "frame": 0.08,
        "drill": 0.1,
        "image": 0.22,
        "compare": 0.15,
        "follow_up": 0.13,
        "text": 0.02,
        "volume": 0.16,
        "video": 0.14,
    },
}


@dataclass
class Batch:
    """``ids`` [n, tokens]; ``learn`` [n, tokens] bool, the tokens to predict; ``pixels`` [N, 3, S, S] uint8;
    ``labels`` [N, facts], -1 where a fact does not apply."""

    kind: str
    ids: torch.Tensor | None
    learn: torch.Tensor | None
    pixels: torch.Tensor | None
    labels: torch.Tensor | None


def prompt_text(case: Sample) -> str:
    """The prompt as the runtime writes it for the reasoning instruction, one placeholder a frame."""
    tags = "" if case.history else TAG * len(case.frames())
    turns = [*case.history, (f"{REASONING}\n{tags}{case.asked.question}", None)]
    text = f"<|im_start|>system\n{SYSTEM}{STOP}\n"
    for question, reply in turns:
        text += f"<|im_start|>user\n{question}{STOP}\n<|im_start|>assistant\n"
        text += f"{reply}{STOP}\n" if reply else ""
    return text.replace("<image>", IMAGE_START + IMAGE_CONTEXT * TOKENS_PER_IMAGE + IMAGE_END)


class Encoder:
    """Text to ids by the tokenizer that the exporter writes."""

    def __init__(self, folder: Path) -> None:
        ready = read_tokenizer(open_checkpoint(str(folder)))
        self._tokenizer = Tokenizer.from_str(encode_json(ready).decode())
        self.context, self.pad = ready.id(IMAGE_CONTEXT), ready.pad

    def ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def case(self, case: Sample, *, more: bool) -> tuple[list[int], list[bool]]:
        """A sample's ids, and which are replies'; with the further turns if ``more``."""
        turns = [(prompt_text(case), case.asked)]
        turns += [(f"\n{_turn(asked)}", asked) for asked in case.more] if more else []
        whole, learn = [], []
        for given, asked in turns:
            prompt, reply = self.ids(given), self.ids(asked.reply + STOP)
            whole += prompt + reply
            learn += [False] * len(prompt) + [True] * len(reply)
        return whole, learn

    def drill(self, asked: Asked) -> tuple[list[int], list[bool]]:
        """A question without system text and picture; only the answer is learned."""
        whole = self.ids(_turn(asked)) + self.ids(asked.reply + STOP)
        learned = len(self.ids(f"<answer>{asked.answer}</answer>{STOP}"))
        return whole, [False] * (len(whole) - learned) + [True] * learned


def _turn(asked: Asked) -> str:
    return f"<|im_start|>user\n{asked.question}{STOP}\n<|im_start|>assistant\n"


def pixels(pictures: list[Picture]) -> torch.Tensor:
    """[N, 3, 448, 448] uint8: the runtime's bicubic."""
    resized = [np.asarray(Image.fromarray(p.pixels).resize((SIDE, SIDE), Image.BICUBIC)) for p in pictures]
    whole = np.stack([np.repeat(a[None], 3, 0) if a.ndim == 2 else a.transpose(2, 0, 1) for a in resized])
    return torch.from_numpy(whole)


def normalise(values: torch.Tensor) -> torch.Tensor:
    """uint8 -> float32 by ImageNet's mean and deviation."""
    mean, deviation = (
        torch.tensor(PREPROCESSOR[key], device=values.device)[:, None, None]
        for key in ("image_mean", "image_std")
    )
    return (values.float() / 255 - mean) / deviation


def labels(pictures: list[Picture]) -> torch.Tensor:
    """[N, facts]"""
    places = {key: number for number, key in enumerate(LABELS)}
    table = torch.full((len(pictures), len(LABELS)), -1)
    for row, picture in zip(table, pictures, strict=True):
        for key, value in picture.facts.items():
            row[places[key]] = LABELS[key].index(value)
    return table


def frame(split: str, seed: int, index: int) -> Picture:
    """A single frame of any study, for the tower."""
    rng = generator(split, seed, 99, index)
    which = rng.random()
    if which < 0.6:
        return draw(rng)
    if which < 0.8:
        volume = Volume(rng)
        picture = volume.slice(int(choose(rng, LOOKED_AT)))
        return Picture(window(picture.pixels), picture.facts)
    clip = Clip(rng)
    return clip.frame(int(rng.integers(clip.frames)))


def make(encoder: Encoder, kind: str, place: tuple[str, int, int], size: int = 0) -> Batch:
    """The batch of a kind whose samples start at ``place``: split, seed, index."""
    split, seed, first = place
    indices = range(first, first + (size or SIZES[kind]))
    if kind == "frame":
        pictures = [frame(split, seed, index) for index in indices]
        return Batch(kind, None, None, pixels(pictures), labels(pictures))
    if kind == "drill":
        return Batch(
            kind, *_pad(encoder, [encoder.drill(drill(split, seed, i)) for i in indices]), None, None
        )
    cases = [sample(kind, split, seed, index) for index in indices]
    pictures = [picture for case in cases for picture in case.frames()]
    ids, learn = _pad(encoder, [encoder.case(case, more=split == "train") for case in cases])
    seen = (pixels(pictures), labels(pictures)) if pictures else (None, None)
    return Batch(kind, ids, learn, *seen)


def _pad(encoder: Encoder, rows: list[tuple[list[int], list[bool]]]) -> tuple[torch.Tensor, torch.Tensor]:
    """To the right, where causal attention does not look."""
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [encoder.pad] * (longest - len(ids)) for ids, _ in rows])
    learn = torch.tensor([learn + [False] * (longest - len(learn)) for _, learn in rows])
    return ids, learn


class _Stream(IterableDataset):
    """Batches of a phase's mix, from number ``first`` on; each worker makes every n-th."""

    def __init__(self, encoder: Encoder, phase: str, seed: int, first: int) -> None:
        self._encoder, self._mix, self._seed, self._first = encoder, MIXES[phase], seed, first

    def __iter__(self) -> Iterator[Batch]:
        worker = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        number, step = self._first + (worker.id if worker else 0), worker.num_workers if worker else 1
        while True:
            rng = generator("train", self._seed, 98, number)
            kind = str(rng.choice(list(self._mix), p=np.array(list(self._mix.values()))))
            yield make(self._encoder, kind, ("train", self._seed, number * 64))
            number += step


def stream(encoder: Encoder, phase: str, place: tuple[int, int], workers: int) -> Iterator[Batch]:
    """Endless batches of a phase from ``place``: seed and number of the first."""
    return iter(DataLoader(_Stream(encoder, phase, *place), batch_size=None, num_workers=workers))
