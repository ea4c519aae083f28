"""The package on disk: written aside, described in ``fleming.json``, and put in place with one rename."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import importlib.metadata
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from .config import LanguageConfig, ModelConfig, Normalization
from .contract import MANIFEST_FILE
from .errors import ExportError
from .files import amount, free_bytes, read_json, sha256_of
from .prompt import MAX_NEW_TOKENS, prompt_pieces
from .recipe import Recipe
from .sources.folder import Checkpoint

SCHEMA = 2
#: Largest sizes in the profiles of a TensorRT package: tiles of a run, new positions, conversations at once,
#: and positions whose logits are wanted, which are those of a guess: 32 tokens after the last one.
MOST_TILES, CHUNK, MOST_SLOTS, MOST_LOGITS = 12, 512, 8, 33
#: Positions of a conversation with a picture in it, for which kernels are chosen.
USUAL_LENGTH = 2048
LIBRARIES = ("numpy", "onnx", "onnx-ir")
#: Between a package's name and a number while it is being replaced.
OLD = ".partial-old-"
#: Room for graphs, tokenizer and manifest beside the weights.
SPARE_BYTES = 64 << 20


@contextlib.contextmanager
def staged(out: Path, *, force: bool) -> Iterator[Path]:
    """A folder beside ``out`` that becomes ``out`` when the block ends well, and disappears otherwise."""
    check_target(out, force=force)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f"{out.name}.partial-{secrets.token_hex(4)}")
    with _alone(out.parent):
        _sweep(out)
        aside.mkdir()
        # held as long as this process lives, which is how another one knows what a killed one left behind
        holder = os.open(aside, os.O_RDONLY)
        fcntl.flock(holder, fcntl.LOCK_EX)
    try:
        yield aside
        with _alone(out.parent):
            # another export may have come to an end meanwhile
            check_target(out, force=force)
            _replace(out, aside)
    except BaseException as error:
        written = sum(path.stat().st_size for path in aside.glob("*")) if aside.exists() else 0
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            wanted = f"room for more than the {amount(written)} that were written"
            got = f"{error.strerror}, with {amount(free_bytes(out.parent))} free again"
            raise ExportError(str(out), wanted, got, "nothing was left behind") from None
        raise
    finally:
        os.close(holder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other export makes, sweeps or renames anything in the folder while the block lasts."""
    holder = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(holder)


