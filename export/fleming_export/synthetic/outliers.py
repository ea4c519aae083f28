"""Outlier channels, which trained models have and random weights have not.

``outliers`` are planted where the factor can be taken back exactly: a norm's weight, a row of the values or
of the up-projection is 64 or 128 times larger, and the columns that read it smaller by the same. In float32
the function is the same; the inputs of the products are not.

``stream_outliers`` are channels of the residual stream itself: the embedding's columns and the rows of all
that writes into the stream are larger, the norms' weights smaller. They dominate the norms, as the massive
activations of trained models do, and so the function is another one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from ..config import ModelConfig
from ..equalize import EMBEDDING, Link, links

if TYPE_CHECKING:
    from .checkpoint import Drawn, Options

FACTORS = (64.0, 128.0)


class Outliers:
    """Factors of rows and columns, by tensor."""

    def __init__(self) -> None:
        self._rows: dict[str, np.ndarray] = {}
        self._columns: dict[str, np.ndarray] = {}

    def rows(self, name: str, factors: np.ndarray) -> None:
        self._rows[name] = self._rows.get(name, np.float32(1)) * factors

    def columns(self, name: str, factors: np.ndarray) -> None:
        self._columns[name] = self._columns.get(name, np.float32(1)) * factors

    def apply(self, tensor: Drawn, start: int, block: np.ndarray) -> None:
        """Changes the values of a tensor from ``start`` on in place."""
        width = tensor.shape[1] if len(tensor.shape) > 1 else 1
        places = np.arange(start, start + len(block))
        if tensor.name in self._rows:
            block *= self._rows[tensor.name][places // width]
        if tensor.name in self._columns:
            block *= self._columns[tensor.name][places % width]


def plant(config: ModelConfig, options: Options) -> Outliers:
    """Chooses the channels, as a function of the seed."""
    planted = Outliers()
    heights = _heights(config)
    for link in links(config):
        if link.makers and options.outliers:
            count = (link.makers[0].stop or heights(link.makers[0].name)) - link.makers[0].start
            factors = _factors(f"{options.seed} {link.readers[0]}", count, options.outliers)
            _plant_link(planted, link, factors, heights)
    if options.stream_outliers:
        _plant_stream(planted, config, options)
    return planted


def _plant_link(planted: Outliers, link: Link, factors: np.ndarray, heights) -> None:
    for part in link.makers:
        rows = np.ones(heights(part.name), np.float32)
        rows[part.start : part.stop] = factors
        planted.rows(part.name, rows)
    read = np.repeat(factors.reshape(-1, link.head), link.repeat, axis=0).reshape(-1)
    for name in link.readers:
        planted.columns(name, 1 / read)


def _plant_stream(planted: Outliers, config: ModelConfig, options: Options) -> None:
    factors = _factors(f"{options.seed} stream", config.language.hidden, options.stream_outliers)
    planted.columns(f"{EMBEDDING}.weight", factors)
    for name in ("mlp1.3.weight", "mlp1.3.bias"):
        planted.rows(name, factors)
    norms = ["language_model.model.norm.weight"]
    for layer in range(config.language.layers):
        name = f"language_model.model.layers.{layer}."
        for writer in ("self_attn.o_proj.weight", "mlp.down_proj.weight"):
            planted.rows(name + writer, factors)
        norms += [f"{name}input_layernorm.weight", f"{name}post_attention_layernorm.weight"]
    for name in norms:
        planted.rows(name, 1 / factors)


def _factors(what: str, count: int, chosen: int) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "little")
    generator = np.random.default_rng(seed)
    factors = np.ones(count, np.float32)
    places = generator.choice(count, min(chosen, count), replace=False)
    factors[places] = generator.choice(FACTORS, len(places))
    return factors


def _heights(config: ModelConfig):
    """Rows of a tensor that makes something, by its name."""
    vision, language = config.vision, config.language

    def height(name: str) -> int:
        if ".attn.qkv." in name:
            return 3 * vision.hidden
        if name.startswith("mlp1.0."):
            return config.shuffle**2 * vision.hidden
        if name.startswith("vision_model."):
            return vision.hidden
        if ".v_proj." in name:
            return language.kv_heads * language.head_dim
        return language.intermediate if ".up_proj." in name else language.hidden

    return height
