"""config.json of each size, with the traits of the published family."""

from __future__ import annotations

VISION_300M = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "norm_type": "layer_norm",
    "qk_normalization": False,
    "qkv_bias": True,
}
VISION_6B = {
    "hidden_size": 3200,
    "intermediate_size": 12800,
    "num_hidden_layers": 45,
    "num_attention_heads": 25,
    "norm_type": "rms_norm",
    "qk_normalization": True,
    "qkv_bias": False,
}


def _narrow(vision: dict, width: int, heads: int) -> dict:
    """Two layers of a tower at a small width."""
    small = {"hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": 2}
    return {**vision, **small, "num_attention_heads": heads}


def _language(hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int) -> dict:
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }


#: InternVL3.5's language model: heads of a width of their own, normed, and no biases.
QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "attention_bias": False,
    "head_dim": 32,
}
#: name -> (vision_config, llm_config)
SIZES = {
    "tiny": (_narrow(VISION_300M, 64, 4), _language(64, 192, 2, 4, 2)),
    # odd head counts, five query heads to a KV head, as in the 38B; an unusual epsilon on purpose
    "tiny-38b": (_narrow(VISION_6B, 48, 3), {**_language(80, 208, 3, 5, 1), "rms_norm_eps": 1e-5}),
    "tiny-qwen3": (_narrow(VISION_300M, 64, 4), {**_language(64, 192, 2, 4, 2), **QWEN3}),
    "1b": (VISION_300M, _language(896, 4864, 24, 14, 2)),
    "2b": (VISION_300M, _language(1536, 8960, 28, 12, 2)),
    "8b": (VISION_300M, _language(3584, 18944, 28, 28, 4)),
    "14b": (VISION_300M, _language(5120, 13824, 48, 40, 8)),
    "38b": (VISION_6B, _language(5120, 27648, 64, 40, 8)),
}


def config_json(size: str, vocabulary: int) -> dict:
    """config.json of a size: the keys the exporter reads, and stale ones that must not mislead it."""
    vision, language = SIZES[size]
    return {
        "architectures": ["InternVLChatModel"],
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "force_image_size": 448,
        "hidden_size": language["hidden_size"],
        "image_fold": None,
        "llm_config": {
            "_name_or_path": "synthetic",
            "architectures": ["Qwen2ForCausalLM"],
            "attention_dropout": 0.0,
            "bos_token_id": 151643,  # as published: not an id to trust
            "eos_token_id": 151643,
            "hidden_act": "silu",
            "max_position_embeddings": 32768,
            "model_type": "qwen2",
            "rms_norm_eps": 1e-6,
            "rope_scaling": {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"},
            "rope_theta": 1000000.0,
            "sliding_window": None,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
            "use_sliding_window": False,
            "vocab_size": vocabulary,
            **language,
        },
        "max_dynamic_patch": 12,
        "min_dynamic_patch": 1,
        "model_type": "internvl_chat",
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "system_message": None,
        "template": "internvl2_5",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
        "use_thumbnail": True,
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "attention_dropout": 0.0,
            "dropout": 0.0,
            "hidden_act": "gelu",
            "image_size": 448,
            "layer_norm_eps": 1e-06,
            "model_type": "intern_vit_6b",
            "num_channels": 3,
            "patch_size": 14,
            **vision,
        },
    }
