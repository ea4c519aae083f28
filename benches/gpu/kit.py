"""Proves and measures the runtime on a machine with a GPU: in steps of under ten minutes, without a network.

    python benches/gpu/kit.py all --work DIR --fleming target/release/fleming

Steps keep what they come to in DIR and are not repeated; `all` goes on where it was, also after it was
killed, and ends before `--minutes` are over, with exit code 75 if there is more to do. A step that fails is
told of in the report, and those that do not need it go on. `split` and `join` bring files in small parts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "export"), str(HERE)]

from parts import join, split  # noqa: E402
from runner import Kit  # noqa: E402

if TYPE_CHECKING:
    from plan import Step

#: Exit codes: there is more to do; something failed.
AGAIN, FAILED = 75, 1


def work_through(kit: Kit) -> int:
    """All steps that are not done and that there is time for, and the report of what there is."""
    import plan  # which imports what the steps need, unlike `split` and `join`
    from report import write_report

    for name in kit.options.again or []:
        kit.forget(name)
    code, passed = 0, set()
    for name, step in plan.STEPS.items():
        if kit.options.only and name not in kit.options.only:
            continue
        if not take(kit, name, step):
            code = AGAIN
            break
        passed.add(name)
        if not kit.options.keep:
            plan.tidy(kit, passed)
    write_report(kit, list(plan.STEPS))
    failed = any((kit.outcome(name) or {}).get("status") == "failed" for name in plan.STEPS)
    return code or (FAILED if failed else 0)


def take(kit: Kit, name: str, step: Step) -> bool:
    """Takes a step, unless it is done or left out; false if it is a matter for the next call."""
    from plan import REMOVED, in_the_way

    outcome = kit.outcome(name)
    if outcome and (outcome["status"] != "skipped" or outcome.get("final")):
        return True
    reason = in_the_way(kit, step)
    if reason:
        # the reason from when the package was there says more
        if not (outcome and reason.startswith(REMOVED)):
            print(f"── {name}: left out: {reason}", flush=True)
            kit.keep(name, "skipped", reason=reason)
        return True
    if kit.left() < 60 * min(step.minutes, kit.options.minutes - 0.5):
        print(f"not begun: {name}; call again")
        return False
    print(f"── {name}", flush=True)
    return kit.attempt(name, step.act)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = made.add_subparsers(dest="command", required=True)
    every = commands.add_parser("all", help="run the steps that are not done")
    add = every.add_argument
    add("--work", required=True, help="folder for everything; 50 GB for the 8B shape")
    add("--fleming", default=str(ROOT / "target/release/fleming"), help="the built binary")
    add("--wheels", help="folder with onnxruntime_gpu-*.whl and what Python lacks")
    add("--size", default="8b", help="shape of the checkpoint")
    add("--target", default="cuda", choices=["cpu", "cuda"], help="of the packages, but those for TensorRT")
    add("--float", choices=["f32", "f16"], help="of the packages that are bf16 otherwise")
    add("--provider", default="cuda")
    add("--context", default="8192")
    add("--new-tokens", default="256")
    add("--minutes", type=float, default=9.5, help="time for this call")
    add("--padding", action="store_true", help="measure too whether filled-up groups of query heads pay")
    add("--keep", action="store_true", help="keep packages that no step needs any more")
    add("--only", nargs="*", metavar="STEP", help="these steps and no others")
    add("--again", nargs="*", metavar="STEP", help="take these steps once more")
    cut = commands.add_parser("split", help="cut files into parts under 60 MB")
    cut.add_argument("files", nargs="+")
    cut.add_argument("--out", required=True, type=Path)
    glue = commands.add_parser("join", help="put files together from their parts")
    glue.add_argument("folder", type=Path)
    glue.add_argument("--out", required=True, type=Path)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs the command."""
    options = parser().parse_args(arguments)
    if options.command == "split":
        split(options.files, options.out)
    elif options.command == "join":
        join(options.folder, options.out)
    else:
        return work_through(Kit(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
