"""config.json of both layouts: the original one, and that of transformers ("native", or -hf)."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UNMERGED
from .harmless import check_others
from .language import READ, read_language
from .model import ModelConfig, Packing, VisionConfig
from .section import Section

ORIGINAL, NATIVE = "InternVLChatModel", "InternVLForConditionalGeneration"
#: How the family cuts a picture into tiles, where only its native processor says it: least, most, thumbnail.
TILES = (1, 12, True)


def read_config(content: dict, tell: Callable[[str], object] = lambda _: None) -> ModelConfig:
    """The model of a config.json, checked; ``tell`` gets a sentence about what is there and not used."""
    top = Section("config.json", content)
    named = top.value("architectures")
    if named not in ([ORIGINAL], [NATIVE]):
        raise top.error("architectures", f"['{ORIGINAL}'] or ['{NATIVE}']", named, READ)
    sections = [key for key in ("llm_config", "text_config") if top.get(key) is not None]
    if len(sections) == 2:
        raise top.error("text_config", "one language model", "llm_config as well", "remove the stale one")
    # by what is there: tools rename the class without the rest
    return (_native if sections == ["text_config"] else _original)(top, tell)


def _original(top: Section, tell: Callable[[str], object]) -> ModelConfig:
    """The layout of the published modelling code."""
    top.one_of("ps_version", "v2")
    top.one_of("select_layer", -1)
    top.one_of("template", "internvl2_5")
    for key in ("use_backbone_lora", "use_llm_lora"):
        if top.get(key):  # the rank of adapters
            raise top.error(key, 0, top.get(key), UNMERGED)
        top.optional(key, 0, None)
    _system(top, tell)
    top.optional("pad2square", False)
    top.optional("image_fold", None)
    seen, spoken = top.section("vision_config"), top.section("llm_config")
    vision, language = _vision(seen), read_language(spoken, native=False)
    top.optional("hidden_size", language.hidden)
    top.optional("tie_word_embeddings", language.tied)
    top.optional("force_image_size", vision.image_size, None)
    tiles = top.positive("min_dynamic_patch"), top.positive("max_dynamic_patch")
    if tiles[0] > tiles[1]:
        raise top.error("max_dynamic_patch", f"at least min_dynamic_patch {tiles[0]}", tiles[1])
    shuffle, thumbnail = _shuffle(top, vision), top.flag("use_thumbnail")
    config = ModelConfig(vision, language, shuffle, *tiles, thumbnail, _packing(top, spoken))
    check_others((top, seen, spoken), tell)
    return config


def _system(top: Section, tell: Callable[[str], object]) -> None:
    """The published modelling code takes the system text of the template and never reads this key."""
    text = top.get("system_message")
    if not isinstance(text, str | None):
        raise top.error("system_message", "a text or null", text)
    if text:
        tell("config.json.system_message is ignored, as by the published code; at run time give --system")


def _native(top: Section, tell: Callable[[str], object]) -> ModelConfig:
    """The layout of transformers' own class. Template, tiling and pixel shuffle are the family's."""
    top.optional("model_type", "internvl")
    top.optional("vision_feature_layer", -1)
    top.optional("vision_feature_select_strategy", "default")  # no class token
    top.optional("projector_hidden_act", "gelu")
    seen, spoken = top.section("vision_config"), top.section("text_config")
    vision, language = _native_vision(seen), read_language(spoken, native=True)
    shuffle, packing = _shuffle(top, vision), _packing(top, spoken)
    image_token = top.positive("image_token_id")
    tokens = (vision.grid // shuffle) ** 2
    top.optional("image_seq_length", tokens)
    config = ModelConfig(vision, language, shuffle, *TILES, packing, image_token)
    check_others((top, seen, spoken), tell)
    return config


def _packing(top: Section, language: Section) -> Packing | None:
    """quantization_config, of the whole or of the language model."""
    found = [section for section in (top, language) if section.get("quantization_config") is not None]
    if not found:
        return None
    section = found[0].section("quantization_config")
    if len(found) == 2 and found[1].content["quantization_config"] != section.content:
        raise found[0].error("quantization_config", "the same as that of the language model", "another")
    return read_packing(section)


def read_packing(section: Section) -> Packing:
    """How the weights are packed, where their levels can be taken over."""
    hint = "export the checkpoint that it was made from; --precision int8 or int4 quantises it"
    method = section.value("quant_method")
    if method not in ("awq", "gptq"):
        raise section.error("quant_method", "'awq' or 'gptq'", method, hint)
    group = int(section.one_of("group_size", 32, 64, 128))
    if method == "awq":
        section.one_of("bits", 4)
        version = section.get("version", "gemm")
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
    section.divides("num_attention_heads", vision.heads, vision.hidden)
    section.divides("patch_size", vision.patch_size, vision.image_size)
    return vision


def _native_vision(section: Section) -> VisionConfig:
    section.optional("model_type", "internvl_vision")
    section.optional("hidden_act", "gelu")
    section.optional("num_channels", 3)
    section.optional("use_mask_token", False)  # whose embedding only training uses
    section.optional("use_absolute_position_embeddings", True)
    section.optional("use_mean_pooling", True)  # else there is a norm at the end
    section.optional("quantization_config", None)
    vision = VisionConfig(
        hidden=section.positive("hidden_size"),
        intermediate=section.positive("intermediate_size"),
        layers=section.positive("num_hidden_layers"),
        heads=section.positive("num_attention_heads"),
        image_size=_side(section, "image_size"),
        patch_size=_side(section, "patch_size"),
        norm=str(section.optional("norm_type", "layer_norm", "rms_norm")),
        epsilon=section.number("layer_norm_eps"),
        qkv_bias=bool(section.optional("attention_bias", False, True)),
        qk_norm=bool(section.optional("use_qk_norm", False, True)),
    )
    section.divides("num_attention_heads", vision.heads, vision.hidden)
    section.divides("patch_size", vision.patch_size, vision.image_size)
    return vision


def _side(section: Section, key: str) -> int:
    """A length of a square, given once or for both directions."""
    value = section.value(key)
    side = value[0] if isinstance(value, list) and len(value) == 2 and value[0] == value[1] else value
    if type(side) is not int or side <= 0:
        raise section.error(key, "a positive integer, or the same one twice", value)
    return side
