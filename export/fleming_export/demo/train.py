"""Trains the demo model from scratch, in two parts that do not wait for each other and a short third.

The tower learns to write the codes of what single frames show (``slots.py``), the language model to answer
from codes; together, it gets used to what the tower really writes. Each part has a time, a state
``OUT/PART.pt`` and a curve ``OUT/PART.csv`` of its own; mixes and rates follow the share of the time that is
over, so that a faster machine sees more samples. Every few minutes the state is saved, and ``--resume`` goes
on.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..errors import ExportError
from .batches import SIZES, Encoder, Frames, Talk, frames, normalise, pixels, stream
from .config import write_files
from .gallery import Gallery, fill
from .model import Codes, DemoModel, tensors
from .questions import DRAWN, Source
from .seeds import generator
from .slots import MARKS

#: part -> phase -> share of the part's time at which it ends, and the mix of batches
PHASES: dict[str, dict[str, tuple[float, dict[str, float]]]] = {
    "tower": {"tower": (1.0, {"frames": 1.0})},
    "language": {
        "words": (0.05, {"drill": 0.9, "text": 0.1}),
        "pictures": (0.4, {"drill": 0.04, "image": 0.46, "compare": 0.3, "follow_up": 0.14, "text": 0.06}),
        "all": (
            1.0,
            {
                "image": 0.12,
                "compare": 0.24,
                "follow_up": 0.07,
                "text": 0.05,
                "volume": 0.22,
                "video": 0.2,
                "mixed": 0.1,
            },
        ),
    },
    "together": {
        "together": (
            1.0,
            {
                "video": 0.6,
                "image": 0.1,
                "compare": 0.12,
                "follow_up": 0.05,
                "volume": 0.08,
                "text": 0.05,
            },
        )
    },
}
FRAMES = 32  # in a batch of the tower
#: Muon's for matrices, AdamW's for everything else. At the tower's rates the language model unlearns between
#: batches what it has learned.
RATES = {"tower": (0.012, 0.0012), "language": (0.006, 0.0008), "together": (0.001, 0.0002)}
DECAY_FROM = 0.6  # share of a part's time
HOURS = {"tower": 1.75, "language": 1.35, "together": 0.15}  # on a core each; together after the others
NOISE = 0.3  # on the codes that the language model learns from, in their deviations


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    part: str = "tower"
    hours: float = HOURS["tower"]
    device: str = "cpu"
    seed: int = 1
    workers: int = 1
    save_every: float = 180.0  # seconds


class Trainer:
    """The state of a part's training, and its steps."""

    def __init__(self, out: Path, options: Options) -> None:
        self.out, self.options = out, options
        torch.manual_seed(options.seed)
        path = out / "checkpoint"
        path.mkdir(parents=True, exist_ok=True)
        self.config = (
            json.loads((path / "config.json").read_text(encoding="utf-8"))
            if (path / "config.json").is_file()
            else write_files(path)
        )
        self.model = DemoModel(self.config).to(options.device)
        if not (path / "model.safetensors").exists():
            self.export()  # a checkpoint is complete from the start
        self.encoder = Encoder(path)
        self.codes = Codes(self.config["hidden_size"]).to(options.device)
        # trains the tower, and is not exported: what is marked in each place
        self.marks_head = nn.Linear(self.model.mlp1[0].normalized_shape[0], len(MARKS)).to(options.device)
        self.mark_weights = torch.ones(len(MARKS), device=options.device)
        self.mark_weights[0] = 0.1  # nearly all places show nothing
        model = self.model
        parts = {
            "tower": {
                "vision_model": model.vision_model,
                "mlp1": model.mlp1,
                "marks_head": self.marks_head,
            },
            "language": {"language_model": model.language_model},
        }
        parts["together"] = parts["language"]  # the tower looks, and stays as it is
        self.learns = nn.ModuleDict(parts[options.part])
        self.optimisers = _optimisers(self.learns, options.part)
        self.step, self.elapsed = 0, 0.0

    def resume(self) -> None:
        """Goes on from the part's last save."""
        state = self._state(self.options.part)
        self.learns.load_state_dict(state["learned"])
        for optimiser, each in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(each)
        self.step, self.elapsed = state["step"], state["elapsed"]

    def _state(self, part: str) -> dict:
        path = self.out / f"{part}.pt"
        if not path.is_file():
            hint = f"train --part {part} first"
            raise ExportError(str(path), f"what the part {part} has learned", "no such file", hint)
        return torch.load(path, map_location=self.options.device, weights_only=True)

    def save(self) -> None:
        """As a whole or not at all."""
        state = {
            "learned": self.learns.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step,
            "elapsed": self.elapsed,
        }
        path = self.out / f"{self.options.part}.pt"
        torch.save(state, path.with_suffix(".partial"))
        os.replace(path.with_suffix(".partial"), path)

    def join(self) -> None:
        """Takes over the other part's last save, if there is one."""
        others = ("together", "language") if self.options.part == "tower" else ("tower",)
        saved = [other for other in others if (self.out / f"{other}.pt").is_file()]
        if saved:
            self.take(saved[0])

    def take(self, part: str) -> None:
        """Takes over what a part has learned."""
        learned = self._state(part)["learned"]
        named = {name: value for name, value in learned.items() if not name.startswith("marks_head.")}
        self.model.load_state_dict(named, strict=False)

    def export(self) -> Path:
        """Writes model.safetensors of both parts into the checkpoint folder, which the exporter takes."""
        self.join()
        write_safetensors(self.out / "checkpoint" / "model.safetensors", tensors(self.model))
        return self.out / "checkpoint"

    def look(self, batch: Frames) -> tuple[torch.Tensor, dict[str, float]]:
        """The tower's loss, and figures of the batch: the share of slots that apply and are right, and of
        marks."""
        device = self.options.device
        shuffled = self.model.shuffled(normalise(batch.pixels.to(device)))
        rows, marks = self.model.mlp1(shuffled).float(), self.marks_head(shuffled).float()
        values, places = batch.values.to(device), batch.places.to(device)
        loss, right = self.codes.loss(rows, values)
        loss = loss + F.cross_entropy(marks.flatten(0, 1), places.flatten(), self.mark_weights)
        found = (marks.argmax(-1) == places)[places > 0]
        return loss, {
            "loss": loss.item(),
            "right": right[values > 0].float().mean().item(),
            "marks": found.float().mean().item(),
        }

    def talk(self, batch: Talk, rows: torch.Tensor | None) -> tuple[torch.Tensor, dict[str, float]]:
        """The language model's loss on replies, and figures of the batch. ``rows`` [frames, T, H]. ``right``:
        the share of conversations whose replies greedy decoding gives exactly."""
        ids, learn = batch.ids.to(self.options.device), batch.learn.to(self.options.device)
        hidden = self.model.hidden(ids, self.encoder.context, rows)[:, :-1][learn[:, 1:]]
        logits, wanted = self.model.language_model.lm_head(hidden), ids[:, 1:][learn[:, 1:]]
        loss = F.cross_entropy(logits.float(), wanted)
        right = torch.ones_like(learn[:, 1:])
        right[learn[:, 1:]] = logits.argmax(-1) == wanted
        return loss, {"loss": loss.item(), "right": right.all(1).float().mean().item()}

    def _rows(self, batch: Talk, gallery: Gallery | None) -> torch.Tensor | None:
        """The codes of a batch's frames, with noise; of drawn frames what the tower makes of them."""
        if not batch.frames:
            return None
        if gallery is None:
            return self._looked_at(batch.frames)
        rows = self.codes(torch.from_numpy(gallery.values[batch.frames]).to(self.options.device))
        return rows + NOISE * rows.std() * torch.randn_like(rows)

    @torch.no_grad()
    def _looked_at(self, drawn: list) -> torch.Tensor:
        parts = [drawn[i : i + FRAMES] for i in range(0, len(drawn), FRAMES)]
        return torch.cat([self.model.embed(normalise(pixels(p).to(self.options.device))) for p in parts])

    def train(self, batch: Frames | Talk, gallery: Gallery | None) -> dict[str, float]:
        """One step."""
        self.model.train()
        looking = isinstance(batch, Frames)
        fast = not looking and _has_bfloat16(self.options.device)
        with torch.autocast(self.options.device, torch.bfloat16, enabled=fast):
            loss, figures = self.look(batch) if looking else self.talk(batch, self._rows(batch, gallery))
        for optimiser, rate in zip(self.optimisers, RATES[self.options.part], strict=True):
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = rate * self._pace()
        loss.backward()
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        return figures

    def _pace(self) -> float:
        """The share of the full rate: rises at the beginning of the time, falls towards its end."""
        over = self.share()
        warm = min(1.0, 0.03 + over / 0.01)
        return warm * max(0.03, min(1.0, (1 - over) / (1 - DECAY_FROM)))

    @torch.inference_mode()
    def validate(self, kind: str, count: int) -> dict[str, float]:
        """Of both parts together, on the validation split, whose studies are drawn and looked at."""
        self.model.eval()
        size, sums = SIZES[kind], {}
        batches = max(count // size, 1)
        for number in range(batches):
            batch = self.encoder.talk(kind, ("validation", 0, number * size), DRAWN)
            _, figures = self.talk(batch, self._rows(batch, None))
            for key, value in figures.items():
                sums[key] = sums.get(key, 0.0) + value / batches
        return sums

    def share(self) -> float:
        """How much of the time is over."""
        return self.elapsed / (self.options.hours * 3600)

    def phase(self) -> str:
        """The phase of the time that is over."""
        phases = PHASES[self.options.part]
        return next((name for name, (end, _) in phases.items() if self.share() < end), list(phases)[-1])


def _has_bfloat16(device: str) -> bool:
    """Whether products of bfloat16 are faster there than those of float32."""
    return device == "cuda" or torch.cpu._is_avx512_bf16_supported()


def _optimisers(module: nn.Module, part: str) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    """Muon for the matrices inside; AdamW for embeddings, heads, convolutions and vectors."""
    named = list(module.named_parameters())
    outside = ("embed", "head")
    inner = [p for name, p in named if p.ndim == 2 and not any(word in name for word in outside)]
    rest = [p for _, p in named if not any(p is other for other in inner)]
    return (
        torch.optim.Muon(inner, RATES[part][0], weight_decay=0.02),
        torch.optim.AdamW(rest, RATES[part][1], betas=(0.9, 0.98), weight_decay=0.0),
    )


def _batches(trainer: Trainer, phase: str, gallery: Gallery | None) -> Iterator[Frames | Talk]:
    """Endless batches of a phase, from the trainer's step on."""
    seed = trainer.options.seed
    mix = PHASES[trainer.options.part][phase][1]
    talk = partial(_talk, trainer.encoder, gallery or DRAWN, mix, seed)
    make = partial(_frames, seed) if phase == "tower" else talk
    return stream(make, trainer.step, trainer.options.workers)


def _frames(seed: int, number: int) -> Frames:
    return frames("train", seed, number * FRAMES, FRAMES)


def _talk(encoder: Encoder, source: Source, mix: dict[str, float], seed: int, number: int) -> Talk:
    kind = str(generator("train", seed, 98, number).choice(list(mix), p=np.array(list(mix.values()))))
    return encoder.talk(kind, ("train", seed, number * 64), source)


def run(out: Path, options: Options, *, resume: bool) -> Path:
    """Trains a part for the hours given and writes the checkpoint; returns its folder."""
    trainer = Trainer(out, options)
    if options.part == "together":
        trainer.take("language")
        trainer.take("tower")
    if resume:
        trainer.resume()
    curve = _Curve(out / f"{options.part}.csv", keep=resume)
    gallery = _gallery(trainer) if options.part == "language" else None
    phase, batches, saved = "", iter(()), trainer.elapsed
    while trainer.share() < 1:
        if phase != trainer.phase():
            phase = trainer.phase()
            batches = _batches(trainer, phase, gallery)
        begun = time.monotonic()
        batch = next(batches)
        curve.add(getattr(batch, "kind", "frames"), trainer.train(batch, gallery))
        trainer.elapsed += time.monotonic() - begun
        if trainer.step % 50 == 0:
            curve.write(trainer, phase)
        if trainer.elapsed - saved > options.save_every:
            saved = trainer.elapsed
            trainer.save()
    trainer.save()
    return trainer.export()


def _gallery(trainer: Trainer) -> Gallery:
    """The one of an earlier run of this training, or a new one."""
    if (trainer.out / "gallery.json").is_file():
        return Gallery(trainer.out)
    return fill(trainer.out, trainer.options.seed, trainer.options.workers)


class _Curve:
    """The curve: means since the last line, a line a kind."""

    FIELDS = ("step", "seconds", "phase", "kind", "loss", "right", "marks")

    def __init__(self, path: Path, *, keep: bool) -> None:
        self._path, self._seen = path, {}
        if not (keep and path.is_file()):
            path.write_text(",".join(self.FIELDS) + "\n", encoding="utf-8")

    def add(self, kind: str, figures: dict[str, float]) -> None:
        self._seen.setdefault(kind, []).append(figures)

    def write(self, trainer: Trainer, phase: str) -> None:
        with self._path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self.FIELDS, restval="", lineterminator="\n")
            for kind, rows in self._seen.items():
                means = {key: f"{np.mean([row[key] for row in rows]):.4f}" for key in rows[0]}
                place = {"step": trainer.step, "seconds": round(trainer.elapsed), "phase": phase}
                writer.writerow({**place, "kind": kind, **means})
        self._seen = {}


def write_safetensors(path: Path, values: dict[str, np.ndarray]) -> None:
    """Float32 tensors, in the order given."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, value in values.items():
        end = offset + value.nbytes
        header[name] = {"dtype": "F32", "shape": value.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in values.values():
            file.write(np.ascontiguousarray(value, "<f4").tobytes())
