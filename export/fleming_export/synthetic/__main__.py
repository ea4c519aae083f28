"""Arguments of ``python -m fleming_export.synthetic``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..errors import ExportError, reported
from .checkpoint import write_checkpoint
from .drawn import Options
from .inputs import write_inputs
from .sizes import SIZES


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; the exit code is 0 if it succeeded."""
    options = _parser().parse_args(arguments)
    return reported("fleming_export.synthetic", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    out = Path(options.out)
    if options.what == "inputs":
        written = write_inputs(out)
        print("\n".join(map(str, written)))
        if out / "clip.mp4" not in written:
            print("no clip.mp4: the ffmpeg program is not installed", file=sys.stderr)
        return 0
    if out.exists():
        raise ExportError(str(out), "a path that does not exist", "something is there")
    write_checkpoint(options.what, out, _options(options))
    print(out)
    return 0


def _options(options: argparse.Namespace) -> Options:
    return Options(
        seed=options.seed,
        tokenizer=options.tokenizer,
        vocabulary=options.vocabulary,
        tied=options.tied,
        patch_size=options.patch_size,
        vision_layers=options.vision_layers,
        language_layers=options.language_layers,
        outliers=options.outliers,
        stream_outliers=options.stream_outliers,
        shard_bytes=options.shard_bytes,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleming_export.synthetic", description=__doc__)
    defaults = Options()
    parser.add_argument("what", choices=[*SIZES, "inputs"], help="size of a checkpoint, or inputs")
    parser.add_argument("out", help="the folder to make")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--tokenizer", default=defaults.tokenizer, help="small, or a folder with vocab.json")
    parser.add_argument("--vocabulary", type=int, help="rows of the embedding, if more than the tokenizer's")
    parser.add_argument("--tied", action="store_true", help="share the embedding with the head")
    parser.add_argument(
        "--patch-size", type=int, default=defaults.patch_size, help="28 makes 64 tokens of a tile"
    )
    parser.add_argument(
        "--language-layers", type=int, help="layers of the language model, if not the size's own"
    )
    parser.add_argument("--vision-layers", type=int, help="layers of the vision tower")
    parser.add_argument("--outliers", type=int, default=0, help="large channels before each layer")
    parser.add_argument("--stream-outliers", type=int, default=0, help="large channels of the stream")
    parser.add_argument("--shard-bytes", type=int, default=defaults.shard_bytes)
    return parser


if __name__ == "__main__":
    sys.exit(main())
