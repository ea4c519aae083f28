"""Arguments of ``python -m fleming_export``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from . import self_test
from .check import describe_checkpoint
from .errors import reported
from .pipeline import export
from .recipe import PRECISIONS, TARGETS, Choices, Recipe, make_recipe
from .version import VERSION


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code is 0 if everything that was asked for succeeded."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for verb, run in (("check", _check), ("inspect", _inspect), ("self-test", _self_test)):
        if arguments[:1] == [verb]:
            return reported("fleming_export", lambda run=run: run(arguments[1:]))
    options = _parser().parse_args(arguments)
    try:
        return reported("fleming_export", lambda: _run(options))
    except KeyboardInterrupt:
        print("fleming_export: interrupted; no half-made package was left behind", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    recipe = _recipe(options)
    if options.self_test:
        self_test.require()
    if options.verify:
        # a missing library, or a target that cannot be run here, is reported before the work and not after it
        from . import parity, quality

        check = quality if recipe.quantized else parity
        check.require(recipe)
    out = Path(options.out)
    export(options.checkpoint, out, recipe=recipe, force=options.force)
    print(out, flush=True)
    if options.self_test is not False:
        self_test.after_export(out, options.checkpoint, demanded=bool(options.self_test))
    if options.verify:
        return 0 if check.verify(options.checkpoint, out) else 1
    return 0


def _recipe(options: argparse.Namespace) -> Recipe:
    activations = {"f16": "float16", "bf16": "bfloat16", None: None}[options.activations]
    choices = Choices(activations, options.block, options.capacity, options.pad_groups)
    return make_recipe(options.target, options.precision, choices)


def _check(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fleming_export check",
        description="Say what a checkpoint is and what would be made of it, without reading its weights.",
    )
    parser.add_argument("checkpoint", help="a checkpoint folder, an f32 package, or a hub id (owner/name)")
    text, good = describe_checkpoint(parser.parse_args(arguments).checkpoint)
    print(text)
    return 0 if good else 1


def _inspect(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fleming_export inspect", description="Say what a package is and needs."
    )
    parser.add_argument("package")
    from .inspect import describe

    print(describe(Path(parser.parse_args(arguments).package)))
    return 0


def _self_test(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fleming_export self-test",
        description="Put a self-test into a package, or a new one in place of the old.",
    )
    parser.add_argument("package", type=Path)
    asked = "for a package for a GPU: an f32 package for cpu of the same checkpoint"
    parser.add_argument("--reference", type=Path, help=asked)
    options = parser.parse_args(arguments)
    self_test.add(options.package, reference=options.reference)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fleming_export",
        description="Export an InternVL3 checkpoint. Also: check CHECKPOINT, inspect and self-test PACKAGE.",
    )
    add = parser.add_argument
    add("checkpoint", help="a checkpoint folder, or a hub id (owner/name)")
    add("out", help="the package folder to make")
    add("--target", choices=TARGETS, default="cpu", help="where the package is to run")
    add("--precision", choices=PRECISIONS, help="precision of the weights; export/README.md has the defaults")
    add("--activations", choices=["bf16", "f16"], help="of the decoder of an int8 or int4 package for cuda")
    add("--block", type=int, choices=[16, 32, 64, 128, 256], help="values that share a scale")
    add("--capacity", type=int, help="positions of the KV buffers (tensorrt)")
    add("--pad-groups", action="store_true", help="fill up groups of query heads for the fast kernel (cuda)")
    asked = "ask it fixed questions and record the answers; by default where there is memory for it"
    add("--self-test", action=argparse.BooleanOptionalAction, help=asked)
    add("--verify", action="store_true", help="compare with the model and record it in fleming.json")
    add("--force", action="store_true", help="replace an existing package")
    add("--version", action="version", version=VERSION)
    return parser


if __name__ == "__main__":
    # so that whoever ends this process leaves nothing behind either
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main())
