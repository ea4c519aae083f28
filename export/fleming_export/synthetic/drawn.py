"""What a synthetic checkpoint is drawn from."""

from __future__ import annotations

from dataclasses import dataclass

SHARD_BYTES = 5_000_000_000


@dataclass(frozen=True)
class Drawn:
    """A tensor to draw: normal values around a mean."""

    name: str
    shape: tuple[int, ...]
    deviation: float
    mean: float = 0.0


@dataclass(frozen=True)
class Options:
    """What may be chosen beside the size."""

    seed: int = 0
    tokenizer: str = "small"  # or a folder with vocab.json and merges.txt
    vocabulary: int | None = None  # rows of the embedding, if more than the tokenizer has ids
    tied: bool = False
    patch_size: int = 14
    vision_layers: int | None = None
    language_layers: int | None = None  # fewer layers at full width, to measure on a small disk
    shard_bytes: int = SHARD_BYTES
    outliers: int = 0  # channels of each norm, of the values and of the MLP that are planted large
    stream_outliers: int = 0  # channels of the residual stream
