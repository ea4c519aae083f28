"""Arguments of ``python -m fleming_export``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import PRECISIONS, TARGETS, __version__, export, make_recipe
from .errors import reported


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code is 0 if everything that was asked for succeeded."""
    options = _parser().parse_args(arguments)
    try:
        return reported("fleming_export", lambda: _run(options))
    except KeyboardInterrupt:
        print("fleming_export: interrupted; nothing was left behind", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    recipe = make_recipe(options.target, options.precision)
    if options.verify:
        # a missing library is reported before the work, not after it
        from . import parity, quality

        (quality if recipe.quantized else parity).require()
    out = Path(options.out)
    export(options.checkpoint, out, recipe=recipe, force=options.force)
    print(out)
    if options.verify:
        verify = quality.verify if recipe.quantized else parity.verify
        return 0 if verify(options.checkpoint, out) else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fleming_export", description="Export an InternVL3 checkpoint."
    )
    parser.add_argument(
        "checkpoint", help="a checkpoint folder in the original layout, or a hub id (owner/name)"
    )
    parser.add_argument("out", help="the package folder to make")
    parser.add_argument("--target", choices=TARGETS, default="cpu", help="where the package is to run")
    parser.add_argument("--precision", choices=PRECISIONS, help="precision of the weights")
    parser.add_argument(
        "--verify", action="store_true", help="compare with torch and record it in fleming.json"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing package")
    parser.add_argument("--version", action="version", version=__version__)
    return parser


if __name__ == "__main__":
    sys.exit(main())
