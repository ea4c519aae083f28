"""The story of an export: read, build, place, write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx_ir
from tqdm import tqdm

from .arch.internvl import decoder_graph, vision_graph
from .check import by_tensors
from .contract import TOKENIZER_FILE
from .files import existing
from .graph import GraphBuilder
from .links import links
from .memory import data_bytes, quantization_json, work_json
from .package import (
    SCHEMA,
    check_space,
    check_target,
    file_json,
    model_json,
    profiles_json,
    source_json,
    staged,
    versions,
)
from .package import write_manifest as _write_manifest
from .plan import make_plan, with_sizes
from .recipe import Recipe
from .source import open_checkpoint
from .sources.equalized import EqualizedCheckpoint
from .sources.folder import Checkpoint
from .sources.padded import PaddedCheckpoint, padded_config, padding_json
from .sources.readable import Readable
from .tokenizer import Tokenizer, encode_json
from .version import VERSION
from .weights import check_claims, check_tied, write_parameters


def export(
    checkpoint: str | Checkpoint,
    out: Path,
    *,
    recipe: Recipe | None = None,
    force: bool = False,
) -> Path:
    """Exports a checkpoint (a folder, a hub id, or an open one) to the package ``out``; an error says why."""
    check_target(out, force=force)
    source = open_checkpoint(checkpoint) if isinstance(checkpoint, str) else checkpoint
    plan = make_plan(source, recipe or Recipe())
    if fetching := source.to_fetch():  # which takes its time: what can be known before is looked at
        by_tensors(source, plan.config, fetching)
        check_space(existing(out), sum(data_bytes(plan.config, plan.recipe).values()))
    plan = with_sizes(plan, source.shapes())
    config, made, tokenizer = plan.config, plan.recipe, plan.tokenizer
    read, padding = source, {}
    if made.pad_groups:
        padded = padded_config(config)
        read = PaddedCheckpoint(source, config.language, padded.language)
        padding = {"padding": padding_json(config, padded)}
        config = padded
    graphs = {"vision": vision_graph(config, made), "decoder": decoder_graph(config, made)}
    check_claims(read.shapes(), list(graphs.values()), config)
    check_tied(source, config)
    manifest = {
        "schema": SCHEMA,
        "name": source.name,
        "exporter": {"version": VERSION, "libraries": versions()},
        "source": None,  # filled while writing, as are the files
        "target": made.target,
        "precision": made.precision,
        "quantization": quantization_json(config, made),
        "files": {},
        "graphs": {name: graph.spec.as_json() for name, graph in graphs.items()},
        **model_json(config, plan.normalization, made),
        "tokens": tokenizer.ids_json(config.language.vocabulary),
        **({"profiles": profiles_json(config, made)} if made.capacity else {}),
        "work": work_json(config, made.target),
        **padding,
        "parity": None,
        "quality": None,
        "self_test": None,  # of whoever can run it
    }
    with staged(out, force=force) as folder:
        check_space(out.parent, sum(graph.data_bytes() for graph in graphs.values()))
        if made.quantized:
            read = EqualizedCheckpoint(read, links(config) if made.equalize else [])
        _write(folder, (source, plan.content, read), list(graphs.values()), tokenizer, manifest)
    return out


def _write(
    folder: Path,
    source: tuple[Checkpoint, dict, Readable],
    graphs: Sequence[GraphBuilder],
    tokenizer: Tokenizer,
    manifest: dict,
) -> None:
    checkpoint, content, read = source
    (folder / TOKENIZER_FILE).write_bytes(encode_json(tokenizer))
    files = manifest["files"]
    for graph in graphs:
        onnx_ir.save(graph.model(VERSION), folder / graph.spec.file)
        files[graph.spec.file] = file_json(folder / graph.spec.file)
        with _bar(graph.data_bytes(), f"writing {graph.spec.data_file}") as bar:
            size, digest = write_parameters(graph, read, folder / graph.spec.data_file, bar.update)
        files[graph.spec.data_file] = {"bytes": size, "sha256": digest}
    files[TOKENIZER_FILE] = file_json(folder / TOKENIZER_FILE)
    with _bar(sum(path.stat().st_size for path in checkpoint.source_files()), "digesting the source") as bar:
        manifest["source"] = source_json(checkpoint, content, bar.update)
    _write_manifest(folder, manifest)


def _bar(total: int, what: str) -> tqdm:
    """A bar with an estimate on standard error; nothing where that is not a terminal."""
    return tqdm(total=total, desc=what, unit="B", unit_scale=True, disable=None, leave=False)
