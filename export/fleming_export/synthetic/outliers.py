"""Outlier channels, which trained models have and random weights have not.

``outliers`` are channels that are 50 to 200 times larger before a layer and weigh as much less in it: of each
norm, of the values, of the projector, and of the input of the down-projection. In exact arithmetic the
function is the same, in a checkpoint it is to the rounding of bfloat16; the inputs of the products are not.

``stream_outliers`` are channels of the residual stream itself: the embedding's columns and the rows of all
that writes into the stream are larger, the norms' weights smaller. They dominate the norms, as the massive
activations of trained models do, and so the function is another one.

Where they go is written out here, by the names in a checkpoint, and the factors are no powers of two: what
undoes them (``sources/equalized.py``) shares nothing with this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..config import ModelConfig
from .drawn import Drawn, Options

SMALLEST, LARGEST = 50.0, 200.0


@dataclass(frozen=True)
class Place:
    """``count`` channels: rows from ``first`` on of ``grow`` (name -> rows in all) make them, and the columns
    of ``shrink`` read them, each of ``heads`` groups of equal length ``repeat`` times over."""

    grow: dict[str, int]
    shrink: tuple[str, ...]
    count: int
    first: int = 0
    heads: int = 1
    repeat: int = 1


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
    if options.outliers:
        for place in [*_vision_places(config), *_language_places(config)]:
            what = f"{options.seed} {place.shrink[0]}"
            _plant_place(planted, place, _factors(what, place.count, options.outliers))
    if options.stream_outliers:
        _plant_stream(planted, config, options)
    return planted


def _vision_places(config: ModelConfig) -> Iterator[Place]:
    vision = config.vision
    width = vision.hidden
    biased = vision.norm == "layer_norm"
    for layer in range(vision.layers):
        at = f"vision_model.encoder.layers.{layer}."
        for norm, reader in (("norm1", "attn.qkv"), ("norm2", "mlp.fc1")):
            makers = {f"{at}{norm}.weight": width} | ({f"{at}{norm}.bias": width} if biased else {})
            yield Place(makers, (f"{at}{reader}.weight",), width)
        makers = {f"{at}attn.qkv.weight": 3 * width}
        makers |= {f"{at}attn.qkv.bias": 3 * width} if vision.qkv_bias else {}
        yield Place(makers, (f"{at}attn.proj.weight",), width, first=2 * width)
    wide = config.shuffle**2 * width
    yield Place({"mlp1.0.weight": wide, "mlp1.0.bias": wide}, ("mlp1.1.weight",), wide)


def _language_places(config: ModelConfig) -> Iterator[Place]:
    language = config.language
    hidden, kv = language.hidden, language.kv_heads * language.head_dim
    for layer in range(language.layers):
        at = f"language_model.model.layers.{layer}."
        attention = tuple(f"{at}self_attn.{part}_proj.weight" for part in "qkv")
        yield Place({f"{at}input_layernorm.weight": hidden}, attention, hidden)
        gates = f"{at}mlp.gate_proj.weight", f"{at}mlp.up_proj.weight"
        yield Place({f"{at}post_attention_layernorm.weight": hidden}, gates, hidden)
        values = {f"{at}self_attn.v_proj.{kind}": kv for kind in ("weight", "bias")}
        groups = {"heads": language.kv_heads, "repeat": language.heads // language.kv_heads}
        yield Place(values, (f"{at}self_attn.o_proj.weight",), kv, **groups)
        up = {f"{at}mlp.up_proj.weight": language.intermediate}
        yield Place(up, (f"{at}mlp.down_proj.weight",), language.intermediate)
    if not language.tied:
        yield Place({"language_model.model.norm.weight": hidden}, ("language_model.lm_head.weight",), hidden)


def _plant_place(planted: Outliers, place: Place, factors: np.ndarray) -> None:
    for name, height in place.grow.items():
        rows = np.ones(height, np.float32)
        rows[place.first : place.first + place.count] = factors
        planted.rows(name, rows)
    groups = np.split(factors, place.heads)
    read = np.concatenate([np.tile(group, place.repeat) for group in groups])
    for name in place.shrink:
        planted.columns(name, 1 / read)


def _plant_stream(planted: Outliers, config: ModelConfig, options: Options) -> None:
    factors = _factors(f"{options.seed} stream", config.language.hidden, options.stream_outliers)
    planted.columns("language_model.model.embed_tokens.weight", factors)
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
    """``count`` factors, 1 but for those that are chosen, evenly drawn on a logarithmic scale."""
    seed = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "little")
    generator = np.random.default_rng(seed)
    factors = np.ones(count, np.float32)
    places = generator.choice(count, min(chosen, count), replace=False)
    factors[places] = np.exp(generator.uniform(np.log(SMALLEST), np.log(LARGEST), len(places)))
    return factors
