"""Where a channel may be scaled: the weights that read a vector, and what makes the vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .config import ModelConfig

EMBEDDING = "language_model.model.embed_tokens"


@dataclass(frozen=True)
class Part:
    """Rows ``start`` to ``stop`` of a tensor (all, if stop is absent)."""

    name: str
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class Link:
    """Weights that read a vector, and what makes it: a norm's weight and bias, or rows of a weight.

    Without makers the readers' own inverse is stored beside them, and what is read is multiplied by it.
    Each value that is made is read ``repeat`` times, in heads of ``head`` values: a group's values are.
    """

    readers: tuple[str, ...]
    makers: tuple[Part, ...]
    repeat: int = 1
    head: int = 1


def links(config: ModelConfig) -> list[Link]:
    """Every place where a factor passes from a maker to its readers unchanged."""
    return [*_vision_links(config), *_language_links(config)]


def _vision_links(config: ModelConfig) -> Iterator[Link]:
    vision = config.vision

    def norm(name: str) -> tuple[Part, ...]:
        return (Part(f"{name}.weight"), *([Part(f"{name}.bias")] if vision.norm == "layer_norm" else []))

    for layer in range(vision.layers):
        name = f"vision_model.encoder.layers.{layer}."
        yield Link((f"{name}attn.qkv.weight",), norm(f"{name}norm1"))
        yield Link((f"{name}mlp.fc1.weight",), norm(f"{name}norm2"))
        values = 2 * vision.hidden, 3 * vision.hidden
        made = [Part(f"{name}attn.qkv.weight", *values)]
        made += [Part(f"{name}attn.qkv.bias", *values)] if vision.qkv_bias else []
        yield Link((f"{name}attn.proj.weight",), tuple(made))
    yield Link(("mlp1.1.weight",), (Part("mlp1.0.weight"), Part("mlp1.0.bias")))


def _language_links(config: ModelConfig) -> Iterator[Link]:
    language = config.language
    repeat = language.heads // language.kv_heads
    for layer in range(language.layers):
        name = f"language_model.model.layers.{layer}."
        before, between = (Part(f"{name}{norm}_layernorm.weight") for norm in ("input", "post_attention"))
        attention, mlp = f"{name}self_attn.", f"{name}mlp."
        yield Link(
            tuple(f"{attention}{part}_proj.weight" for part in "qkv"),
            (before,),
        )
        values = [Part(f"{attention}v_proj.weight")]
        values += [Part(f"{attention}v_proj.bias")] if language.bias else []
        yield Link((f"{attention}o_proj.weight",), tuple(values), repeat, language.head_dim)
        yield Link(
            (f"{mlp}gate_proj.weight", f"{mlp}up_proj.weight"),
            (between,),
        )
        yield Link((f"{mlp}down_proj.weight",), (Part(f"{mlp}up_proj.weight"),))
    yield Link((f"{EMBEDDING}.weight",), ())
    if not language.tied:
        yield Link(("language_model.lm_head.weight",), (Part("language_model.model.norm.weight"),))
