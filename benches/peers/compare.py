"""Measures fleming and its peers on this machine, in turn, and prints one table. README.md says how.

benches/peers/run                                    # everything
benches/peers/run --only prefill decode --contexts 512 --ours int4 --peers Q4_0/f16
benches/peers/run --table                            # of what was measured before
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from building import Failed, Workshop  # noqa: E402
from machine import IDLE, Clock, busy_process, facts, wait_until_idle  # noqa: E402
from table import OURS, page  # noqa: E402
from visits import Visit, agreement, fleming, llama, rows, transformers, visits  # noqa: E402

LLAMA, TORCH = "llama.cpp ", "transformers "
#: What a side's name begins with -> what measures it.
ASK = {OURS: fleming, LLAMA: llama, TORCH: transformers}


def sides(options: argparse.Namespace) -> list[str]:
    """Everything that is measured, in its order."""
    names = [f"{OURS}{one}" for one in options.ours] + [f"{LLAMA}{one}" for one in options.peers]
    return [*names, f"{TORCH}bf16"] if options.torch else names


def build(workshop: Workshop, options: argparse.Namespace) -> None:
    """What the sides need and is not there."""
    workshop.environment(torch=options.torch)
    workshop.make_checkpoint(options.size)
    for precision in options.ours:
        workshop.make_package(precision)
    kinds = [peer.split("/") for peer in options.peers]
    workshop.make_gguf(
        *(list(dict.fromkeys(kind)) for kind in zip(*kinds, strict=True)) if kinds else ([], [])
    )


def run_visit(workshop: Workshop, side: str, visit: Visit, options: argparse.Namespace) -> dict:
    """One side's turn; again where others disturbed it, and then the least disturbed."""
    tried = []
    for _ in range(options.attempts):
        wait_until_idle(options.patience)
        tried.append(attempt(workshop, side, visit, options))
        if tried[-1]["others"] < IDLE:
            break
    return min(tried, key=lambda outcome: ("error" in outcome, outcome["others"]))


def attempt(workshop: Workshop, side: str, visit: Visit, options: argparse.Namespace) -> dict:
    """What a side answers, with what others did meanwhile."""
    clock, started = Clock(), time.monotonic()
    name, _, kind = side.partition(" ")
    with busy_process() if visit.busy else nullcontext():
        try:
            outcome = {"answer": ASK[f"{name} "](workshop, kind, visit, given(options))}
        except Failed as error:
            print(f"{side}: {error}", file=sys.stderr, flush=True)
            outcome = {"error": str(error)}
    seconds = round(time.monotonic() - started, 1)
    return {**outcome, "others": round(clock.others(), 2), "seconds": seconds}


def given(options: argparse.Namespace) -> dict:
    """What every side is told."""
    return {"fleming": options.fleming, "threads": options.threads, "avx2": options.avx2}


def compare(workshop: Workshop, options: argparse.Namespace, found: dict) -> None:
    """Whether the files of llama.cpp mean the model that our packages are."""
    for peer in options.peers:
        cosines = agreement(workshop, options.ours[0], peer, given(options))
        told = f"lowest {cosines['lowest']:.5f}, mean {cosines['mean']:.5f}"
        pair = f"{OURS}{options.ours[0]} and {LLAMA}{peer}"
        found["agreement"][pair] = told
        keep(options.json, found)


