"""Samples as the model takes them in training: ids as the runtime builds them, pixels, and what to learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch.utils.data import DataLoader, IterableDataset

from ..config import PROCESSOR
from ..prompt import IMAGE_CONTEXT, IMAGE_END, IMAGE_START, REASONING, STOP, SYSTEM
from ..source import open_checkpoint
from ..tokenizer import encode_json, read_tokenizer
from .canvas import Picture
from .clips import Clip
from .images import MODALITIES, draw
from .questions import TAG, Asked, Sample, Source, drill, sample
from .seeds import choose, generator
from .slots import ROWS, mark_number, seen
from .volumes import LOOKED_AT, Volume, window

SIDE = 448
#: samples of a kind in a batch: about as many tokens in each
SIZES = {
    "drill": 64,
    "image": 16,
    "compare": 14,
    "follow_up": 14,
    "text": 24,
    "volume": 6,
    "video": 10,
    "mixed": 6,
}


@dataclass
class Frames:
    """Single frames for the tower: ``pixels`` [N, 3, S, S] uint8; ``values`` [N, slots], what is seen;
    ``places`` [N, T], the number of the mark in each place."""

    pixels: torch.Tensor
    values: torch.Tensor
    places: torch.Tensor


@dataclass
class Talk:
    """Conversations: ``ids`` [n, tokens]; ``learn`` [n, tokens] bool, the tokens to predict; ``frames`` of
    all of them in order, as their source gives them."""

    kind: str
    ids: torch.Tensor
    learn: torch.Tensor
    frames: list


def prompt_text(case: Sample) -> str:
    """The prompt as the runtime writes it for the reasoning instruction, one placeholder a frame."""
    tags = "" if case.history else TAG * len(case.frames())
    turns = [*case.history, (f"{REASONING}\n{tags}{case.asked.question}", None)]
    text = f"<|im_start|>system\n{SYSTEM}{STOP}\n"
    for question, reply in turns:
        text += f"<|im_start|>user\n{question}{STOP}\n<|im_start|>assistant\n"
        text += f"{reply}{STOP}\n" if reply else ""
    return text.replace("<image>", IMAGE_START + IMAGE_CONTEXT * ROWS + IMAGE_END)


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

    def talk(self, kind: str, place: tuple[str, int, int], source: Source, size: int = 0) -> Talk:
        """The batch of a kind whose samples start at ``place``: split, seed, index."""
        split, seed, first = place
        places = [(split, seed, index) for index in range(first, first + (size or SIZES[kind]))]
        if kind == "drill":
            rows, frames = [self.drill(drill(*at)) for at in places], []
        else:
            cases = [sample(kind, at, source) for at in places]
            rows = [self.case(case, more=split == "train") for case in cases]
            frames = [frame for case in cases for frame in case.frames()]
        return Talk(kind, *self._pad(rows), frames)

    def _pad(self, rows: list[tuple[list[int], list[bool]]]) -> tuple[torch.Tensor, torch.Tensor]:
        """To the right, where causal attention does not look."""
        longest = max(len(ids) for ids, _ in rows)
        ids = torch.tensor([ids + [self.pad] * (longest - len(ids)) for ids, _ in rows])
        learn = torch.tensor([learn + [False] * (longest - len(learn)) for _, learn in rows])
        return ids, learn


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
        torch.tensor(PROCESSOR[key], device=values.device)[:, None, None]
        for key in ("image_mean", "image_std")
    )
    return (values.float() / 255 - mean) / deviation


def places(picture: Picture) -> torch.Tensor:
    """[T] the number of the mark that each place of the pixel shuffle looks at: near a mark's centre, or the
    nearest to it."""
    side = round(ROWS**0.5)
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    table = torch.zeros(side, side, dtype=torch.long)
    for mark in picture.marks:
        y, x = mark.centre
        distance = torch.hypot(axis[:, None] - y, axis[None] - x)
        near = distance <= max(0.8 * mark.radius, distance.min().item())
        table[near] = mark_number(mark.fact, mark.value)
    return table.flatten()


def frame(split: str, seed: int, index: int) -> Picture:
    """A single frame of any study, for the tower."""
    rng = generator(split, seed, 99, index)
    which = rng.random()
    if which < 0.5:
        return draw(rng, choose(rng, _PICTURES))
    if which < 0.6:
        picture = Volume(rng).slice(int(choose(rng, LOOKED_AT)))
        return replace(picture, pixels=window(picture.pixels))
    clip = Clip(rng)
    return clip.frame(int(rng.integers(clip.frames)))


#: What is hard to see comes more often.
_PICTURES = (*MODALITIES, "chest X-ray", "chest X-ray", "axial CT", "brain MRI")


def frames(split: str, seed: int, first: int, count: int) -> Frames:
    """``count`` frames from index ``first`` on."""
    pictures = [frame(split, seed, index) for index in range(first, first + count)]
    values = torch.from_numpy(np.stack([seen(picture) for picture in pictures]))
    return Frames(pixels(pictures), values, torch.stack([places(picture) for picture in pictures]))


class _Stream(IterableDataset):
    """Batches ``make(first)``, ``make(first + 1)`` …; each worker makes every n-th."""

    def __init__(self, make: Callable, first: int) -> None:
        self._make, self._first = make, first

    def __iter__(self) -> Iterator:
        worker = torch.utils.data.get_worker_info()
        torch.set_num_threads(1)
        number, step = self._first + (worker.id if worker else 0), worker.num_workers if worker else 1
        while True:
            yield self._make(number)
            number += step


def stream(make: Callable, first: int, workers: int) -> Iterator:
    """Endless batches made by other processes, in order."""
    return iter(DataLoader(_Stream(make, first), batch_size=None, num_workers=workers))
