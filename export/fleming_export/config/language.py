"""The language model's section of config.json, which is the same in both layouts."""

from __future__ import annotations

from dataclasses import dataclass

from .model import LanguageConfig
from .section import Section

#: What can be exported, for who gave something else.
READ = (
    "read are InternVL3 and InternVL2.5 with Qwen2.5, InternVL3.5 with a dense Qwen3, and their fine-tunes, "
    "Fleming-VL among them"
)
#: What Qwen2Config and Qwen3Config take where the key is absent.
WINDOW_LAYERS = 28
#: Kind and factor of no scaling.
PLAIN = ("default", None)


@dataclass(frozen=True)
class Family:
    """A language model by its name: the class that config.json names, and its traits."""

    architecture: str
    bias: bool
    qk_norm: bool


FAMILIES = {
    "qwen2": Family("Qwen2ForCausalLM", True, False),
    "qwen3": Family("Qwen3ForCausalLM", False, True),
}


def read_language(section: Section, *, native: bool) -> LanguageConfig:
    """``llm_config`` of the original layout, or ``text_config`` of the native one."""
    family = _family(section, native=native)
    section.one_of("hidden_act", "silu")
    section.optional("attention_bias", family.bias)
    hidden, heads = section.positive("hidden_size"), section.positive("num_attention_heads")
    layers, positions = section.positive("num_hidden_layers"), section.positive("max_position_embeddings")
    _windows(section, layers)
    language = LanguageConfig(
        hidden=hidden,
        intermediate=section.positive("intermediate_size"),
        layers=layers,
        heads=heads,
        kv_heads=section.positive("num_key_value_heads"),
        head_dim=_head_dim(section, family, hidden, heads),
        epsilon=section.number("rms_norm_eps"),
        rope_theta=_rope_theta(section, positions),
        max_positions=positions,
        vocabulary=section.positive("vocab_size"),
        tied=None if native else bool(section.optional("tie_word_embeddings", False, True)),
        bias=family.bias,
        qk_norm=family.qk_norm,
    )
    section.divides("num_key_value_heads", language.kv_heads, heads)
    return language


def _family(section: Section, *, native: bool) -> Family:
    """By ``architectures``, or by ``model_type`` where the native layout has that alone; both must agree."""
    kind, named = section.get("model_type"), section.get("architectures")
    if native and named is None:
        if kind not in FAMILIES:
            raise section.error("model_type", " or ".join(map(repr, FAMILIES)), kind, READ)
        return FAMILIES[kind]
    known = {family.architecture: name for name, family in FAMILIES.items()}
    if not isinstance(named, list) or len(named) != 1 or named[0] not in known:
        wanted = " or ".join(f"['{architecture}']" for architecture in known)
        raise section.error("architectures", wanted, named, READ)
    section.optional("model_type", known[named[0]])
    return FAMILIES[known[named[0]]]


def _head_dim(section: Section, family: Family, hidden: int, heads: int) -> int:
    if section.get("head_dim") is not None:
        head_dim = section.positive("head_dim")
    elif family.qk_norm:
        raise section.error("head_dim", "a value, as Qwen3 has it", section.get("head_dim"))
    else:
        section.divides("num_attention_heads", heads, hidden)
        head_dim = hidden // heads
    if head_dim % 8:
        raise section.error("head_dim", "a multiple of 8 (hidden_size / num_attention_heads)", head_dim)
    return head_dim


def _windows(section: Section, layers: int) -> None:
    """No layer may see a window only. Where ``layer_types`` is absent, it follows from three other keys."""
    kinds = section.get("layer_types") or []
    if not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds):
        raise section.error("layer_types", "only 'full_attention'", kinds)
    if kinds and len(kinds) != layers:
        raise section.error("layer_types", f"{layers} entries, one a layer", len(kinds))
    first = section.get("max_window_layers", WINDOW_LAYERS)
    none = section.get("sliding_window") is None or (type(first) is int and first >= layers)
    if section.optional("use_sliding_window", False, True) and not none:
        hint = f"layers from {first} on would see a window only"
        raise section.error("use_sliding_window", False, True, hint)


def _rope_theta(section: Section, positions: int) -> float:
    """The base of the rotation. Libraries write it in three places; those that are there must agree.

    Scaling may only be one that has no effect up to ``max_position_embeddings``, the limit of the package.
    """
    scalings, found = {}, {}
    if section.get("rope_theta") is not None:
        found["rope_theta"] = section.number("rope_theta")
    for key in ("rope_scaling", "rope_parameters"):
        if section.get(key) is not None:
            inner = Section(f"{section.where}.{key}", section.get(key))
            scalings[key] = _scaling(inner, positions)
            if inner.get("rope_theta") is not None:
                found[f"{key}.rope_theta"] = inner.number("rope_theta")
        elif key in section.content:
            scalings[key] = PLAIN
    if not found:
        raise section.error("rope_theta", "a value, here or in rope_parameters", "nothing")
    first, theta = next(iter(found.items()))
    for key, value in found.items():
        if value != theta:
            raise section.error(key, f"{theta}, as {first} says", value)
    if len(set(scalings.values())) > 1:
        wanted = "the scaling that rope_scaling says"
        raise section.error("rope_parameters", wanted, section.get("rope_parameters"))
    return theta


def _scaling(inner: Section, positions: int) -> tuple[str, object]:
    """Kind and factor of a scaling, checked to be none within the model's own positions."""
    kinds = {inner.get(key) for key in ("type", "rope_type") if _plain_text(inner, key)}
    if len(kinds) != 1 or not kinds <= {"dynamic", "default"}:
        raise inner.error("rope_type", "'dynamic' or 'default'", sorted(map(str, kinds)) or "nothing")
    inner.optional("original_max_position_embeddings", positions)
    inner.optional("partial_rotary_factor", 1.0, 1)
    factor = inner.get("factor")
    inner.get("rope_theta")
    for key in inner.unasked():
        raise inner.error(key, "no such key", inner.content[key])
    (kind,) = kinds
    return (kind, factor) if kind == "dynamic" else PLAIN


def _plain_text(inner: Section, key: str) -> bool:
    value = inner.get(key)
    if value is not None and not isinstance(value, str):
        raise inner.error("rope_type", "'dynamic' or 'default'", value)
    return value is not None