def _sweep(out: Path) -> None:
    """Removes the folders that killed exports to ``out`` left behind; those of living ones are locked. A
    package that was just being replaced goes back to its place."""
    replaced = sorted(out.parent.glob(f"{glob.escape(out.name)}{OLD}*"))
    if len(replaced) == 1 and not out.exists():
        replaced[0].rename(out)
    for aside in out.parent.glob(f"{glob.escape(out.name)}.partial-*"):
        # an old package that was being replaced may be the only whole one
        if OLD in aside.name or aside.is_symlink() or not aside.is_dir():
            continue
        holder = os.open(aside, os.O_RDONLY)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(aside, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(holder)


def check_target(out: Path, *, force: bool) -> None:
    """Refuses a path that holds anything, unless it is a package and may be replaced."""
    if not out.exists() and not out.is_symlink():
        return
    if not force:
        raise ExportError(
            str(out), "a path that does not exist", "something is there", "--force replaces a package"
        )
    if not (out / MANIFEST_FILE).is_file() and not (out.is_dir() and not any(out.iterdir())):
        raise ExportError(
            str(out), "a package or an empty folder to replace", "something else", "remove it yourself"
        )


def _replace(out: Path, aside: Path) -> None:
    if not out.exists():
        aside.rename(out)
        return
    old = out.with_name(f"{out.name}{OLD}{secrets.token_hex(4)}")
    out.rename(old)
    aside.rename(out)
    _keep_strangers(old, out)
    shutil.rmtree(old, ignore_errors=True)


def _keep_strangers(old: Path, out: Path) -> None:
    """Moves what was beside the old package's files, a README perhaps, to the new one's."""
    listed = read_json(old / MANIFEST_FILE)["files"] if (old / MANIFEST_FILE).is_file() else {}
    for path in old.iterdir():
        if path.name not in (MANIFEST_FILE, *listed) and not (out / path.name).exists():
            path.rename(out / path.name)


def check_space(folder: Path, needed: int) -> None:
    """Before the first byte is written, not after the disk is full."""
    free, wanted = free_bytes(folder), needed + SPARE_BYTES
    if free < wanted:
        hint = f"{amount(wanted - free)} more; weights and {amount(SPARE_BYTES)} for the rest"
        raise ExportError(str(folder), f"{amount(wanted)} of free space", amount(free), hint)


def versions(names: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Installed versions of libraries, under the names they are imported by."""
    return {name.replace("-", "_"): importlib.metadata.version(name) for name in names}


def model_json(config: ModelConfig, normalization: Normalization, recipe: Recipe) -> dict:
    """The objects of ``fleming.json`` that follow from the configuration alone."""
    language = config.language
    return {
        "vision": {
            "image_size": config.vision.image_size,
            "patch_size": config.vision.patch_size,
            "tokens_per_tile": config.tokens_per_tile,
            "hidden_size": language.hidden,
            "tiling": {
                "min_tiles": config.min_tiles,
                "max_tiles": config.max_tiles,
                "thumbnail": config.thumbnail,
            },
        },
        "normalization": {
            "rescale": normalization.rescale,
            "mean": list(normalization.mean),
            "std": list(normalization.std),
            "resample": "bicubic",
        },
        "prompt": prompt_pieces(),
        "generation": {"max_new_tokens": MAX_NEW_TOKENS},
        "kv": kv_json(language, recipe),
        "max_positions": min(language.max_positions, recipe.capacity or language.max_positions),
    }


def kv_json(language: LanguageConfig, recipe: Recipe) -> dict:
    """What a slot of keys and values is made of."""
    return {
        "layers": language.layers,
        "heads": language.kv_heads,
        "head_dim": language.head_dim,
        "dtype": recipe.activation,
    }


def profiles_json(config: ModelConfig, recipe: Recipe) -> dict | None:
    """Ranges of every input for the optimiser of TensorRT: one for prompts, one for steps."""
    if recipe.capacity is None:
        return None
    size, language, most = config.vision.image_size, config.language, recipe.capacity
    tile = [3, size, size]
    pixels = {"min": [1, *tile], "opt": [1, *tile], "max": [MOST_TILES, *tile]}
    return {
        "vision": [{"name": "tiles", "inputs": {"pixel_values": pixels}}],
        "decoder": [
            _decoder_profile("prefill", ((1, 1, 1), (1, CHUNK, CHUNK)), language, most),
            _decoder_profile("step", ((1, 1, MOST_SLOTS), (1, 1, 1)), language, most),
        ],
    }


def _decoder_profile(name: str, sizes: tuple, language: LanguageConfig, capacity: int) -> dict:
    """``sizes`` are (min, opt, max) of batch and of new positions."""
    batch, sequence = sizes
    rows = (1, min(CHUNK, capacity), capacity)
    cache = [(b, language.kv_heads, capacity, language.head_dim) for b in batch]
    inputs = {
        "input_ids": list(zip(batch, sequence, strict=True)),
        "image_embeds": [(n, language.hidden) for n in rows]
        if name == "prefill"
        else [(1, language.hidden)] * 3,
        "splice": list(zip(batch, sequence, strict=True)),
        "seqlens_k": [(b,) for b in batch],
        "logits_at": [(1,), (1,), (MOST_LOGITS if name == "prefill" else 1,)],
        "key_positions": [(1,), (min(USUAL_LENGTH, capacity),), (capacity,)],
    }
    for layer in range(language.layers):
        inputs |= {f"past_{what}.{layer}": cache for what in ("key", "value")}
    kinds = "min", "opt", "max"
    return {
        "name": name,
        "inputs": {key: dict(zip(kinds, map(list, shapes), strict=True)) for key, shapes in inputs.items()},
    }


def source_json(checkpoint: Checkpoint, config: dict, progress) -> dict:
    """Where the package comes from: every file that was read, by digest."""
    if checkpoint.source:
        return checkpoint.source
    files = {path.name: sha256_of(path, progress) for path in checkpoint.source_files()}
    architecture = config["architectures"][0]
    return {"checkpoint": checkpoint.given, "architecture": architecture, "files": files, "config": config}


def file_json(path: Path) -> dict:
    """Length and digest of a small file."""
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def read_manifest(package: Path) -> dict:
    """``fleming.json`` of a package."""
    return read_json(package / MANIFEST_FILE)


def write_manifest(folder: Path, manifest: dict) -> None:
    """Writes ``fleming.json`` as a whole or not at all."""
    aside = folder / f"{MANIFEST_FILE}.partial-{secrets.token_hex(4)}"
    aside.write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    os.replace(aside, folder / MANIFEST_FILE)
