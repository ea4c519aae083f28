"""Arguments of ``python -m fleming_export.demo``."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from ..errors import ExportError, reported, to_install


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code is 0 if it succeeded."""
    options = _parser().parse_args(arguments)
    return reported("fleming_export.demo", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    print(options.run(Path(options.out), options))
    return 0


def _cases(out: Path, options: argparse.Namespace) -> Path:
    from .cases import ASSETS, write_cases

    return write_cases(out, options.seed, options.per_kind, tuple(options.kinds or ASSETS))


def _examples(out: Path, options: argparse.Namespace) -> Path:
    from .cases import write_examples

    return write_examples(out)


def _validate(out: Path, options: argparse.Namespace) -> str:
    _need_torch(options.threads)
    from .questions import KINDS
    from .train import Options, Trainer

    # the tower's trainer joins what was learned last: together, or else the language alone
    trainer = Trainer(out, Options("tower", device=options.device))
    trainer.resume()
    trainer.join()
    figures = {kind: trainer.validate(kind, options.count) for kind in KINDS}
    return "\n".join(
        f"{kind}: {row['right']:.3f} exact, loss {row['loss']:.4f}" for kind, row in figures.items()
    )


def _need_torch(threads: int | None) -> None:
    try:
        import torch
    except ImportError:
        hint = to_install("train")
        raise ExportError("torch", "the library, to train", "not installed", hint) from None
    if threads:
        torch.set_num_threads(threads)


def _train(out: Path, options: argparse.Namespace) -> Path:
    _need_torch(options.threads)
    from .train import HOURS, Options, run

    if options.part is None:
        return _train_all(out, options)
    if (out / f"{options.part}.pt").exists() and not options.resume:
        raise ExportError(str(out), "a new folder, or --resume", "a training is there")
    hours = HOURS[options.part] if options.hours is None else options.hours
    chosen = Options(options.part, hours, options.device, options.seed, options.workers)
    return run(out, chosen, resume=options.resume)


def _train_all(out: Path, options: argparse.Namespace) -> Path:
    """All three parts, each in a process of its own: tower and language at the same time, then together."""
    if options.hours is not None or options.resume:
        raise ExportError("--hours and --resume", "--part with them", "no part: each has its own time")

    def start(part: str) -> subprocess.Popen:
        words = ["train", out, "--part", part, "--seed", options.seed, "--workers", options.workers]
        words += ["--device", options.device, "--threads", options.threads or 1]
        return subprocess.Popen([sys.executable, "-m", "fleming_export.demo", *map(str, words)])

    for parts in (("tower", "language"), ("together",)):
        running = {part: start(part) for part in parts}
        failed = [part for part, process in running.items() if process.wait() != 0]
        if failed:
            hint = "see the message above; --part PART --resume goes on with one"
            raise ExportError(str(out), "all parts trained", f"{' and '.join(failed)} failed", hint)
    return out / "checkpoint"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleming_export.demo", description=__doc__)
    commands = parser.add_subparsers(required=True)
    cases = commands.add_parser("cases", help="write inputs and cases.jsonl of the test split")
    cases.add_argument("out")
    cases.add_argument("--seed", type=int, default=0)
    cases.add_argument("--per-kind", type=int, default=10)
    cases.add_argument("--kinds", nargs="+", help="only these; mixed is a picture with a volume or a clip")
    cases.set_defaults(run=_cases)
    examples = commands.add_parser("examples", help="write the repository's examples and cases.jsonl")
    examples.add_argument("out")
    examples.set_defaults(run=_examples)
    train = commands.add_parser("train", help="train the demo model and write its checkpoint")
    train.add_argument("out")
    train.add_argument("--part", choices=["tower", "language", "together"], help="only this one")
    train.add_argument("--hours", type=float, help="of the part [default: its own]")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--workers", type=int, default=1, help="processes that draw")
    train.add_argument("--resume", action="store_true", help="go on from the last save")
    train.set_defaults(run=_train)
    validate = commands.add_parser("validate", help="exact replies of the last saves of both parts, by kind")
    validate.add_argument("out")
    validate.add_argument("--count", type=int, default=96, help="samples of a kind")
    validate.set_defaults(run=_validate)
    for command in (train, validate):
        command.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
        command.add_argument("--threads", type=int, help="threads of torch")
    return parser


if __name__ == "__main__":
    sys.exit(main())
