"""The quality of schemes on checkpoints, side by side: what the defaults were chosen by."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from ..package import read_manifest
from ..pipeline import export
from ..quantize import Blockwise
from ..recipe import ATTENTION, FIRST, FIRST_OF_TOWER, PROJECTOR, Recipe, make_recipe
from .gate import compare
from .sequences import Writer


def candidates() -> dict[str, Recipe]:
    """Recipes by the name of their row; each differs from a default in what its name says."""
    int8, int4 = (make_recipe("cpu", precision) for precision in ("int8", "int4"))
    found = {"int8 (default)": int8, "int4 (default)": int4}
    for block in (32, 128):
        found[f"int8, block {block}"] = replace(int8, language=Blockwise(8, block))
    found["int8, columns as they are"] = replace(int8, equalize=False)
    found["int8, activations not rounded (level 0)"] = replace(int8, level=0)
    found["int8, vision tower in f32"] = replace(int8, vision=None)
    found["int8, projector in 8 bits too"] = _without(int8, PROJECTOR)
    found["int8, first layer of the tower in 8 bits too"] = _without(int8, FIRST_OF_TOWER)
    found["int8, first layer in 8 bits too"] = _without(int8, FIRST)
    found["int4, first layer as the others"] = _without(int4, FIRST)
    found["int4, queries, keys and values in 4 bits too"] = _without(int4, ATTENTION)
    for block in (64, 128):
        found[f"int4, block {block}"] = replace(int4, language=Blockwise(4, block, zero_points=True))
    found["int4, symmetric"] = replace(int4, language=Blockwise(4, 32))
    found["int4, plain rounding"] = replace(int4, language=replace(int4.language, search=False))
    found["int4, columns as they are"] = replace(int4, equalize=False)
    found["int4, head in 4 bits"] = replace(int4, head=int4.language)
    found["int4, activations not rounded (level 0)"] = replace(int4, level=0)
    return found


def _without(recipe: Recipe, part: str) -> Recipe:
    return replace(recipe, apart=tuple(pair for pair in recipe.apart if pair[0] != part))


#: of the questions; more take longer and say the same
ASKED = 2


def print_table(checkpoints: list[str], rows: str = "") -> None:
    """Markdown; a row for each scheme with ``rows`` in its name: cosine, KL divergence and top-1 agreement by
    checkpoint."""
    names = [Path(checkpoint).name for checkpoint in checkpoints]
    print("| scheme | " + " | ".join(f"{name}: cosine, KL, top-1 %" for name in names) + " |")
    print("|---|" + "---|" * len(names))
    with tempfile.TemporaryDirectory() as folder:
        twins = []
        for number, checkpoint in enumerate(checkpoints):
            twins.append(export(checkpoint, Path(folder) / f"f32-{number}"))
        for name, recipe in candidates().items():
            if rows not in name:
                continue
            cells = []
            for checkpoint, twin in zip(checkpoints, twins, strict=True):
                package = export(checkpoint, Path(folder) / "package", recipe=recipe, force=True)
                asked = Writer(twin, read_manifest(twin)).questions(ASKED)
                report = compare(package, twin, asked)
                cosine, kl = report["embedding_cosine"]["min"], report["kl_divergence"]["mean"]
                cells.append(f"{cosine:.4f}, {kl:.2g}, {100 * report['top1_agreement']:.1f}")
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
