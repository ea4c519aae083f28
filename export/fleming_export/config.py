"""config.json and preprocessor_config.json: read, checked, never guessed.

A value that would change the mathematics and is not one the graphs implement is an error that names it. A
key whose absence has one meaning in the original modelling code is read with that meaning
(``Section.optional``); any other missing key is an error.
"""

from __future__ import annotations

from dataclasses import dataclass

from .errors import UNMERGED, ExportError

_ABSENT = object()


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
    """Qwen2.5."""

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
    tied: bool
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
    system_message: str | None
    min_tiles: int
    max_tiles: int
    thumbnail: bool
    packing: Packing | None = None

    @property
    def tokens_per_tile(self) -> int:
        return (self.vision.grid // self.shuffle) ** 2


@dataclass(frozen=True)
class Normalization:
    """What happens to 8-bit pixels: ``(x * rescale - mean) / std``."""

    rescale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


class Section:
    """One object of a JSON file; every error names ``file: section.key``."""

    def __init__(self, where: str, content: object) -> None:
        if not isinstance(content, dict):
            raise ExportError(where, "an object", type(content).__name__)
        self.where = where
        self.content = content

    def section(self, key: str) -> Section:
        return Section(f"{self.where}.{key}", self.value(key))

    def positive(self, key: str) -> int:
        value = self.value(key)
        if type(value) is not int or value <= 0:
            raise self.error(key, "a positive integer", value)
        return value

    def number(self, key: str) -> float:
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self.error(key, "a positive number", value)
        return float(value)

    def flag(self, key: str) -> bool:
        value = self.value(key)
        if not isinstance(value, bool):
            raise self.error(key, "true or false", value)
        return value

    def one_of(self, key: str, *allowed: object) -> object:
        """A required key with one of the values the graphs implement."""
        return self._among(key, self.value(key), allowed)

    def optional(self, key: str, *allowed: object) -> object:
        """A key that may be absent, which means the first of the allowed values."""
        return self._among(key, self.content.get(key, allowed[0]), allowed)

    def error(self, key: str, wanted: object, got: object, hint: str = "") -> ExportError:
        shown = "nothing" if got is _ABSENT else repr(got)
        return ExportError(f"{self.where}.{key}", wanted, shown, hint)

    def _among(self, key: str, value: object, allowed: tuple) -> object:
        # type and value: True is not 1 in a config file
        if not any(type(value) is type(choice) and value == choice for choice in allowed):
            raise self.error(key, " or ".join(repr(choice) for choice in allowed), value)
        return value

    def value(self, key: str) -> object:
        """A required key, whatever it holds."""
        value = self.content.get(key, _ABSENT)
        if value is _ABSENT:
            raise self.error(key, "a value", _ABSENT)
        return value


def read_config(content: dict) -> ModelConfig:
    """config.json of the original layout, checked."""
    top = Section("config.json", content)
    if top.value("architectures") != ["InternVLChatModel"]:
        hint = "only InternVL3 and its fine-tunes are read, in the original layout and not the -hf layout"
        raise top.error("architectures", "['InternVLChatModel']", content["architectures"], hint)
    top.one_of("ps_version", "v2")
    top.one_of("select_layer", -1)
    top.one_of("template", "internvl2_5")
    for key in ("use_backbone_lora", "use_llm_lora"):
        if content.get(key):  # the rank of adapters
            raise top.error(key, 0, content[key], UNMERGED)
        top.optional(key, 0)
    top.optional("pad2square", False)
    top.optional("image_fold", None)
    vision = _vision(top.section("vision_config"))
    language = _language(top.section("llm_config"))
    top.optional("hidden_size", language.hidden)
    top.optional("tie_word_embeddings", language.tied)
    top.optional("force_image_size", vision.image_size, None)
    system = content.get("system_message")
    if not isinstance(system, str | None):
        raise top.error("system_message", "a text or null", system)
    tiles = top.positive("min_dynamic_patch"), top.positive("max_dynamic_patch")
    if tiles[0] > tiles[1]:
        raise top.error("max_dynamic_patch", f"at least min_dynamic_patch {tiles[0]}", tiles[1])
    shuffle, thumbnail = _shuffle(top, vision), top.flag("use_thumbnail")
    packing = _packing(top)
    return ModelConfig(vision, language, shuffle, system or None, *tiles, thumbnail, packing)


def _packing(top: Section) -> Packing | None:
    """quantization_config, of the whole or of the language model."""
    found = [s for s in (top, top.section("llm_config")) if s.content.get("quantization_config") is not None]
    if not found:
        return None
    section = found[0].section("quantization_config")
    if len(found) == 2 and found[1].content["quantization_config"] != section.content:
        raise section.error("", "the same as llm_config.quantization_config", "another")
    method = str(section.one_of("quant_method", "awq", "gptq"))
    group = int(section.one_of("group_size", 32, 64, 128))
    if method == "awq":
        section.one_of("bits", 4)
        version = section.content.get("version", "gemm")
        if str(version).lower() != "gemm":
            raise section.error("version", "'gemm'", version)
        return Packing(method, 4, group, not section.flag("zero_point"), 0)
    bits = int(section.one_of("bits", 4, 8))
    kind = section.optional("checkpoint_format", "gptq", "gptq_v2")
    return Packing(method, bits, group, section.flag("sym"), int(kind == "gptq"))


def _shuffle(top: Section, vision: VisionConfig) -> int:
    """Side of the square of patches that becomes one token: the inverse of downsample_ratio."""
    ratio = top.number("downsample_ratio")
    side = round(1 / ratio)
    if 1 / side != ratio or vision.grid % side:
        wanted = f"1/n with n dividing the grid of {vision.grid} patches"
        raise top.error("downsample_ratio", wanted, ratio)
    return side


def _divides(section: Section, key: str, parts: int, whole: int) -> None:
    if whole % parts:
        raise section.error(key, f"a divisor of {whole}", parts)


def _vision(section: Section) -> VisionConfig:
    section.one_of("hidden_act", "gelu")
    section.optional("num_channels", 3)
    section.optional("use_moe", False)
    section.optional("quantization_config", None)
    vision = VisionConfig(
        hidden=section.positive("hidden_size"),
        intermediate=section.positive("intermediate_size"),
        layers=section.positive("num_hidden_layers"),
        heads=section.positive("num_attention_heads"),
        image_size=section.positive("image_size"),
        patch_size=section.positive("patch_size"),
        norm=str(section.one_of("norm_type", "layer_norm", "rms_norm")),
        epsilon=section.number("layer_norm_eps"),
        qkv_bias=section.flag("qkv_bias"),
        qk_norm=section.flag("qk_normalization"),
    )
    _divides(section, "num_attention_heads", vision.heads, vision.hidden)
    _divides(section, "patch_size", vision.patch_size, vision.image_size)
    return vision


def _language(section: Section) -> LanguageConfig:
    if section.value("architectures") != ["Qwen2ForCausalLM"]:
        raise section.error("architectures", "['Qwen2ForCausalLM']", section.content["architectures"])
    section.optional("model_type", "qwen2")
    section.one_of("hidden_act", "silu")
    section.optional("use_sliding_window", False)
    section.optional("attention_bias", True)  # Qwen2 has q, k and v biases and no key to say so
    section.optional("partial_rotary_factor", 1.0, 1)
    layer_types = section.content.get("layer_types") or []
    if not isinstance(layer_types, list) or any(kind != "full_attention" for kind in layer_types):
        raise section.error("layer_types", "only 'full_attention'", layer_types)
    hidden, heads = section.positive("hidden_size"), section.positive("num_attention_heads")
    if section.content.get("head_dim") is None:
        _divides(section, "num_attention_heads", heads, hidden)
        head_dim = hidden // heads
    else:
        head_dim = section.positive("head_dim")
    if head_dim % 8:
        raise section.error("head_dim", "a multiple of 8 (hidden_size / num_attention_heads)", head_dim)
    language = LanguageConfig(
        hidden=hidden,
        intermediate=section.positive("intermediate_size"),
        layers=section.positive("num_hidden_layers"),
        heads=heads,
        kv_heads=section.positive("num_key_value_heads"),
        head_dim=head_dim,
        epsilon=section.number("rms_norm_eps"),
        rope_theta=section.number("rope_theta"),
        max_positions=section.positive("max_position_embeddings"),
        vocabulary=section.positive("vocab_size"),
        tied=bool(section.optional("tie_word_embeddings", False, True)),
    )
    _divides(section, "num_key_value_heads", language.kv_heads, heads)
    _rope_scaling(section, language)
    return language


def _rope_scaling(section: Section, language: LanguageConfig) -> None:
    """Only what has no effect up to max_position_embeddings, which is the limit of the package."""
    scaling = section.content.get("rope_scaling")
    if scaling is None:
        return
    inner = Section(f"{section.where}.rope_scaling", scaling)
    kinds = [scaling[key] for key in ("type", "rope_type") if key in scaling]
    if not kinds or any(kind not in ("dynamic", "default") for kind in kinds):
        raise inner.error("rope_type", "'dynamic' or 'default'", kinds)
    inner.optional("original_max_position_embeddings", language.max_positions)
    for key in scaling.keys() - {"type", "rope_type", "factor", "original_max_position_embeddings"}:
        raise inner.error(key, "no such key", scaling[key])


def read_preprocessor(content: dict, image_size: int) -> Normalization:
    """preprocessor_config.json of a CLIPImageProcessor, checked."""
    section = Section("preprocessor_config.json", content)
    # absent keys take CLIPImageProcessor's own defaults, all true
    for key in ("do_resize", "do_center_crop", "do_normalize", "do_rescale", "do_convert_rgb"):
        section.optional(key, True)
    section.one_of("resample", 3)  # bicubic
    sizes = (image_size, {"shortest_edge": image_size}, {"height": image_size, "width": image_size})
    section.one_of("size", *sizes)
    section.one_of("crop_size", *sizes)
    kind = section.content.get("feature_extractor_type") or section.content.get("image_processor_type")
    if kind not in (None, "CLIPFeatureExtractor", "CLIPImageProcessor"):
        raise section.error("image_processor_type", "CLIPFeatureExtractor or CLIPImageProcessor", kind)
    rescale = section.number("rescale_factor") if "rescale_factor" in content else 1 / 255
    return Normalization(rescale, _triple(section, "image_mean"), _triple(section, "image_std"))


def _triple(section: Section, key: str) -> tuple[float, ...]:
    values = section.value(key)
    if not isinstance(values, list) or len(values) != 3 or not all(type(v) in (int, float) for v in values):
        raise section.error(key, "three numbers", values)
    if key == "image_std" and not all(value > 0 for value in values):
        raise section.error(key, "three positive numbers", values)
    return tuple(float(value) for value in values)
