"""The parity check: a package against torch in float32, level by level, with one table of tolerances.

Levels: token ids; image embeddings; the first logits, from one prefill; the logits of every step, from a
prefill in chunks and a decode that follows the reference's tokens; and the token that each step would
choose. The answers to the questions of the package's self-test are recorded beside ONNX Runtime's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from .. import self_test
from ..config import read_config, settled
from ..contract import MANIFEST_FILE
from ..package import versions, write_manifest
from ..prompt import REASONING, SYSTEM
from ..source import open_checkpoint
from ..sources.folder import Checkpoint
from ..synthetic.inputs import chest
from .prompts import Case, Preparer, Prompt, require

#: Largest error allowed. Embeddings: relative to the largest absolute value; logits: absolute.
TOLERANCES = {"image_embeds": 1e-4, "first_logits": 1e-3, "logits": 1e-3}
#: A step whose best two tokens are nearer than this in the reference may go either way: a tie.
TIE_MARGIN = 2 * TOLERANCES["logits"]
STEPS = 64
CHUNK = 100
TEXTS = [
    SYSTEM,
    REASONING,
    "  12 Köpfe\r\n\n\tcafe\u0301 <img>中文😀 don't <|im_end|> x<tool_call>",
    "",
    " a  b ",
]


def cases() -> list[Case]:
    """What is asked: no picture, one, and two of different shapes."""
    picture, other = chest(520, 480), chest(300, 500)[:, ::-1]
    return [
        Case("text", "List three causes of chest pain.", reasoning=False),
        Case("image", "Is there a nodule in the right lung?", (picture,)),
        Case("two-images", "What differs between the two images?", (picture, np.ascontiguousarray(other))),
    ]


def verify(given: str, package: Path, steps: int = STEPS) -> bool:
    """Compares, records the result in ``fleming.json``, prints it, and says whether every level passed."""
    require()
    checkpoint = open_checkpoint(given)
    manifest = json.loads((package / MANIFEST_FILE).read_text(encoding="utf-8"))
    preparer = Preparer(checkpoint.folder, manifest)
    prompts = {case.name: preparer.prepare(case) for case in cases()}
    asked = {f"self-test: {case.name}": preparer.prepare(case) for case in _asked(manifest)}
    # one after the other, so that the two copies of a large model are not in memory together
    length = {**dict.fromkeys(prompts, steps), **dict.fromkeys(asked, self_test.STEPS)}
    embeds, logits = _reference(checkpoint, {**prompts, **asked}, length)
    levels = _compare(package, prompts, embeds, logits)
    levels["ids"] = {"texts": len(TEXTS), "different": preparer.compare_ids(package, TEXTS)}
    levels["self_test"] = {"cases": len(asked), "different": _add_run(manifest, asked, embeds, logits)}
    within = all(levels[name]["max_error"] <= limit for name, limit in TOLERANCES.items())
    different = levels["ids"]["different"] or levels["self_test"]["different"]
    passed = bool(within and not levels["greedy"]["wrong"] and not different)
    for name in TOLERANCES:  # JSON has no infinity
        levels[name]["max_error"] = min(levels[name]["max_error"], sys.float_info.max)
    reference = versions(("torch", "transformers", "onnxruntime", "pillow"))
    limits = {**TOLERANCES, "tie_margin": TIE_MARGIN}
    manifest["parity"] = {"passed": passed, "tolerances": limits, "reference": reference, **levels}
    write_manifest(package, manifest)
    print(json.dumps(manifest["parity"], indent=1))
    return passed


def _asked(manifest: dict) -> list[Case]:
    """The questions of the package's self-test; none if it has none."""
    return [
        Case(
            case["name"],
            case["question"],
            tuple(self_test.draw(*size) for size in case["pictures"]),
            reasoning=case["instruction"] == "reasoning",
        )
        for case in (manifest.get("self_test") or {"cases": []})["cases"]
    ]


