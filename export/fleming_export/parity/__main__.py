"""Arguments of ``python -m fleming_export.parity``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import reported
from .gate import STEPS, verify
from .prompts import require


def main(arguments: list[str] | None = None) -> int:
    """``verify`` compares an existing package, ``goldens`` writes files to compare with."""
    options = _parser().parse_args(arguments)
    return reported("fleming_export.parity", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    require()
    if options.what == "verify":
        return 0 if verify(options.checkpoint, Path(options.out), options.steps) else 1
    from .goldens import write_goldens

    write_goldens(options.checkpoint, Path(options.out))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleming_export.parity", description=__doc__)
    parser.add_argument("what", choices=["verify", "goldens"])
    parser.add_argument("checkpoint", help="a checkpoint folder, or a hub id")
    parser.add_argument("out", help="the package to verify, or the folder for the goldens")
    parser.add_argument("--steps", type=int, default=STEPS, help="tokens per case that verify compares")
    return parser


if __name__ == "__main__":
    sys.exit(main())
