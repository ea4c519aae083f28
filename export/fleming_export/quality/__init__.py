"""How much a package differs from the f32 package of the same checkpoint, on the same prompts.

Image embeddings by their cosine; then the f32 model's own replies, token by token: at every position of the
prompt's text and of the reply the two distributions are compared. ONNX Runtime runs both; torch is not
needed. (That the f32 package is the model is what the parity check shows.)
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..contract import MANIFEST_FILE
from ..errors import ExportError
from ..package import versions, write_manifest
from ..recipe import Recipe, check_runs_here, make_recipe
from ..synthetic.inputs import chest

#: Share of positions at which the most likely token must be the same, by precision.
BARS = {"int8": 0.995, "int4": 0.97}
STEPS = 64
QUESTIONS = [
    ("List three causes of chest pain.", 0),
    ("Is there a nodule in the right lung?", 1),
    ("What differs between the two images?", 2),
    ("Please describe the picture. What organ is shown, and is anything abnormal?", 1),
]


@dataclass
class Tally:
    """What is counted over all positions."""

    positions: int = 0
    equal: int = 0
    divergence: list[float] = field(default_factory=list)
    surprise: list[tuple[float, float]] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)

    def add(self, wanted: np.ndarray, got: np.ndarray, following: int) -> None:
        """Logits [V] of the reference and of the package, and the token that follows in the text."""
        p, q = _log_softmax(wanted), _log_softmax(got)
        self.positions += 1
        self.equal += int(p.argmax() == q.argmax())
        self.divergence.append(float((np.exp(p) * (p - q)).sum()))
        self.surprise.append((float(-p[following]), float(-q[following])))

    def report(self) -> dict:
        surprise = np.array(self.surprise).mean(0)
        return {
            "embedding_cosine": {"min": min(self.cosines), "mean": float(np.mean(self.cosines))},
            "positions": self.positions,
            "top1_agreement": self.equal / self.positions,
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
        import tokenizers  # noqa: F401
    except ImportError as error:
        hint = "pip install 'fleming-export[verify]'"
        raise ExportError(error.name, "the library, for --verify", "not installed", hint) from None
    assert onnxruntime


def verify(checkpoint: str, package: Path, reference: Path | None = None) -> bool:
    """Compares, records the report in ``fleming.json``, prints it, and says whether the bar was met.

    Without a reference the f32 package is made for the time of the comparison, beside ``package``.
    """
    from .. import export

    if reference is not None:
        return _verify(package, reference)
    with tempfile.TemporaryDirectory(prefix=f"{package.name}.reference-", dir=package.parent) as folder:
        twin = Path(folder) / "f32"
        export(checkpoint, twin, recipe=make_recipe("cpu", "f32"))
        return _verify(package, twin)


def _verify(package: Path, reference: Path) -> bool:
    manifest = json.loads((package / MANIFEST_FILE).read_text(encoding="utf-8"))
    report = compare(package, reference)
    bar = BARS.get(manifest["precision"])
    report["bar"] = {"top1_agreement": bar}
    report["passed"] = bar is None or report["top1_agreement"] >= bar
    report["reference"] = {"precision": "f32", **versions(("onnxruntime", "numpy"))}
    manifest["quality"] = report
    write_manifest(package, manifest)
    print(json.dumps(report, indent=1))
    return report["passed"]


def compare(package: Path, reference: Path, asked: int = len(QUESTIONS)) -> dict:
    """The report on a package against the f32 package, by the first ``asked`` questions."""
    from ..parity.runtime import PackageRunner

    require()
    tally = Tally()
    capacity = 4096
    sides = [PackageRunner(folder, capacity) for folder in (reference, package)]
    manifests = [side.manifest["source"]["files"] for side in sides]
    if manifests[0] != manifests[1]:
        raise ExportError(str(reference), "the f32 package of the same checkpoint", "another checkpoint's")
    for question, pictures in QUESTIONS[:asked]:
        ids, splice = _prompt(reference, sides[0].manifest, question, pictures)
        rows = [_embed(side, pictures) for side in sides]
        if pictures:
            tally.cosines += _cosines(*rows)
        _teach(tally, sides, rows, (ids, splice))
    return tally.report()


def _teach(tally: Tally, sides, rows, prompt: tuple[np.ndarray, np.ndarray]) -> None:
    """Both read the prompt's text position by position, and then what the reference says next."""
    ids, splice = prompt
    text = int(np.flatnonzero(splice >= 0).max()) + 1 if (splice >= 0).any() else 1
    logits = [
        side.prefill_ids(ids[:text], splice[:text], part) for side, part in zip(sides, rows, strict=True)
    ]
    for step in range(len(ids) - text + STEPS):
        position = text + step
        following = int(ids[position] if position < len(ids) else logits[0].argmax())
        tally.add(*logits, following)
        logits = [side.step(following) for side in sides]


def _prompt(package: Path, manifest: dict, question: str, pictures: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and splice map of a question in the words of the package."""
    from tokenizers import Tokenizer

    pieces = manifest["prompt"]
    image = pieces["image_start"] + pieces["image_context"] * manifest["vision"]["tokens_per_tile"]
    text = pieces["system_start"] + pieces["system"] + pieces["turn_end"] + pieces["user_start"]
    text += (image + pieces["image_end"] + "\n") * pictures + question
    text += pieces["turn_end"] + pieces["assistant_start"]
    tokenizer = Tokenizer.from_file(str(package / "tokenizer.json"))
    ids = np.array(tokenizer.encode(text, add_special_tokens=False).ids)
    is_image = ids == manifest["tokens"]["image_context"]
    return ids, np.where(is_image, np.cumsum(is_image) - 1, -1)


def _embed(side, pictures: int) -> np.ndarray:
    """Rows of the pictures that are asked about, [rows, H]."""
    hidden = side.manifest["vision"]["hidden_size"]
    if not pictures:
        return np.zeros((1, hidden), np.float32)
    size, constants = side.manifest["vision"]["image_size"], side.manifest["normalization"]
    drawn = [chest(size, size), np.ascontiguousarray(chest(size, size)[:, ::-1] // 2)][:pictures]
    pixels = np.stack(drawn).astype(np.float32) * np.float32(constants["rescale"])
    pixels = (pixels - np.float32(constants["mean"])) / np.float32(constants["std"])
    return side.embed(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).reshape(-1, hidden)


def _cosines(wanted: np.ndarray, got: np.ndarray) -> list[float]:
    norms = np.linalg.norm(wanted, axis=1) * np.linalg.norm(got, axis=1)
    return ((wanted * got).sum(1) / norms).tolist()


def _log_softmax(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    x = x - x.max()
    return x - np.log(np.exp(x).sum())
