"""Steps that prove something: parity with torch, and that CUDA graphs change nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from runner import ROOT, Kit, Missing, StepFailed, write_json
from steps import GRAPHS

NEW_TOKENS = 32
EXAMPLES = ROOT / "examples"
#: case -> question, and what to look at.
CASES = {
    "text": ("List three causes of chest pain.", []),
    "image": ("Is there a nodule in the right lung?", ["--image", EXAMPLES / "chest.png"]),
    "volume": ("What is seen in the upper lobes?", ["--volume", EXAMPLES / "volume.npz"]),
}
QUESTIONS = (
    "Is there a pleural effusion?",
    "What is the size of the heart?",
    "Describe the bones.",
    "Which organ is shown?",
    "Is anything abnormal?",
    "What would you do next?",
    "List three causes of chest pain.",
    "Is there a fracture of a rib?",
)
#: Questions at once: alone every step is the same; together it depends on the moment which of them share a
#: step, and kernels for other batches round otherwise.
AT_ONCE = (1, 4)


def ask(kit: Kit, case: str, out: Path, *more: object) -> dict:
    """One question, traced; the reply lies beside the trace, and is not asked for again."""
    if not (out / "reply.json").is_file():
        shutil.rmtree(out, ignore_errors=True)
        question, study = CASES[case]
        words = ["-q", question, *study, "--prompt", "direct", "--max-new-tokens", NEW_TOKENS]
        words += ["--ignore-eos", "--logprobs", 1, "--context", 4096, "--json", "--trace", out]
        write_json(out / "reply.json", json.loads(kit.fleming("ask", *words, *more)))
        kit.progressed()
    return json.loads((out / "reply.json").read_text(encoding="utf-8"))


def parity_step(kit: Kit, name: str, provider: str | None = None) -> dict:
    """Image embeddings, first logits and the reply's tokens against torch on the same device."""
    place = ["--model", kit.package(name), "--provider", provider or kit.options.provider]
    cases = {}
    for case, (question, study) in CASES.items():
        out = kit.work / f"trace-{name}-{case}"
        ask(kit, case, out, *place)
        cases[case] = {"folder": str(out), "question": question, "study": list(map(str, study))}
    return kit.in_torch("stages.py", f"parity-{name}", {"package": str(kit.package(name)), "cases": cases})


def switched(kit: Kit, name: str, on: str) -> list[object]:
    """Options for a package with CUDA graphs on or off."""
    place = ["--model", kit.package(name), "--provider", kit.options.provider]
    return [*place, "--provider-option", f"{GRAPHS}={on}"]


def without_graphs(error: StepFailed) -> Exception:
    """What a failure means: perhaps only that this build knows no such option."""
    if f"provider-option {GRAPHS}" in str(error) and "an option of" in str(error):
        return Missing(f"this provider of this build has no option {GRAPHS}")
    return error


def graphs_step(kit: Kit, name: str) -> dict:
    """Replies with CUDA graphs and without: the same tokens, probabilities and first logits."""
    step = f"graphs-{name}"
    try:
        found = {}
        for at_once in AT_ONCE:
            sides = [
                kit.part(step, f"{at_once}-{on}", lambda on=on, n=at_once: replies(kit, name, on, n))
                for on in ("true", "false")
            ]
            found[f"at_once_{at_once}"] = same(*sides)
        folders = [kit.work / f"trace-{name}-graphs-{on}" for on in ("true", "false")]
        asked = [
            ask(kit, "image", folder, *switched(kit, name, on))
            for folder, on in zip(folders, ("true", "false"), strict=True)
        ]
    except StepFailed as error:
        raise without_graphs(error) from None
    logits = [np.load(folder / "first_logits.npy") for folder in folders]
    found["first_logits_equal"] = bool(np.array_equal(*logits))
    found["reply_equal"] = asked[0]["completion_ids"] == asked[1]["completion_ids"]
    alone = found["at_once_1"]
    passed = alone["equal_ids"] == alone["replies"] and found["first_logits_equal"] and found["reply_equal"]
    return {**found, "new_tokens": 4 * NEW_TOKENS, "passed": passed}


def replies(kit: Kit, name: str, on: str, at_once: int) -> dict:
    """Question -> tokens and their log-probabilities."""
    asked, answers = (kit.work / f"graphs-{part}.jsonl" for part in ("in", "out"))
    lines = [json.dumps({"id": str(i), "question": text}) for i, text in enumerate(QUESTIONS)]
    asked.write_text("\n".join(lines) + "\n", encoding="utf-8")
    answers.unlink(missing_ok=True)
    words = ["--prompt", "direct", "--max-new-tokens", 4 * NEW_TOKENS, "--ignore-eos", "--logprobs", 1]
    words += ["--context", 4096, "--concurrency", at_once]
    kit.fleming("batch", asked, answers, *words, *switched(kit, name, on))
    read = map(json.loads, answers.read_text(encoding="utf-8").splitlines())
    return {
        row["id"]: [row["completion_ids"], [token["logprob"] for token in row["logprobs"]]] for row in read
    }


def same(on: dict, off: dict) -> dict:
    """How many replies are the same, and how far probabilities are apart as long as the tokens agree."""
    apart = 0.0
    for key, (ids, logprobs) in on.items():
        others, other_logprobs = off[key]
        equal = [a == b for a, b in zip(ids, others, strict=False)]
        agreed = equal.index(False) if False in equal else len(equal)
        pairs = zip(logprobs[:agreed], other_logprobs[:agreed], strict=True)
        apart = max([apart, *(abs(a - b) for a, b in pairs)])
    equal = sum(on[key][0] == off[key][0] for key in on)
    return {"replies": len(on), "equal_ids": equal, "largest_logprob_difference": apart}
