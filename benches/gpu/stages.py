"""Traces of the runtime against torch on the same device: python stages.py REQUEST.json ANSWER.json

Each stage is given what the runtime gave it: torch's language model reads the runtime's image embeddings, and
at every step of a reply the tokens that the runtime had chosen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from fleming_export.source import open_checkpoint
from packaged import PackagedWeights
from tolerances import judged, judged_rounded, least
from torch_model import KINDS, both, device, exact, of_checkpoint

#: Room beside the weights, in float32, as a multiple of them.
ROOM = 1.15
#: An error that is none of numbers; JSON has no infinity.
NOT_FINITE = sys.float_info.max
TYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
#: Types of the tower and of the language model.
Kinds = tuple[str, str]
EXACT: Kinds = ("f32", "f32")


class Case:
    """What the runtime wrote about one question."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.reply = json.loads((folder / "reply.json").read_text(encoding="utf-8"))
        self.ids = np.load(folder / "input_ids.npy").reshape(-1)
        self.pixels = np.load(folder / "pixel_values.npy")
        self.embeds = np.load(folder / "image_embeds.npy")
        self.first_logits = np.load(folder / "first_logits.npy").reshape(-1)
        self.tokens = np.array(self.reply["completion_ids"], np.int64)
        self.logprobs = np.array([token["logprob"] for token in self.reply["logprobs"]])

    @property
    def rows(self) -> np.ndarray | None:
        """[rows, H] image embeddings; nothing without a picture."""
        return self.embeds.reshape(-1, self.embeds.shape[-1]).astype(np.float32) if len(self.pixels) else None


def see(case: Case, models: tuple, context: int) -> dict[str, np.ndarray]:
    """What torch makes of a case: image embeddings, and logits [steps, V] before each token of the reply."""
    tower, language = models
    seen = {}
    rows = case.rows
    if rows is not None:
        seen["image_embeds"] = tower.rows(case.pixels.astype(np.float32)).float().cpu().numpy()
        rows = torch.from_numpy(rows).to(device())
    prompt = language.embed(case.ids, context, rows)
    reply = language.embed(case.tokens[:-1], -1, None)
    seen["logits"] = language.logits(torch.cat([prompt, reply], 1), len(case.tokens)).cpu().numpy()
    return seen


def look(cases: list[Case], models: tuple, context: int, kinds: list[Kinds]) -> dict[Kinds, dict]:
    """types -> case -> what torch makes of it; the models come in the first types and are then rounded."""
    seen = {}
    for types in kinds:
        if types != kinds[0]:
            for model, kind in zip(models, types, strict=True):
                model.to(KINDS[kind])
        seen[types] = {case.name: see(case, models, context) for case in cases}
    return seen


def compare(case: Case, measure: dict, beside: dict | None) -> dict:
    """Errors of the runtime, and of torch in the package's type, by the measure."""
    stages = {}
    if case.rows is not None:
        wanted, other = measure["image_embeds"], beside["image_embeds"] if beside else None
        stages["image_embeds"] = stage(case.rows, wanted, other)
    wanted, other = measure["logits"], beside["logits"] if beside else None
    stages["first_logits"] = stage(case.first_logits, wanted[0], other[0] if beside else None)
    steps = np.arange(len(case.tokens))
    chosen = log_softmax(wanted)[steps, case.tokens]
    # of a number and not of a vector: relative to how much logits vary
    scale = float(wanted.std())
    of_torch = log_softmax(other)[steps, case.tokens] - chosen if beside else None
    stages["logprobs"] = {
        "error": rms(case.logprobs - chosen) / scale,
        "torch_error": rms(of_torch) / scale if beside else None,
    }
    gaps = wanted.max(-1) - wanted[steps, case.tokens]
    tokens = {
        "count": len(case.tokens),
        "likeliest_of_reference": float((gaps == 0).mean()),
        "largest_gap": float(gaps.max()),
        "likeliest_by_torch": float((other.argmax(-1) == wanted.argmax(-1)).mean()) if beside else None,
    }
    return {"stages": stages, "tokens": tokens}


