"""What a model is: all that graphs, tokenizer and prompt depend on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VisionConfig:
    """InternViT: widths, counts and the traits in which the 300M and the 6B tower differ."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    image_size: int
    patch_size: int
    norm: str  # "layer_norm" or "rms_norm"
    epsilon: float
    qkv_bias: bool
    qk_norm: bool

    @property
    def grid(self) -> int:
        """Patches along one side of a tile."""
        return self.image_size // self.patch_size


@dataclass(frozen=True)
class LanguageConfig:
    """Qwen2.5, or Qwen3."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    epsilon: float
    rope_theta: float
    max_positions: int
    vocabulary: int
    #: whether the head is the embedding; None where only the tensors can say it
    tied: bool | None
    bias: bool = True  # of queries, keys and values
    qk_norm: bool = False  # of each head of the queries and keys, before they are turned
    norm = "rms_norm"

    @property
    def attention_width(self) -> int:
        """Width of all query heads together."""
        return self.heads * self.head_dim


@dataclass(frozen=True)
class Packing:
    """How AWQ or GPTQ packed the weights of the language model's layers."""

    method: str  # "awq" or "gptq"
    bits: int
    group: int  # inputs that share a scale
    symmetric: bool
    zero_shift: int  # what is added to the zeros that are stored


@dataclass(frozen=True)
class ModelConfig:
    """The whole model."""

    vision: VisionConfig
    language: LanguageConfig
    shuffle: int  # side of the square of patches that becomes one token
    min_tiles: int
    max_tiles: int
    thumbnail: bool
    packing: Packing | None = None
    #: id of the token that image rows replace, where the configuration says it
    image_token: int | None = None

    @property
    def tokens_per_tile(self) -> int:
        return (self.vision.grid // self.shuffle) ** 2


@dataclass(frozen=True)
class Normalization:
    """What happens to 8-bit pixels: ``(x * rescale - mean) / std``."""

    rescale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
