"""Arguments of ``python -m fleming_export.quality``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import reported
from ..synthetic.sizes import SIZES
from . import Asked, require, verify


def main(arguments: list[str] | None = None) -> int:
    """``verify`` compares a package, the others make the figures of the README."""
    options = _parser().parse_args(arguments)
    return reported("fleming_export.quality", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.what == "memory":
        from ..memory import print_table as print_memory

        print_memory(options.sizes)
        return 0
    require()
    if options.what == "peak":
        from .peak import print_peak

        print_peak(options.package, options.context)
        return 0
    if options.what == "llama":
        from .llama import print_table as print_llama

        print_llama(options.checkpoints, options.positions)
        return 0
    if options.what == "kernels":
        from .kernels import measure, print_table

        print_table(measure(options.rounds, options.threads))
        return 0
    if options.what == "schemes":
        from .schemes import print_table as print_schemes

        print_schemes(options.checkpoints, options.rows)
        return 0
    answers = tuple(options.answers) if options.answers else None
    asked = Asked(options.cases, tuple(options.traces), answers)
    return 0 if verify(options.checkpoint, Path(options.package), options.reference, asked) else 1


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
    quality = kinds.add_parser("schemes", help="quality of the schemes on checkpoints")
    quality.add_argument("checkpoints", nargs="+")
    quality.add_argument("--rows", default="", help="only schemes with this in their name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
