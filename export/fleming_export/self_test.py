"""The self-test of a package: a few fixed questions about drawn pictures, and what each stage made of them.

It is the ``self_test`` of ``fleming.json``, so the package's digest covers it. ``fleming doctor`` asks the
same questions on the machine at hand and says how near the answers are.

    cases   name, question, instruction, and sizes of the pictures that ``draw`` draws; the prompt's ids and
            normalised pixels by SHA-256, because they must be the same everywhere
    runs    who answered and in which precision; for each case image embeddings and first logits, by a few
            values and by statistics, and the greedy tokens with their margins

The first run is ONNX Runtime's, of the package itself if it is for the target cpu, and of an f32 package for
cpu of the same checkpoint if it is for a GPU, which the exporting machine need not have. ``--verify`` adds
torch's. Whatever ran, nothing is loaded that the machine has no room for.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .config import read_config
from .contract import MANIFEST_FILE
from .errors import ExportError, to_install
from .files import read_json
from .memory import available_bytes, needed, needed_by
from .package import check_space, read_manifest, versions, write_manifest
from .pipeline import export
from .recipe import Recipe

#: Of the format, and of what ``draw`` draws.
VERSION = 1
#: Greedy tokens of an answer.
STEPS = 8
#: Values that are recorded of a tensor, evenly spread, and largest logits.
VALUES, TOP = 32, 8
LIBRARIES = ("onnxruntime", "tokenizers", "pillow")


class LeftOut(ExportError):
    """Why there can be no self-test here."""


@dataclass(frozen=True)
class Case:
    """A question about pictures of these sizes, (width, height); None is the size of a tile."""

    name: str
    question: str
    instruction: str = "direct"
    pictures: tuple[tuple[int, int] | None, ...] = ()


#: No picture; one that is enlarged; one that is made smaller beside one that fits.
CASES = (
    Case("text", "List three causes of chest pain."),
    Case("picture", "Please describe the picture.", "reasoning", ((300, 200),)),
    Case("two pictures", "What differs between the two pictures?", pictures=((640, 480), None)),
)


def draw(width: int, height: int) -> np.ndarray:
    """[height, width, 3] uint8, by integer arithmetic, so that ``src/self_test.rs`` draws the same: red grows
    to the right, green to the bottom; blue is a chequerboard, and full in a disc in the middle."""
    y, x = np.mgrid[:height, :width]
    disc = 4 * ((2 * x - width) ** 2 + (2 * y - height) ** 2) < min(width, height) ** 2
    blue = np.where(disc, 255, 128 * ((x // 8 + y // 8) % 2))
    return np.stack([255 * x // width, 255 * y // height, blue], -1).astype(np.uint8)


def require() -> None:
    """Reports a missing library before any work is done."""
    try:
        import onnxruntime
        import PIL
        import tokenizers
    except ImportError as error:
        raise LeftOut(
            error.name, "the library, for the self-test", "not installed", to_install("self-test")
        ) from None
    assert onnxruntime and PIL and tokenizers


def after_export(package: Path, checkpoint: str, *, demanded: bool) -> None:
    """Puts the self-test into a package that was just made. Where that cannot be, it is an error if the
    self-test was demanded, and else a notice on standard error."""
    try:
        add(package, checkpoint=checkpoint)
    except LeftOut as reason:
        if demanded:
            raise
        hint = f"`python -m fleming_export self-test {package}` adds it on another machine"
        print(f"fleming_export: without a self-test: {reason}; {hint}", file=sys.stderr)


def add(package: Path, *, checkpoint: str | None = None, reference: Path | None = None) -> None:
    """Asks and records. A package for a GPU takes the answers of ``reference``, an f32 package for cpu, or of
    one that is made of ``checkpoint`` for the time."""
    require()
    manifest = read_manifest(package)
    prompts = [_Prompt(case, package, manifest) for case in CASES]
    cases = [prompt.as_json() for prompt in prompts]
    longest = max(len(prompt.ids) for prompt in prompts) + STEPS
    if longest > manifest["max_positions"]:
        raise LeftOut(str(package), f"room for {longest} positions", manifest["max_positions"])
    runs = None
    with _runnable(package, (checkpoint, reference), longest) as runnable:
        known = read_manifest(runnable).get("self_test") if runnable != package else None
        if known and (known["version"], known["cases"]) == (VERSION, cases):
            runs = known["runs"]
        else:
            _check_memory(package, needed(read_manifest(runnable), longest))
            runs = [_run(runnable, prompts, longest)]
    manifest["self_test"] = {"version": VERSION, "cases": cases, "runs": runs}
    write_manifest(package, manifest)


@contextlib.contextmanager
def _runnable(package: Path, others: tuple[str | None, Path | None], positions: int) -> Iterator[Path]:
    """The package that answers: itself, or the f32 package for cpu of the same checkpoint."""
    checkpoint, reference = others
    manifest = read_manifest(package)
    if manifest["target"] == "cpu":
        yield package
        return
    if reference is None and checkpoint is not None and (Path(checkpoint) / MANIFEST_FILE).is_file():
        reference = Path(checkpoint)
    if reference is not None:
        found = read_json(reference / MANIFEST_FILE)
        kind = f"{found.get('precision')} for {found.get('target')}"
        if kind != "f32 for cpu" or found["source"]["files"] != manifest["source"]["files"]:
            raise ExportError(str(reference), "the f32 package for cpu of the same checkpoint", kind)
        yield reference
        return
    if checkpoint is None:
        hint = "name it with --reference; the package itself is for a GPU"
        raise LeftOut(str(package), "an f32 package for cpu of the same checkpoint", "none", hint)
    # before it is made, not when it has been
    parts = needed_by(read_config(manifest["source"]["config"]), Recipe(), positions)
    _check_memory(package, parts)
    try:
        check_space(package.parent, parts["weights"])
    except ExportError as full:
        raise LeftOut(full.thing, f"{full.wanted}, for an f32 package", full.got, full.hint) from None
    size = f"{parts['weights'] / 1e9:.1f} GB"
    print(f"fleming_export: self-test: an f32 package is made for the time ({size})", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=f"{package.name}.reference-", dir=package.parent) as folder:
        yield export(checkpoint, Path(folder) / "f32")


def _check_memory(package: Path, parts: dict[str, int]) -> None:
    """Refuses to load what there is no room for."""
    wanted, free = sum(parts.values()), available_bytes()
    if free is not None and free < wanted:
        raise LeftOut(str(package), f"{wanted / 1e9:.1f} GB of memory to ask it", f"{free / 1e9:.1f} GB")


class _Prompt:
    """A case as the model sees it."""

    def __init__(self, case: Case, package: Path, manifest: dict) -> None:
        from .quality.sequences import Writer

        size = manifest["vision"]["image_size"]
        self.case = case
        self.sizes = [list(picture or (size, size)) for picture in case.pictures]
        pictures = [draw(*size) for size in self.sizes]
        asked = Writer(package, manifest).ask(case.question, pictures, case.instruction)
        self.ids, self.splice, self.pixels = asked.ids, asked.splice, asked.pixels

    def as_json(self) -> dict:
        case = self.case
        asked = {"name": case.name, "question": case.question, "instruction": case.instruction}
        return {**asked, "pictures": self.sizes, **digests(self.ids, self.pixels)}


def digests(ids: np.ndarray, pixels: np.ndarray) -> dict:
    """What must be the same everywhere: ids [N] as 32-bit numbers, and normalised pixels [tiles, 3, S, S]."""
    digest = {
        name: hashlib.sha256(np.ascontiguousarray(values, kind).tobytes()).hexdigest()
        for name, values, kind in (("ids", ids, "<i4"), ("pixels", pixels, "<f4"))
    }
    return {
        "tokens": len(ids),
        "ids_sha256": digest["ids"],
        "pixels_sha256": digest["pixels"] if len(pixels) else None,
    }


def _run(package: Path, prompts: Sequence[_Prompt], positions: int) -> dict:
    """The answers of a package in ONNX Runtime on the CPU."""
    from .parity.runtime import PackageRunner

    try:
        runner = PackageRunner(package, positions)
        answers = [_answer(runner, prompt) for prompt in prompts]
    except ExportError:
        raise
    except Exception as error:  # ONNX Runtime's have no other type in common
        raise ExportError(str(package), "a package that ONNX Runtime runs", error) from None
    made = versions(("onnxruntime",))["onnxruntime"]
    return run_json(f"ONNX Runtime {made}", runner.manifest["precision"], answers)


def _answer(runner, prompt: _Prompt) -> dict:
    hidden = runner.manifest["vision"]["hidden_size"]
    embeddings = runner.embed(prompt.pixels) if len(prompt.pixels) else None
    rows = np.zeros((1, hidden), np.float32) if embeddings is None else embeddings.reshape(-1, hidden)
    logits = [runner.prefill_ids(prompt.ids, prompt.splice, rows)]
    while len(logits) < STEPS:
        logits.append(runner.step(int(logits[-1].argmax())))
    return answer_json(prompt.case.name, embeddings, np.stack(logits))


def run_json(by: str, precision: str, answers: list[dict]) -> dict:
    """One of the ``runs``."""
    return {"by": by, "precision": precision, "answers": answers}


def answer_json(name: str, embeddings: np.ndarray | None, logits: np.ndarray) -> dict:
    """What is recorded of embeddings [tiles, T, H] and of the logits [STEPS, V] before each greedy token."""
    if not (np.isfinite(logits).all() and (embeddings is None or np.isfinite(embeddings).all())):
        raise ExportError(f"self-test, {name}", "finite embeddings and logits", "others")
    first, two = logits[0], np.sort(logits, 1)[:, -2:]
    top = np.argsort(-first, kind="stable")[:TOP]
    return {
        "embeddings": None if embeddings is None else _tensor_json(embeddings.reshape(-1)),
        "logits": {
            **_tensor_json(first),
            "top": [[int(number), _short(first[number])] for number in top],
        },
        "tokens": [int(token) for token in logits.argmax(1)],
        "margins": [_short(best - second) for second, best in two],
    }


def _tensor_json(values: np.ndarray) -> dict:
    """Statistics of all values, and every ``stride``-th, counted round and round."""
    stride = values.size // VALUES + 1
    wide = values.astype(np.float64)
    return {
        "count": values.size,
        "mean": _short(wide.mean()),
        "deviation": _short(wide.std()),
        "largest": _short(np.abs(wide).max()),
        "stride": stride,
        "values": [_short(values[place * stride % values.size]) for place in range(VALUES)],
    }


def _short(value: float) -> float:
    """To nine digits, which are all of a float32."""
    return float(f"{float(value):.9g}")
