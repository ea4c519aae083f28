"""Names of tensors: whatever a tool made of them, back to those of the original layout.

transformers' own class has the same function under other names, and three tensors for the queries, keys and
values of the vision tower, which are one tensor of the original layout, one below the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ..errors import ExportError, notice
from .stored import StoredTensor

#: What wrappers put in front of all names: data parallel training, compilation, adapters, trainers.
WRAPPERS = ("module.", "_orig_mod.", "base_model.model.", "base_model.", "model.")
#: How names begin in one of the layouts.
ROOTS = ("vision_model.", "mlp1.", "language_model.", "vision_tower.", "multi_modal_projector.")
LAYER = r"vision_model.encoder.layers.\1."
#: A native name -> the original one. Saved files and models in memory differ in where ``model.`` stands.
NATIVE = [
    (r"model\.(language_model|vision_tower|multi_modal_projector)\.", r"\1."),
    (r"language_model\.(embed_tokens|layers|norm)\.", r"language_model.model.\1."),
    (r"lm_head\.", "language_model.lm_head."),
    (r"multi_modal_projector\.layer_norm\.", "mlp1.0."),
    (r"multi_modal_projector\.linear_1\.", "mlp1.1."),
    (r"multi_modal_projector\.linear_2\.", "mlp1.3."),
    (r"vision_tower\.embeddings\.cls_token", "vision_model.embeddings.class_embedding"),
    (r"vision_tower\.embeddings\.patch_embeddings\.projection\.", "vision_model.embeddings.patch_embedding."),
    (r"vision_tower\.embeddings\.position_embeddings", "vision_model.embeddings.position_embedding"),
    (r"vision_tower\.encoder\.layer\.(\d+)\.attention\.projection_layer\.", f"{LAYER}attn.proj."),
    (r"vision_tower\.encoder\.layer\.(\d+)\.attention\.", f"{LAYER}attn."),
    (r"vision_tower\.encoder\.layer\.(\d+)\.layernorm_before\.", f"{LAYER}norm1."),
    (r"vision_tower\.encoder\.layer\.(\d+)\.layernorm_after\.", f"{LAYER}norm2."),
    (r"vision_tower\.encoder\.layer\.(\d+)\.lambda_(1|2)$", rf"{LAYER}ls\2"),
    (r"vision_tower\.encoder\.layer\.(\d+)\.", LAYER),
]
QKV = re.compile(r"(vision_model\.encoder\.layers\.\d+\.attn\.)([qkv])_proj\.(weight|bias)")


def canonical(tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The same tensors under the names of the original layout, in its form."""
    prefix = _prefix(tensors)
    if prefix:
        notice(f"all tensors are named {prefix}…: the prefix is left off")
    found: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        plain = _original(name.removeprefix(prefix))
        if plain in found:
            raise ExportError(name, f"one tensor for {plain}", "two")
        found[plain] = replace(tensor, name=plain)
    return _joined(found)


def original_names(names: Iterable[str]) -> set[str]:
    """The names alone, where no more than an index is at hand."""
    names = list(names)
    prefix = _prefix(names)
    plain = (_original(name.removeprefix(prefix)) for name in names)
    return {QKV.sub(r"\1qkv.\3", name) for name in plain}


def _prefix(names: Iterable[str]) -> str:
    """What wrappers have put in front of every name."""
    names, prefix = list(names), ""
    while names and not all(_original(name).startswith(ROOTS) for name in names):
        wrapper = next((each for each in WRAPPERS if all(name.startswith(each) for name in names)), None)
        if wrapper is None:
            return prefix if any(name.startswith(ROOTS) for name in names) else ""
        prefix += wrapper
        names = [name.removeprefix(wrapper) for name in names]
    return prefix


def _original(name: str) -> str:
    for pattern, plain in NATIVE:
        name = re.sub(rf"^{pattern}", plain, name)
    return name


def _joined(tensors: dict[str, StoredTensor]) -> dict[str, StoredTensor]:
    """Queries, keys and values of the tower as one tensor each."""
    parts: dict[tuple[str, str], dict[str, StoredTensor]] = {}
    for name, tensor in tensors.items():
        if match := QKV.fullmatch(name):
            parts.setdefault((match[1], match[3]), {})[match[2]] = tensor
    joined = {name: tensor for name, tensor in tensors.items() if not QKV.fullmatch(name)}
    for (layer, kind), found in parts.items():
        for part in "qkv":
            if part not in found:
                raise ExportError(
                    f"{layer}{part}_proj.{kind}", "a tensor like its neighbours", "no such tensor"
                )
            if found[part].shape != found["q"].shape:
                wanted = f"shape {list(found['q'].shape)}, as the queries have it"
                raise ExportError(found[part].name, wanted, list(found[part].shape))
        rows, *rest = found["q"].shape
        three = tuple(found[part] for part in "qkv")
        name = f"{layer}qkv.{kind}"
        joined[name] = replace(three[0], name=name, shape=(3 * rows, *rest), parts=three)
    return joined
