"""Trains the demo model from scratch: first the tower, on facts of frames, then pictures, then everything.

The time is what is given: phases and the learning rate follow the share of it that is over, so that a faster
machine sees more samples. Every few minutes the state is saved, and ``--resume`` goes on from there.
"""

from __future__ import annotations

import csv
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .batches import SIZES, Batch, Encoder, make, normalise, stream
from .config import write_files
from .facts import LABELS
from .model import DemoModel, Reader, tensors

#: phase -> share of the time at which it ends
PHASES = {"vision": 0.2, "images": 0.5, "all": 1.0}
#: kinds with many frames train the language model only: three times as fast
FROZEN = ("volume", "video")
RATE = 1e-3
WARM_STEPS = 100
DECAY_FROM = 0.7


@dataclass(frozen=True)
class Options:
    """What may be chosen."""

    hours: float = 3.0
    device: str = "cpu"
    seed: int = 1
    workers: int = 1
    save_every: float = 300.0  # seconds
    phases: tuple[float, ...] = tuple(PHASES.values())


class Trainer:
    """The state of a training, and its steps."""

    def __init__(self, out: Path, options: Options) -> None:
        self.out, self.options = out, options
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        path = out / "checkpoint"
        path.mkdir(exist_ok=True)
        self.config = (
            json.loads((path / "config.json").read_text(encoding="utf-8"))
            if (path / "config.json").is_file()
            else write_files(path)
        )
        self.model = DemoModel(self.config).to(options.device)
        if not (path / "model.safetensors").exists():
            self.export()  # a checkpoint is complete from the start
        self.encoder = Encoder(path)
        values = [len(values) for values in LABELS.values()]
        self.reader = Reader(self.config["hidden_size"], values).to(options.device)
        self.optimiser = torch.optim.AdamW(self._groups(), RATE, betas=(0.9, 0.98))
        self.step, self.elapsed = 0, 0.0

    def _groups(self) -> list[dict]:
        """Matrices decay, vectors and embeddings do not."""
        named = [*self.model.named_parameters(), *self.reader.named_parameters()]
        matrix = [p for name, p in named if p.ndim in {2, 4} and "embed" not in name]
        rest = [p for name, p in named if not (p.ndim in {2, 4} and "embed" not in name)]
        return [{"params": matrix, "weight_decay": 0.02}, {"params": rest, "weight_decay": 0.0}]

    def resume(self) -> None:
        """Goes on from the last save."""
        state = torch.load(self.out / "training.pt", map_location=self.options.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.reader.load_state_dict(state["reader"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.elapsed = state["step"], state["elapsed"]

    def save(self) -> None:
        """As a whole or not at all."""
        parts = {name: getattr(self, name).state_dict() for name in ("model", "reader", "optimiser")}
        aside = self.out / "training.pt.partial"
        torch.save({**parts, "step": self.step, "elapsed": self.elapsed}, aside)
        os.replace(aside, self.out / "training.pt")

    def export(self) -> Path:
        """Writes model.safetensors into the checkpoint folder, which the exporter takes."""
        write_safetensors(self.out / "checkpoint" / "model.safetensors", tensors(self.model))
        return self.out / "checkpoint"

    def loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss to go down, and figures of the batch."""
        device, rows, total, figures = self.options.device, None, 0.0, {}
        if batch.pixels is not None:
            with torch.set_grad_enabled(torch.is_grad_enabled() and batch.kind not in FROZEN):
                rows = self.model.embed(normalise(batch.pixels.to(device)))
            if batch.kind not in FROZEN:
                logits, wanted = self.reader(rows), batch.labels.to(device)
                total = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=-1)
                figures["facts"] = (logits.argmax(-1) == wanted)[wanted >= 0].float().mean().item()
        if batch.ids is not None:
            ids, learn = batch.ids.to(device), batch.learn.to(device)
            hidden = self.model.hidden(ids, self.encoder.context, rows)[:, :-1][learn[:, 1:]]
            logits, wanted = self.model.language_model.lm_head(hidden), ids[:, 1:][learn[:, 1:]]
            spoken = F.cross_entropy(logits, wanted)
            total = spoken + (0.3 * total if batch.pixels is not None else 0.0)
            figures["reply"] = spoken.item()
            right = torch.ones_like(learn[:, 1:])
            right[learn[:, 1:]] = logits.argmax(-1) == wanted
            figures["exact"] = right.all(1).float().mean().item()
        return total, figures

    def train(self, batch: Batch) -> dict[str, float]:
        """One step."""
        self.model.train()
        share = self.elapsed / (self.options.hours * 3600)
        rate = RATE * min(1, (self.step + 1) / WARM_STEPS)
        rate *= max(0.02, min(1, (1 - share) / (1 - DECAY_FROM)))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        loss, figures = self.loss(batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        self.optimiser.step()
        self.step += 1
        return {"loss": loss.item(), **figures}

    @torch.inference_mode()
    def validate(self, kind: str, count: int) -> dict[str, float]:
        """On the validation split. ``exact``: the share of replies that greedy decoding gives exactly."""
        self.model.eval()
        size, sums = SIZES[kind], {}
        batches = max(count // size, 1)
        for number in range(batches):
            _, figures = self.loss(make(self.encoder, kind, ("validation", 0, number * size)))
            for key, value in figures.items():
                sums[key] = sums.get(key, 0.0) + value / batches
        return sums

    def phase(self) -> str:
        """The phase of the time that is over."""
        share = self.elapsed / (self.options.hours * 3600)
        ends = zip(PHASES, self.options.phases, strict=True)
        return next((name for name, end in ends if share < end), "all")


def run(out: Path, options: Options, *, resume: bool) -> Path:
    """Trains for the hours given and writes the checkpoint; returns its folder."""
    trainer = Trainer(out, options)
    if resume:
        trainer.resume()
    curve = _Curve(out / "curve.csv", keep=resume)
    phase, batches, saved = "", None, trainer.elapsed
    while trainer.elapsed < options.hours * 3600:
        begun = time.monotonic()
        if phase != trainer.phase():
            phase = trainer.phase()
            batches = stream(trainer.encoder, phase, (options.seed, trainer.step), options.workers)
        batch = next(batches)
        curve.add(batch.kind, trainer.train(batch))
        trainer.elapsed += time.monotonic() - begun
        if trainer.step % 50 == 0:
            curve.write(trainer, phase)
        if trainer.elapsed - saved > options.save_every:
            saved = trainer.elapsed
            trainer.save()
    trainer.save()
    return trainer.export()


class _Curve:
    """curve.csv: means since the last line, a line a kind."""

    FIELDS = ("step", "seconds", "phase", "kind", "loss", "facts", "reply", "exact")

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