def stage(got: np.ndarray, wanted: np.ndarray, other: np.ndarray | None) -> dict:
    """How far the runtime and torch's own rounding are from the measure."""
    finite = bool(np.isfinite(got).all())
    scale = rms(wanted)
    return {
        "error": rms(got - wanted) / scale if finite else NOT_FINITE,
        "torch_error": None if other is None else rms(other - wanted) / scale,
        "largest": float(np.abs(got - wanted).max()) if finite else NOT_FINITE,
        "cosine": cosine(got, wanted) if finite else -1.0,
        "scale": scale,
    }


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def cosine(got: np.ndarray, wanted: np.ndarray) -> float:
    """The least of all rows."""
    got, wanted = (np.atleast_2d(x).astype(np.float64) for x in (got, wanted))
    norms = np.linalg.norm(got, axis=-1) * np.linalg.norm(wanted, axis=-1)
    return float(((got * wanted).sum(-1) / norms).min())


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def exactness(case: Case, question: dict, checkpoint: Path, manifest: dict) -> dict:
    """Whether ids and pixels are those of transformers; null where there is nothing to compare with."""
    if "--volume" in question["study"]:
        return {"ids": None, "pixels": None}
    try:
        from fleming_export.parity.prompts import Case as Asked
        from fleming_export.parity.prompts import Preparer
        from PIL import Image

        pictures = tuple(np.asarray(Image.open(path).convert("RGB")) for path in question["study"][1:])
        asked = Asked(case.name, question["question"], pictures, reasoning=False)
        wanted = Preparer(checkpoint, manifest).prepare(asked)
    except Exception as error:  # versions of transformers differ in how they are asked
        return {"ids": None, "pixels": None, "why": f"{type(error).__name__}: {error}"}
    ids = bool(np.array_equal(case.ids, wanted.ids))
    if not len(case.pixels):
        return {"ids": ids, "pixels": None}
    same = case.pixels.shape == wanted.pixels.shape
    # one unit in the last place, as everywhere in this project
    close = same and np.abs(case.pixels - wanted.pixels) <= np.spacing(np.abs(wanted.pixels))
    return {"ids": ids, "pixels": bool(np.all(close))}


def answer(request: dict) -> dict:
    """All cases of a package: against its own weights, and if they are rounded against the checkpoint's."""
    exact()
    package = Path(request["package"])
    manifest = json.loads((package / "fleming.json").read_text(encoding="utf-8"))
    checkpoint = open_checkpoint(request["checkpoint"])
    content, context = checkpoint.json("config.json"), manifest["tokens"]["image_context"]
    cases = [Case(name, Path(facts["folder"])) for name, facts in request["cases"].items()]
    own = types(manifest)
    kinds = list(dict.fromkeys([EXACT, own] if room(checkpoint) else [own]))
    quantized = manifest["quantization"] is not None
    weights = PackagedWeights(package) if quantized else of_checkpoint(checkpoint)
    names = list(checkpoint.tensors)
    seen = look(cases, both(names, weights, content, kinds[0]), context, kinds)
    measure, shown = ("/".join(dict.fromkeys(kinds)) for kinds in (kinds[0], own))
    found = {"measure": measure, "type": shown, "device": str(device()), "cases": {}}
    for case in cases:
        beside = seen[own][case.name] if len(kinds) > 1 else None
        if kinds == [EXACT]:
            beside = seen[EXACT][case.name]
        facts = compare(case, seen[kinds[0]][case.name], beside)
        facts["exact"] = exactness(case, request["cases"][case.name], Path(request["checkpoint"]), manifest)
        found["cases"][case.name] = judged(facts, least(manifest))
    passed = [facts["passed"] for facts in found["cases"].values()]
    if quantized:
        del seen
        torch.cuda.empty_cache()
        models = both(names, of_checkpoint(checkpoint), content, kinds[0])
        original = look(cases, models, context, kinds[:1])[kinds[0]]
        found["checkpoint"] = {c.name: judged_rounded(compare(c, original[c.name], None)) for c in cases}
        passed += [facts["passed"] for facts in found["checkpoint"].values()]
    return {**found, "passed": all(passed)}


def types(manifest: dict) -> Kinds:
    """In which a package computes."""
    language = manifest["kv"]["dtype"]
    mixed = (manifest["quantization"] or {}).get("activations") or {}
    return TYPES[mixed.get("vision", language)], TYPES[language]


def room(checkpoint) -> bool:
    """Whether the model goes into the device's memory in float32."""
    if not torch.cuda.is_available():
        return True
    values = sum(tensor.values for tensor in checkpoint.tensors.values())
    return torch.cuda.mem_get_info()[0] > ROOM * 4 * values


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps(answer(asked), indent=1), encoding="utf-8")
