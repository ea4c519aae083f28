"""Placing the checkpoint's tensors: each claimed, every parameter filled, streamed into aligned files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from .config import EMBEDDING, HEAD, ModelConfig
from .errors import UNMERGED, ExportError
from .graph import ALIGNMENT, GraphBuilder, Parameter, Source
from .quantize import Blockwise, Encoded, bfloat16_bits, encode
from .sources.readable import Readable


def check_claims(
    shapes: Mapping[str, tuple[int, ...] | None], graphs: Sequence[GraphBuilder], config: ModelConfig
) -> None:
    """Compares what the graphs need with the tensors that there are, by name and, if known, shape."""
    claimed: set[str] = set()
    adapter = next((name for name in shapes if ".lora_" in name), None)
    if adapter:
        raise ExportError(adapter, "merged weights", "a LoRA adapter", UNMERGED)
    for graph in graphs:
        for parameter in graph.parameters.values():
            for source in parameter.sources:
                if source.name not in shapes:
                    raise _missing(source, shapes)
                if shapes[source.name] not in (None, source.shape):
                    got = list(shapes[source.name])
                    raise ExportError(source.name, f"shape {list(source.shape)}", got)
                claimed.add(source.name)
    if config.language.tied:
        claimed.add(HEAD)
    unclaimed = sorted(shapes.keys() - claimed)
    if unclaimed:
        more = f" and {len(unclaimed) - 1} more" if len(unclaimed) > 1 else ""
        hint = (
            "is tie_word_embeddings in config.json right?"
            if HEAD in unclaimed
            else "the model is not a plain InternVL3"
        )
        raise ExportError(unclaimed[0] + more, "a place in a graph", "none", hint)


def _missing(source: Source, names: Iterable[str]) -> ExportError:
    """A tensor that is not there, with what may be behind it."""
    hint, similar = "", [name for name in names if name.endswith(f".{source.name}")]
    if source.name in (EMBEDDING, HEAD):
        hint = "is tie_word_embeddings in config.json right?"
    elif similar:
        hint = f"there is {similar[0]}: rename the tensors"
    elif source.name.removesuffix(".weight") + ".qweight" in names:
        hint = "the weights are packed, and config.json has no quantization_config"
    got = "no such tensor in the checkpoint"
    return ExportError(source.name, f"a tensor {list(source.shape)}", got, hint)


def check_tied(checkpoint: Readable, config: ModelConfig) -> None:
    """A tied checkpoint may store the head as well, if it is the embedding."""
    if not config.language.tied or HEAD not in checkpoint.tensors:
        return
    shapes = [checkpoint.tensors[name].shape for name in (EMBEDDING, HEAD)]
    if shapes[0] == shapes[1]:
        pairs = zip(checkpoint.blocks(EMBEDDING), checkpoint.blocks(HEAD), strict=True)
        if all(np.array_equal(a, b) for a, b in pairs):
            return
    raise ExportError(HEAD, f"the same values as {EMBEDDING}, as tie_word_embeddings says", "other values")


def write_parameters(
    graph: GraphBuilder,
    checkpoint: Readable,
    path: Path,
    progress: Callable[[int], object],
) -> tuple[int, str]:
    """Streams the parameters of a graph, each at a multiple of ``ALIGNMENT``; returns bytes and SHA-256."""
    digest = hashlib.sha256()
    written = 0
    beside: dict[str, np.ndarray] = {}
    with path.open("wb", buffering=0) as file:
        for parameter in graph.parameters.values():
            padding = bytes(-written % ALIGNMENT)
            _append(file, digest, padding)
            written += len(padding)
            end = written + parameter.bytes
            for values in _values(parameter, checkpoint, beside):
                block = memoryview(_stored(values, parameter.dtype)).cast("B")
                _append(file, digest, block)
                written += len(block)
                progress(len(block))
            if written != end:
                raise ValueError(f"{parameter.name}: {written} bytes where {end} were promised")
    return written, digest.hexdigest()


def _stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """Values as the bytes of a type; what float16 cannot hold is an error."""
    if dtype == "uint8":
        return np.ascontiguousarray(values)
    if dtype == "bfloat16":
        return bfloat16_bits(values)
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(values, {"float32": "<f4", "float16": "<f2"}[dtype])
    if dtype == "float16" and not np.isfinite(stored).all():
        got = f"{np.abs(values).max():.3g}"
        raise ExportError("precision f16", "weights up to 65504", got, "use bf16")
    return stored


def _append(file, digest, block: memoryview | bytes) -> None:
    digest.update(block)
    view = memoryview(block)
    while view:  # one write call moves at most 2 GiB
        view = view[file.write(view) :]


def _values(
    parameter: Parameter, checkpoint: Readable, beside: dict[str, np.ndarray]
) -> Iterator[np.ndarray]:
    """The parameter a block at a time. What belongs to packed levels is kept in ``beside`` until its turn."""
    if parameter.computed:
        values = parameter.computed()
        if values.shape != parameter.shape or values.dtype != np.float32:
            raise ValueError(f"{parameter.name}: computed {values.dtype} {values.shape}")
        yield values.reshape(-1)
    elif parameter.beside:
        is_column = parameter.name.endswith(".columns")
        yield checkpoint.inverse(parameter.beside) if is_column else beside.pop(parameter.name)
    elif parameter.scheme:
        yield from _levels(parameter, checkpoint, beside)
    else:
        for source in parameter.sources:
            yield from checkpoint.blocks(source.name)


def _levels(
    parameter: Parameter, checkpoint: Readable, beside: dict[str, np.ndarray]
) -> Iterator[np.ndarray]:
    scales, zeros = [], []
    for source in parameter.sources:
        for encoded in checkpoint.ready(source.name) or _encoded(source, checkpoint, parameter.scheme):
            scales.append(encoded.scales)
            zeros.append(encoded.packed_zeros(parameter.scheme))
            yield encoded.packed
    missing = parameter.shape[0] - sum(map(len, scales))
    if missing:
        yield np.zeros((missing, *parameter.shape[1:]), np.uint8)
        # whatever a level is, it is zero
        for values in (scales, zeros):
            values.append(np.zeros((missing, *values[0].shape[1:]), values[0].dtype))
    beside[f"{parameter.name}.scales"] = np.concatenate(scales)
    if parameter.scheme.zero_points:
        beside[f"{parameter.name}.zero_points"] = np.concatenate(zeros)


def _encoded(source: Source, checkpoint: Readable, scheme: Blockwise) -> Iterator[Encoded]:
    for block in checkpoint.blocks(source.name):
        yield encode(block.reshape(-1, source.shape[1]), scheme)