def _add_run(manifest: dict, asked: dict[str, Prompt], embeds: dict, logits: dict) -> int:
    """Records torch's answers in the self-test, in place of earlier ones; returns how many of its prompts are
    others than the exporter wrote."""
    if not asked:
        return 0
    test = manifest["self_test"]
    answers = [self_test.answer_json(name, embeds.get(name), logits[name]) for name in asked]
    by = f"torch {versions(('torch',))['torch']}"
    kept = [run for run in test["runs"] if not run["by"].startswith("torch ")]
    test["runs"] = [*kept, self_test.run_json(by, "f32", answers)]
    pairs = zip(test["cases"], asked.values(), strict=True)
    return sum(
        not self_test.digests(prompt.ids, prompt.pixels).items() <= case.items() for case, prompt in pairs
    )


def _reference(
    checkpoint: Checkpoint, prompts: dict[str, Prompt], steps: dict[str, int]
) -> tuple[dict, dict]:
    """Image embeddings [tiles, T, H] and logits [steps, V] by case."""
    from .reference import LanguageReference, VisionReference

    config = settled(read_config(checkpoint.json("config.json")), checkpoint.shapes())
    vision = VisionReference(checkpoint, config)
    embeds = {name: vision.embed(prompt.pixels) for name, prompt in prompts.items() if len(prompt.pixels)}
    del vision
    language = LanguageReference(checkpoint, config)
    logits = {
        name: language.generate(prompt, _rows(embeds.get(name), config.language.hidden), steps[name])
        for name, prompt in prompts.items()
    }
    return embeds, logits


def _rows(embeds: np.ndarray | None, hidden: int) -> np.ndarray:
    """[rows, H]; one row of zeros where there is no picture."""
    return np.zeros((1, hidden), np.float32) if embeds is None else embeds.reshape(-1, hidden)


def _compare(package: Path, prompts: dict[str, Prompt], embeds: dict, logits: dict) -> dict:
    from .runtime import PackageRunner

    steps = len(next(iter(logits.values())))
    runner = PackageRunner(package, max(len(prompt.ids) for prompt in prompts.values()) + steps)
    errors: dict[str, float] = dict.fromkeys(TOLERANCES, 0.0)
    greedy = {"steps": 0, "equal": 0, "ties": [], "wrong": []}
    for name, prompt in prompts.items():
        rows = _rows(None, runner.manifest["vision"]["hidden_size"])
        if name in embeds:
            got = runner.embed(prompt.pixels)
            relative = _error(got, embeds[name]) / float(np.abs(embeds[name]).max())
            errors["image_embeds"] = max(errors["image_embeds"], relative)
            rows = got.reshape(-1, got.shape[-1])
        first = _error(runner.prefill(prompt, rows, len(prompt.ids)), logits[name][0])
        errors["first_logits"] = max(errors["first_logits"], first)
        got = runner.prefill(prompt, rows, CHUNK)
        for step, wanted in enumerate(logits[name]):
            errors["logits"] = max(errors["logits"], _error(got, wanted))
            _compare_choice(greedy, f"{name} {step}", got, wanted)
            if step + 1 < steps:
                got = runner.step(int(wanted.argmax()))
    return {**{name: {"max_error": error} for name, error in errors.items()}, "greedy": greedy}


def _error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest absolute difference; infinite where a value is not finite, as a NaN wins no comparison."""
    return float(np.abs(got - wanted).max()) if np.isfinite(got).all() else float("inf")


def _compare_choice(greedy: dict, where: str, got: np.ndarray, wanted: np.ndarray) -> None:
    """Counts a step as equal, as a tie, or as wrong."""
    greedy["steps"] += 1
    best = int(wanted.argmax())
    if int(got.argmax()) == best:
        greedy["equal"] += 1
        return
    margin = float(wanted[best] - wanted[int(got.argmax())])
    kind = "ties" if margin <= TIE_MARGIN else "wrong"
    greedy[kind].append({"step": where, "margin": margin})
