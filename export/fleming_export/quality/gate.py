"""How much a package differs from the f32 package of the same checkpoint, on the same sequences.

Image embeddings by their cosine; then the prompt's text and the f32 model's own reply, token by token: at
every position the two distributions are compared. The bar is on all positions; text and reply are told apart
because a model that was never taught to predict the text of a question has near ties there. ONNX Runtime
runs both; torch is not needed. (That the f32 package is the model is what the parity check shows.)
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from ..errors import ExportError, to_install
from ..package import read_manifest, versions, write_manifest
from ..pipeline import export
from ..recipe import Recipe, check_runs_here, make_recipe
from .answers import POINTS, accuracy, is_near
from .sequences import Sequence, Writer, traced

#: Share of the positions at which the most likely token must be the same, by precision.
BARS = {"int8": 0.995, "int4": 0.97}
#: Most tokens of a reply.
STEPS = 64
#: Positions that there is room for at first; clips of many frames take more.
CAPACITY = 4096


@dataclass
class Tally:
    """What is counted over positions."""

    equal: list[bool] = field(default_factory=list)
    divergence: list[float] = field(default_factory=list)
    surprise: list[tuple[float, float]] = field(default_factory=list)

    def add(self, wanted: np.ndarray, got: np.ndarray, following: np.ndarray) -> None:
        """Logits [N, V] of the reference and of the package, and the tokens [N] that follow in the text."""
        for one, other, token in zip(wanted, got, following, strict=True):
            p, q = _log_softmax(one), _log_softmax(other)
            self.equal.append(bool(p.argmax() == q.argmax()))
            self.divergence.append(float((np.exp(p) * (p - q)).sum()))
            self.surprise.append((float(-p[token]), float(-q[token])))

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.equal + other.equal, self.divergence + other.divergence, self.surprise + other.surprise
        )

    def report(self) -> dict:
        if not self.equal:
            return {"positions": 0}
        surprise = np.array(self.surprise).mean(0)
        return {
            "positions": len(self.equal),
            "top1_agreement": float(np.mean(self.equal)),
            "kl_divergence": {
                "mean": float(np.mean(self.divergence)),
                "p99": float(np.quantile(self.divergence, 0.99)),
            },
            "perplexity": {"reference": float(np.exp(surprise[0])), "package": float(np.exp(surprise[1]))},
            "perplexity_ratio": float(np.exp(surprise[1] - surprise[0])),
        }


def require(recipe: Recipe | None = None) -> None:
    """Reports what is missing before any work is done."""
    check_runs_here(recipe)
    try:
        import onnxruntime
        import PIL
        import tokenizers
    except ImportError as error:
        hint = to_install("verify")
        raise ExportError(error.name, "the library, for --verify", "not installed", hint) from None
    assert onnxruntime and PIL and tokenizers


@dataclass(frozen=True)
class Asked:
    """What a package is compared on; the questions written here if there are neither cases nor traces."""

    #: a file as ``fleming eval`` reads it, of which cases about volumes and clips are left out
    cases: Path | None = None
    #: folders that ``fleming eval --trace`` has written, of cases of every kind
    traces: tuple[Path, ...] = ()
    #: what ``fleming eval --json`` printed for the package and for the f32 package
    answers: tuple[Path, Path] | None = None
    #: libfleming, with whose kernels the package is run
    library: Path | None = None

    def sequences(self, reference: Path) -> Iterable[Sequence]:
        """All that is to be read by both packages."""
        manifest = read_manifest(reference)
        if self.cases is None and not self.traces:
            return Writer(reference, manifest).questions()
        written = Writer(reference, manifest).cases(self.cases) if self.cases else ()
        return chain(written, *(traced(folder, manifest) for folder in self.traces))


def verify(checkpoint: str, package: Path, reference: Path | None = None, asked: Asked | None = None) -> bool:
    """Compares, records the report in ``fleming.json``, prints it, and says whether the bars were met.

    Without a reference the f32 package is made for the time of the comparison, beside ``package``.
    """
    asked = asked or Asked()
    if reference is not None:
        return _verify(package, reference, asked)
    with tempfile.TemporaryDirectory(prefix=f"{package.name}.reference-", dir=package.parent) as folder:
        twin = Path(folder) / "f32"
        export(checkpoint, twin, recipe=make_recipe("cpu", "f32"))
        return _verify(package, twin, asked)


def _verify(package: Path, reference: Path, asked: Asked) -> bool:
    manifest = read_manifest(package)
    answers = accuracy(*asked.answers) if asked.answers else {}
    report = compare(package, reference, asked.sequences(reference), asked.library)
    bar = BARS.get(manifest["precision"])
    report["answers"] = answers
    report["bar"] = {"top1_agreement": bar, "answers_points": POINTS}
    report["passed"] = (bar is None or report["top1_agreement"] >= bar) and is_near(answers)
    report["reference"] = {"precision": "f32", **versions(("onnxruntime", "numpy"))}
    report["kernels"] = "onnxruntime" if asked.library is None else "fleming"
    manifest["quality"] = report
    write_manifest(package, manifest)
    print(json.dumps(report, indent=1))
    return report["passed"]


def compare(
    package: Path,
    reference: Path,
    sequences: Iterable[Sequence] | None = None,
    library: Path | None = None,
) -> dict:
    """The report on a package against the f32 package, on the questions written here if nothing else is said.

    Of the f32 package's own manifest the texts are written: the two have the same tokenizer.
    """
    from ..parity.runtime import PackageRunner

    require()
    sides = [PackageRunner(reference, CAPACITY), PackageRunner(package, CAPACITY, library)]
    manifests = [side.manifest["source"]["files"] for side in sides]
    if manifests[0] != manifests[1]:
        raise ExportError(str(reference), "the f32 package of the same checkpoint", "another checkpoint's")
    parts, cosines = {"text": Tally(), "reply": Tally()}, []
    asked = Writer(reference, sides[0].manifest).questions() if sequences is None else sequences
    stop = sides[0].manifest["tokens"]["eos"]
    for sequence in asked:
        for side in sides:
            side.room(len(sequence.ids) + STEPS)
        rows = [_embed(side, sequence) for side in sides]
        cosines += _cosines(*rows) if len(sequence.pixels) else []
        reply = _reply(sides[0], sequence, rows[0], stop)
        _teach(parts, sides, rows, (sequence, reply))
    if not parts["text"].equal:
        raise ExportError("cases and traces", "at least one that can be read here", "none")
    report = (parts["text"] + parts["reply"]).report()
    if cosines:
        report["embedding_cosine"] = {"min": min(cosines), "mean": float(np.mean(cosines))}
    return {**report, "parts": {name: tally.report() for name, tally in parts.items()}}


def _reply(side, sequence: Sequence, rows: np.ndarray, stop: int) -> np.ndarray:
    """What the reference says next, up to and with its end token."""
    tokens = [int(side.prefill_ids(sequence.ids, sequence.splice, rows).argmax())]
    while tokens[-1] != stop and len(tokens) < STEPS:
        tokens.append(int(side.step(tokens[-1]).argmax()))
    return np.array(tokens)


def _teach(parts: dict[str, Tally], sides, rows, read: tuple[Sequence, np.ndarray]) -> None:
    """Both read prompt and reply, and are compared at every position but the pictures' and what is before."""
    sequence, reply = read
    ids = np.concatenate([sequence.ids, reply])
    splice = np.concatenate([sequence.splice, np.full(len(reply), -1)])
    first, text = sequence.text, len(sequence.ids) - sequence.text
    # the last token of the reply is read by nobody
    wanted, got = (
        side.every(ids[:-1], splice[:-1], part, first - 1) for side, part in zip(sides, rows, strict=True)
    )
    following = ids[first:]
    for name, part in (("text", slice(0, text)), ("reply", slice(text, None))):
        parts[name].add(wanted[part], got[part], following[part])


def _embed(side, sequence: Sequence) -> np.ndarray:
    """Rows of the pictures that are asked about, [rows, H]; one of zeros if there is none."""
    hidden = side.manifest["vision"]["hidden_size"]
    if not len(sequence.pixels):
        return np.zeros((1, hidden), np.float32)
    return side.embed(sequence.pixels).reshape(-1, hidden)


def _cosines(wanted: np.ndarray, got: np.ndarray) -> list[float]:
    norms = np.linalg.norm(wanted, axis=1) * np.linalg.norm(got, axis=1)
    return ((wanted * got).sum(1) / norms).tolist()


def _log_softmax(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    x = x - x.max()
    return x - np.log(np.exp(x).sum())
