"""A package in the shape of a large model, without the disk for its checkpoint.

    python benches/peers/large.py 8b target/large-int4

Weights are random. A few layers of the language model are drawn, and stand for all others in turn: figures do
not depend on which weights a layer has, and the package has them all.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from fleming_export.errors import reported
from fleming_export.pipeline import export
from fleming_export.recipe import make_recipe
from fleming_export.sources.folder import Checkpoint
from fleming_export.sources.stored import StoredTensor
from fleming_export.synthetic.checkpoint import dump, write_checkpoint
from fleming_export.synthetic.drawn import Options
from fleming_export.synthetic.sizes import SIZES

#: Tokens of the published models.
VOCABULARY = 151674
LAYER = re.compile(r"(?<=^language_model\.model\.layers\.)\d+(?=\.)")


class Repeated(Checkpoint):
    """A checkpoint of a few layers that are read again and again."""

    def __init__(self, folder: Path, layers: int) -> None:
        super().__init__(folder, folder.name, folder.name)
        self.layers = layers

    def _read_tensors(self) -> dict[str, StoredTensor]:
        stored = super()._read_tensors()
        drawn = 1 + max(int(found[0]) for found in map(LAYER.search, stored) if found)
        repeated = {}
        for name, tensor in stored.items():
            found = LAYER.search(name)
            for layer in range(int(found[0]), self.layers, drawn) if found else [None]:
                own = LAYER.sub(str(layer), name)
                repeated[own] = replace(tensor, name=own)
        return repeated


def make(size: str, out: Path, precision: str, drawn: int) -> None:
    """Makes the package, and removes the checkpoint that it was made of."""
    folder = out.with_name(f"{out.name}.checkpoint")
    shutil.rmtree(folder, ignore_errors=True)
    write_checkpoint(size, folder, Options(vocabulary=VOCABULARY, language_layers=drawn))
    source = Repeated(folder, SIZES[size][1]["num_hidden_layers"])
    config = source.json("config.json")
    config["llm_config"]["num_hidden_layers"] = source.layers
    dump(folder / "config.json", config)
    export(source, out, recipe=make_recipe("cpu", precision), force=True)
    shutil.rmtree(folder)


def main() -> int:
    """Runs the command."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("out", type=Path)
    parser.add_argument("--precision", default="int4")
    parser.add_argument("--drawn", type=int, default=2, help="layers that are drawn")
    options = parser.parse_args()
    return reported("large", lambda: make(options.size, options.out, options.precision, options.drawn))


if __name__ == "__main__":
    sys.exit(main())