def measure(workshop: Workshop, options: argparse.Namespace, found: dict) -> bool:
    """All visits that are asked for, in rounds: every side in turn, and again; false if one failed."""
    asked = [row for row in rows(options.contexts) if not options.only or row.stage in options.only]
    wanted = {visit for row in asked for visit in (row.visit, row.against)}
    good = True
    for name, visit in visits(options.contexts).items():
        done, before = [], found["visits"].get(name)
        for number in range(options.rounds if name in wanted else 0):
            print(f"── {name}, round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            done.append({})
            for side in sides(options):
                done[-1][side] = run_visit(workshop, side, visit, options)
                good = good and "answer" in done[-1][side]
                found["versions"] |= versions(done[-1][side])
                # A first round that does not come to its end takes the place of no other.
                if not before or number or len(done[0]) == len(sides(options)):
                    found["visits"][name] = {"date": time.strftime("%Y-%m-%dT%H:%M"), "rounds": done}
                    keep(options.json, found)
    return good


def versions(outcome: dict) -> dict:
    """What a side says that it is."""
    answer = outcome.get("answer") or {}
    if "fleming" in answer:
        return {"fleming": answer["fleming"], "ONNX Runtime": answer["onnxruntime"]["library"]}
    if "llama_cpp_python" in answer:
        return {"llama-cpp-python": answer["llama_cpp_python"], "llama.cpp was built with": answer["system"]}
    return {name: answer[name] for name in ("torch", "transformers") if name in answer}


def keep(path: Path, found: dict) -> None:
    """Writes the results as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.partial")
    aside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    os.replace(aside, path)


def earlier(options: argparse.Namespace) -> dict:
    """What the file of results has of this machine already; other visits are added to it."""
    machine = facts(options.threads, avx2=options.avx2)
    blank = {
        "machine": machine,
        "versions": {},
        "size": options.size,
        "agreement": {},
        "sides": [],
        "visits": {},
    }
    if not options.json.is_file():
        if options.table:
            raise SystemExit(f"{options.json}: no such file; nothing was measured yet")
        return blank
    found = json.loads(options.json.read_text(encoding="utf-8"))
    same = all(found["machine"][field] == machine[field] for field in ("cpu", "threads", "instruction_sets"))
    if not options.table and (not same or found["size"] != options.size):
        raise SystemExit(
            f"{options.json}: results of another machine, number of threads or size; name another --json"
        )
    return found


def pair(word: str) -> str:
    """TEXT/PROJECTOR."""
    if word.count("/") != 1:
        raise argparse.ArgumentTypeError(f"wanted TEXT/PROJECTOR, like Q4_0/f16, got {word}")
    return word


def parser() -> argparse.ArgumentParser:
    """The command line."""
    stages = list(dict.fromkeys(row.stage for row in rows([512])))
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument
    work = ROOT / "target/peers"
    add("--only", nargs="+", choices=stages, metavar="STAGE", help=f"of {', '.join(stages)}")
    add("--ours", nargs="*", default=["f32", "int8", "int4"], metavar="P", help="precisions of our packages")
    add(
        "--peers",
        nargs="*",
        type=pair,
        default=["Q4_0/f16", "Q8_0/q8_0"],
        metavar="TEXT/PROJECTOR",
        help="types of llama.cpp",
    )
    add("--contexts", nargs="+", type=int, default=[512, 4000, 8000], metavar="N", help="tokens of a prompt")
    add("--rounds", type=int, default=3, help="paired runs")
    add("--threads", type=int, default=os.cpu_count(), help="of either side")
    add("--size", default="1b", help="shape of the checkpoint, a name of fleming_export.synthetic")
    add("--checkpoint", type=Path, help="a checkpoint in place of a synthetic one")
    add("--fleming", default=ROOT / "target/release/fleming", type=Path, help="the built binary")
    add(
        "--patience",
        type=float,
        default=60,
        help="seconds to wait before a run for others to leave the machine idle",
    )
    add("--attempts", type=int, default=2, help="of a run that others disturb; the least disturbed counts")
    add("--work", type=Path, default=work, help="folder for everything that is built; 12 GB for the 1B shape")
    add(
        "--json",
        type=Path,
        default=work / "results.json",
        help="file of all results; what is not measured now stays",
    )
    add(
        "--avx2",
        action="store_true",
        help="both sides with AVX2 alone: a llama.cpp built for it, and our kernels; name another --json",
    )
    add("--torch", action="store_true", help="transformers with torch too: 5 GB from PyPI")
    add("--check", action="store_true", help="measure nothing: compare the image embeddings of both sides")
    add("--table", action="store_true", help="only print the table of that file")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs the command."""
    options, good = parser().parse_args(arguments), True
    found = earlier(options)
    if not options.table:
        if not options.fleming.is_file():
            raise SystemExit(f"{options.fleming}: no such program: cargo build --release")
        workshop = Workshop(options.work, options.checkpoint, avx2=options.avx2)
        build(workshop, options)
        found["sides"] = list(dict.fromkeys([*found["sides"], *sides(options)]))
        if options.check:
            compare(workshop, options, found)
        else:
            good = measure(workshop, options, found)
    print(page(found, rows(contexts(found, options))), end="")
    return 0 if good else 1


def contexts(found: dict, options: argparse.Namespace) -> list[int]:
    """The lengths that were measured, now or before."""
    measured = {int(name.removeprefix("text-")) for name in found["visits"] if name.startswith("text-")}
    return sorted(measured | set(options.contexts))


if __name__ == "__main__":
    # so that the programs that run end too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
