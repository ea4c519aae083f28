"""How many questions of a kind a package and its f32 package answer right, as ``fleming eval`` counted."""

from __future__ import annotations

from pathlib import Path

from ..errors import ExportError
from ..files import read_json

#: Points of accuracy, in any kind, that a package may fall behind the f32 package.
POINTS = 1.0


def accuracy(package: Path, reference: Path) -> dict[str, dict]:
    """By kind: share of right answers of both, and of how many; the files are what ``--json`` printed."""
    ours, theirs = _kinds(package), _kinds(reference)
    counts = [{kind: facts["count"] for kind, facts in kinds.items()} for kinds in (ours, theirs)]
    if counts[0] != counts[1]:
        raise ExportError(str(package), f"the cases of {reference.name}: {counts[1]}", counts[0])
    return {
        kind: {
            "cases": facts["count"],
            "reference": theirs[kind]["accuracy"],
            "package": facts["accuracy"],
        }
        for kind, facts in ours.items()
    }


def is_near(answers: dict[str, dict]) -> bool:
    """Whether no kind falls behind by more than the points that are allowed."""
    behind = (facts["reference"] - facts["package"] for facts in answers.values())
    return all(100 * part <= POINTS + 1e-9 for part in behind)


def _kinds(path: Path) -> dict[str, dict]:
    kinds = read_json(path).get("kinds")
    wanted = "what fleming eval --json prints: kinds with accuracy and count"
    if not isinstance(kinds, dict) or not kinds:
        raise ExportError(str(path), wanted, "no kinds")
    for kind, facts in kinds.items():
        if not isinstance(facts, dict) or not {"accuracy", "count"} <= facts.keys():
            raise ExportError(f"{path}, {kind}", wanted, facts)
    return kinds
