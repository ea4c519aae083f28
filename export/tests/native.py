"""A checkpoint of the original layout as transformers' own class saves it: the keys, names and files that
versions 4.57.6 and 5.24.0 write (``test_saves.py`` has them write)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from checkpoints import read_tensors, write_tensors

NAMES = {
    "vision_model.embeddings.class_embedding": "vision_tower.embeddings.cls_token",
    "vision_model.embeddings.patch_embedding": "vision_tower.embeddings.patch_embeddings.projection",
    "vision_model.embeddings.position_embedding": "vision_tower.embeddings.position_embeddings",
    "vision_model.encoder.layers": "vision_tower.encoder.layer",
    "mlp1.0": "multi_modal_projector.layer_norm",
    "mlp1.1": "multi_modal_projector.linear_1",
    "mlp1.3": "multi_modal_projector.linear_2",
}
IN_LAYERS = {
    "attn.proj": "attention.projection_layer",
    "attn.q_norm": "attention.q_norm",
    "attn.k_norm": "attention.k_norm",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "ls1": "lambda_1",
    "ls2": "lambda_2",
}
NAMED = {
    "context_image_token": "<IMG_CONTEXT>",
    "end_image_token": "</img>",
    "start_image_token": "<img>",
    "video_token": "<video>",
}
CONSTANTS = {
    "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3,
    "rescale_factor": 0.00392156862745098, "size": {"height": 448, "width": 448},
}  # fmt: skip
TILING = {"crop_to_patches": False, "max_patches": 12, "min_patches": 1}


def native_name(name: str) -> str:
    """A tensor's name in a saved file."""
    for original, native in NAMES.items():
        if name.startswith(original):
            name = native + name.removeprefix(original)
    for original, native in IN_LAYERS.items():
        if name.startswith("vision_tower.encoder."):
            name = name.replace(f".{original}", f".{native}")
    return name


def native_tensors(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Renamed, and the queries, keys and values of the tower apart."""
    found = {}
    for name, values in tensors.items():
        if ".attn.qkv." not in name:
            found[native_name(name)] = values
            continue
        layer, kind = native_name(name).split(".attn.qkv.")
        for part, rows in zip("qkv", np.split(values, 3), strict=True):
            found[f"{layer}.attention.{part}_proj.{kind}"] = rows
    return found


def native_config(content: dict, version: int, image_token: int) -> dict:
    """config.json by transformers 4 or 5."""
    vision, language = content["vision_config"], content["llm_config"]
    keep = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    side = 448 // vision["patch_size"] // 2
    text = {
        **{key: language[key] for key in (*keep, "num_key_value_heads", "rms_norm_eps", "vocab_size")},
        "attention_dropout": 0.0, "hidden_act": "silu", "initializer_range": 0.02,
        "layer_types": ["full_attention"] * language["num_hidden_layers"],
        "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2",
        "sliding_window": None, "use_cache": True, "use_sliding_window": False,
    }  # fmt: skip
    if version == 4:
        text |= {"rope_scaling": None, "rope_theta": 1000000.0}
    else:
        text |= {"rope_parameters": {"rope_theta": 1000000.0, "rope_type": "default"}}
        text |= {"tie_word_embeddings": language["tie_word_embeddings"]}
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "downsample_ratio": 0.5, "dtype": "bfloat16", "image_seq_length": side * side,
        "image_token_id": image_token, "model_type": "internvl", "projector_hidden_act": "gelu",
        "text_config": text,
        "tie_word_embeddings": language["tie_word_embeddings"],
        "transformers_version": "4.57.6" if version == 4 else "5.24.0",
        "vision_config": {
            **{key: vision[key] for key in keep},
            "attention_bias": vision["qkv_bias"], "use_qk_norm": vision["qk_normalization"],
            "attention_dropout": 0.0, "hidden_act": "gelu", "hidden_dropout_prob": 0.0,
            "image_size": [448, 448], "initializer_range": 0.02, "layer_norm_eps": 1e-06,
            "layer_scale_init_value": 0.1, "model_type": "internvl_vision",
            "norm_type": vision["norm_type"], "num_channels": 3,
            "patch_size": [vision["patch_size"]] * 2, "projection_dropout": 0.0,
            "use_absolute_position_embeddings": True, "use_mask_token": False, "use_mean_pooling": True,
        },
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
    }  # fmt: skip


def fast_tokenizer(folder: Path) -> dict:
    """tokenizer.json as the fast Qwen2 tokenizer saves it, with ``<video>`` as the last token."""
    vocabulary = json.loads((folder / "vocab.json").read_text())
    merges = [line.split() for line in (folder / "merges.txt").read_text().splitlines()[1:]]
    added = json.loads((folder / "added_tokens.json").read_text())
    added["<video>"] = max(added.values()) + 1
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    from fleming_export.tokenizer import PATTERN

    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    sequence = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": number, "content": text, **plain, "special": True} for text, number in added.items()
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
        "post_processor": {
            "type": "TemplateProcessing", "single": [sequence], "pair": [sequence], "special_tokens": {},
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocabulary, "merges": merges,
        },
    }  # fmt: skip


def as_native(folder: Path, out: Path, version: int) -> Path:
    """The checkpoint ``folder`` (one file) as transformers 4 or 5 saves it, its processor included."""
    out.mkdir(parents=True)
    write_tensors(out, native_tensors(read_tensors(folder)))
    added = json.loads((folder / "added_tokens.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    write(out / "config.json", native_config(config, version, added["<IMG_CONTEXT>"]))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    decoder, special = settings.pop("added_tokens_decoder"), settings.pop("additional_special_tokens")
    ready = fast_tokenizer(folder)
    write(out / "tokenizer.json", ready)
    if version == 4:
        video = ready["added_tokens"][-1]
        token = {
            key: video[key] for key in ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
        }
        settings |= {"added_tokens_decoder": {**decoder, str(video["id"]): token}}
        settings |= {"additional_special_tokens": special, "extra_special_tokens": NAMED, **NAMED}
        for name in ("vocab.json", "merges.txt"):
            shutil.copy(folder / name, out)
        write(out / "added_tokens.json", {**added, "<video>": video["id"]})
        kind = {"image_processor_type": "GotOcr2ImageProcessorFast"}
        nothing = dict.fromkeys("crop_size data_format device do_center_crop do_pad pad_size".split())
        write(out / "preprocessor_config.json", {**CONSTANTS, **TILING, **kind, **nothing})
        write(
            out / "processor_config.json", {"image_seq_length": 256, "processor_class": "InternVLProcessor"}
        )
        write(out / "video_preprocessor_config.json", CONSTANTS)
    else:
        settings |= {"backend": "tokenizers", "is_local": True, "extra_special_tokens": special}
        settings |= {"model_specific_special_tokens": NAMED, **NAMED}
        image = {**CONSTANTS, **TILING, "image_processor_type": "GotOcr2ImageProcessor"}
        video = {**CONSTANTS, "video_processor_type": "InternVLVideoProcessor"}
        joint = {"image_processor": image, "video_processor": video, "processor_class": "InternVLProcessor"}
        write(out / "processor_config.json", joint)
    write(out / "tokenizer_config.json", settings)
    return out


def write(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
