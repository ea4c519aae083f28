"""Every step in its order, with what it needs and why it may be left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from proofs import graphs_step, parity_step, switched, without_graphs
from runner import Kit, StepFailed
from steps import (
    PACKAGES,
    bench_step,
    checkpoint_step,
    doctor_step,
    export_step,
    first_token_step,
    library_step,
    machine_step,
    python_step,
    torch_step,
    warm_step,
)

STREAMS = "1,8,32"
#: The profiles of a TensorRT package go no further.
FEW_STREAMS = "1,8"
EXPORT = "export-"
REMOVED = "the package was removed"


@dataclass(frozen=True)
class Step:
    """What is done, and after what; with fewer minutes left it is not begun, and where they do not do, the
    next call has all of its time for it."""

    act: Callable[[Kit], dict]
    needs: tuple[str, ...] = ()
    minutes: float = 3
    #: why it is left out here, if it is
    unless: Callable[[Kit], str | None] = lambda _: None


def unusable(kit: Kit) -> str | None:
    """Why the provider under test runs nothing here."""
    found = kit.done("doctor")
    return "doctor: " + "; ".join(found["problems"]) if found and not found["ok"] else None


def no_torch(kit: Kit) -> str | None:
    """Why there is nothing to compare with."""
    missing = (kit.done("python") or {}).get("missing")
    return f"Python has no {', '.join(missing)}" if missing else None


def no_tensorrt(kit: Kit) -> str | None:
    """Why TensorRT runs nothing here, by what doctor says of its libraries."""
    found = kit.done("doctor")
    if found is None:
        return "doctor has not told what there is"
    facts = next((row for row in found.get("providers", []) if row["name"] == "tensorrt"), None)
    if facts is None or not facts["built_in"]:
        return "this ONNX Runtime was built without TensorRT"
    missing = [library["name"] for library in facts["libraries"] if library["path"] is None]
    if missing:
        return f"no {', '.join(missing)} on this machine"
    return facts["problem"]


def only_cuda(kit: Kit) -> str | None:
    """Some packages are for CUDA alone."""
    return None if kit.options.target == "cuda" else "a package for the target cuda"


def no_padding(kit: Kit) -> str | None:
    """Padding is a question of its own, and takes two packages more."""
    return only_cuda(kit) or (None if kit.options.padding else "--padding was not asked for")


def graphs_off(kit: Kit, name: str) -> dict:
    """The bench of a package without CUDA graphs."""
    try:
        return bench_step(kit, name, STREAMS, *switched(kit, name, "false")[4:])
    except StepFailed as error:
        raise without_graphs(error) from None


def _of(name: str, unless: Callable[[Kit], str | None]) -> dict[str, Step]:
    """Export, parity, first token and bench of a package."""
    export = (f"{EXPORT}{name}",)

    def why(kit: Kit) -> str | None:
        return unless(kit) or unusable(kit)

    def alone(kit: Kit) -> str | None:
        return why(kit) or no_torch(kit)

    return {
        export[0]: Step(partial(export_step, name=name), ("checkpoint",), 4, unless),
        f"parity-{name}": Step(partial(parity_step, name=name), export, 4, alone),
        f"first-token-{name}": Step(partial(first_token_step, name=name), export, 2, why),
        f"bench-{name}": Step(partial(bench_step, name=name, streams=STREAMS), export, 2, why),
    }


def _graphs(name: str) -> dict[str, Step]:
    """CUDA graphs on and off with a package."""
    export = (f"{EXPORT}{name}",)
    return {
        f"graphs-{name}": Step(partial(graphs_step, name=name), export, 3, unusable),
        f"bench-{name}-graphs-off": Step(partial(graphs_off, name=name), export, 2, unusable),
    }


def _padded(name: str) -> dict[str, Step]:
    """Only what shows whether padding pays."""
    export = (f"{EXPORT}{name}",)

    def why(kit: Kit) -> str | None:
        return no_padding(kit) or unusable(kit)

    return {
        export[0]: Step(partial(export_step, name=name), ("checkpoint",), 4, no_padding),
        f"bench-{name}": Step(partial(bench_step, name=name, streams=STREAMS), export, 2, why),
    }


def _tensorrt() -> dict[str, Step]:
    """The same by TensorRT, after its engines have been built."""
    name = provider = "tensorrt"
    warm = (f"{EXPORT}{name}", "warm-tensorrt")
    bench = partial(bench_step, name=name, streams=FEW_STREAMS, provider=provider)
    first = partial(first_token_step, name=name, provider=provider)
    parity = partial(parity_step, name=name, provider=provider)
    return {
        warm[0]: Step(partial(export_step, name=name), ("checkpoint",), 4, no_tensorrt),
        warm[1]: Step(warm_step, warm[:1], 9, no_tensorrt),
        f"parity-{name}": Step(parity, warm, 4, lambda kit: no_tensorrt(kit) or no_torch(kit)),
        f"first-token-{name}": Step(first, warm, 2, no_tensorrt),
        f"bench-{name}": Step(bench, warm, 2, no_tensorrt),
    }


STEPS: dict[str, Step] = {
    "python": Step(python_step),
    "library": Step(library_step),
    "machine": Step(machine_step, ("python",)),
    "checkpoint": Step(checkpoint_step, ("python",), 4),
    "export-bf16": Step(partial(export_step, name="bf16"), ("checkpoint",), 4),
    "doctor": Step(doctor_step, ("library", "export-bf16")),
    **{name: step for name, step in _of("bf16", lambda _: None).items() if name != "export-bf16"},
    **_graphs("bf16"),
    "torch": Step(torch_step, ("checkpoint",), 3, no_torch),
    **_of("int4", lambda _: None),
    **_graphs("int4"),
    **_tensorrt(),
    **_of("int4-bf16", only_cuda),
    **_padded("bf16-padded"),
    **_padded("int4-padded"),
}


def users(package: str) -> list[str]:
    """The steps that read a package."""
    return [name for name, step in STEPS.items() if f"{EXPORT}{package}" in step.needs]


def settled(kit: Kit, step: str) -> bool:
    """Whether a step came to something."""
    return kit.outcome(step) is not None


def tidy(kit: Kit, passed: set[str]) -> None:
    """Removes the packages that no step will read any more: all of those were passed in this call."""
    for package in PACKAGES:
        if passed.issuperset(users(package)) and all(settled(kit, step) for step in users(package)):
            kit.drop(package)


def in_the_way(kit: Kit, step: Step) -> str | None:
    """Why a step cannot be taken, or is left out."""
    reason = step.unless(kit)
    for need in step.needs:
        outcome = kit.outcome(need)
        if outcome is None:
            return reason or f"{need} was not run"
        if outcome["status"] != "done":
            came_to = "failed" if outcome["status"] == "failed" else "was left out"
            return reason or f"{need} {came_to}"
        if need.startswith(EXPORT) and not kit.package(need.removeprefix(EXPORT)).is_dir():
            return reason or f"{REMOVED}: --again {need}"
    return reason
