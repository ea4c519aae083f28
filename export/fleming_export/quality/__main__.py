"""Arguments of ``python -m fleming_export.quality``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import reported
from ..synthetic.sizes import SIZES
from .gate import Asked, require, verify


def main(arguments: list[str] | None = None) -> int:
    """``verify`` compares a package, the others make the figures of the README."""
    options = _parser().parse_args(arguments)
    return reported("fleming_export.quality", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.what != "memory":
        require()
    return ACTS[options.what](options) or 0


def _memory(options: argparse.Namespace) -> None:
    from ..memory import print_table

    print_table(options.sizes)


def _peak(options: argparse.Namespace) -> None:
    from .peak import print_peak

    print_peak(options.package, options.context)


def _llama(options: argparse.Namespace) -> None:
    from .llama import print_table

    print_table(options.checkpoints, options.positions)


def _kernels(options: argparse.Namespace) -> None:
    from .kernels import measure, print_table

    print_table(measure(options.rounds, options.threads))


def _tower(options: argparse.Namespace) -> None:
    from .tower import print_table

    print_table(options.checkpoints, options.threads)


def _schemes(options: argparse.Namespace) -> None:
    from .schemes import print_table

    print_table(options.checkpoints, options.rows)


def _verify(options: argparse.Namespace) -> int:
    answers = tuple(options.answers) if options.answers else None
    asked = Asked(options.cases, tuple(options.traces), answers, options.library)
    return 0 if verify(options.checkpoint, Path(options.package), options.reference, asked) else 1


#: Each imports what it needs: not every extra is installed everywhere.
ACTS = {
    "verify": _verify,
    "peak": _peak,
    "kernels": _kernels,
    "memory": _memory,
    "llama": _llama,
    "tower": _tower,
    "schemes": _schemes,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleming_export.quality", description=__doc__)
    kinds = parser.add_subparsers(dest="what", required=True)
    compared = kinds.add_parser("verify", help="a package against the f32 package")
    compared.add_argument("checkpoint", help="what the package was made of")
    compared.add_argument("package")
    compared.add_argument("--reference", type=Path, help="an f32 package that there is already")
    compared.add_argument("--cases", type=Path, help="a file as fleming eval reads it; else own questions")
    compared.add_argument(
        "--traces", type=Path, nargs="+", default=(), help="folders that fleming eval --trace has written"
    )
    compared.add_argument(
        "--answers",
        type=Path,
        nargs=2,
        metavar=("PACKAGE.json", "F32.json"),
        help="what fleming eval --json printed for both packages",
    )
    compared.add_argument(
        "--library",
        type=Path,
        help="libfleming.so, with whose kernels the package is run; else ONNX Runtime's",
    )
    peak = kinds.add_parser("peak", help="memory of a package by the formula, and measured")
    peak.add_argument("package", type=Path)
    peak.add_argument("--context", type=int, default=8192)
    speed = kinds.add_parser("kernels", help="speed of the forms of a product on this machine")
    speed.add_argument("--rounds", type=int, default=7)
    speed.add_argument("--threads", type=int, default=2)
    memory = kinds.add_parser("memory", help="gigabytes by size, precision and context")
    memory.add_argument("sizes", nargs="+", choices=SIZES)
    llama = kinds.add_parser(
        "llama", help="KL divergence beside llama.cpp's quantisation of the same weights"
    )
    llama.add_argument("checkpoints", nargs="+")
    llama.add_argument("--positions", type=int, default=256, help="of a sequence")
    tower = kinds.add_parser("tower", help="the vision tower in 8 bits in blocks and by dynamic quantisation")
    tower.add_argument("checkpoints", nargs="+")
    tower.add_argument("--threads", type=int, default=1)
    quality = kinds.add_parser("schemes", help="quality of the schemes on checkpoints")
    quality.add_argument("checkpoints", nargs="+")
    quality.add_argument("--rows", default="", help="only schemes with this in their name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
