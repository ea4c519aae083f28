"""A configuration that means another model is an error that names the key."""

from __future__ import annotations

import pytest
from conftest import edit_json

from fleming_export import ExportError, export
from fleming_export.config import read_config
from fleming_export.files import read_json

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 16\n"
#: dotted key, value (... removes the key)
REFUSED = [
    ("architectures", ["InternVLModel"]),
    ("text_config", {"model_type": "qwen2"}),
    ("ps_version", "v1"),
    ("ps_version", ...),
    ("select_layer", -4),
    ("select_layer", ...),
    ("template", "internlm2-chat"),
    ("downsample_ratio", 0.3),
    ("downsample_ratio", 0),
    ("downsample_ratio", 0.2),
    ("downsample_ratio", True),
    ("use_backbone_lora", 16),
    ("use_llm_lora", 16),
    ("quantization_config", {"bits": 4}),
    ("pad2square", True),
    ("force_image_size", 224),
    ("hidden_size", 65),
    ("tie_word_embeddings", True),
    ("system_message", 3),
    ("min_dynamic_patch", 0),
    ("max_dynamic_patch", 0),
    ("use_thumbnail", ...),
    ("vision_config", ...),
    ("llm_config", []),
    ("vision_config.hidden_act", "gelu_pytorch_tanh"),
    ("vision_config.norm_type", "batch_norm"),
    ("vision_config.norm_type", ...),
    ("vision_config.qk_normalization", ...),
    ("vision_config.qkv_bias", "yes"),
    ("vision_config.use_moe", True),
    ("vision_config.num_channels", 1),
    ("vision_config.layer_norm_eps", ...),
    ("vision_config.layer_norm_eps", "1e-6"),
    ("vision_config.num_attention_heads", 5),
    ("vision_config.num_hidden_layers", 0),
    ("vision_config.patch_size", 15),
    ("llm_config.architectures", ["LlamaForCausalLM"]),
    ("llm_config.hidden_act", "gelu"),
    ("llm_config.attention_bias", False),
    ("llm_config.layer_types", ["full_attention", "sliding_attention"]),
    ("llm_config.num_attention_heads", 3),
    ("llm_config.num_key_value_heads", 3),
    ("llm_config.head_dim", 12),
    ("llm_config.rms_norm_eps", ...),
    ("llm_config.rope_theta", ...),
    ("llm_config.rope_theta", float("inf")),
    ("llm_config.rope_scaling", {"type": "yarn", "factor": 4.0}),
    ("llm_config.rope_scaling", {"type": "linear", "factor": 2.0}),
    ("llm_config.rope_scaling", {"factor": 2.0}),
    ("llm_config.rope_scaling", {"type": ["dynamic"]}),
    ("llm_config.rope_scaling", "dynamic"),
    ("llm_config.rope_scaling", {"type": "default", "mrope_section": [16, 24, 24]}),
    ("llm_config.rope_scaling", {"type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 4096}),
    ("llm_config.max_position_embeddings", 32768.5),
    ("llm_config.tie_word_embeddings", 1),
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_refused(damaged, key, value):
    edit_json(damaged / "config.json", key, value)
    with pytest.raises(ExportError) as caught:
        export(str(damaged), damaged.parent / "package")
    assert caught.value.thing.startswith(f"config.json.{key}")
    assert caught.value.wanted
    assert "lora" not in key or "merge the adapters" in caught.value.hint
    assert not (damaged.parent / "package").exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("llm_config.rope_scaling", None),
        ("llm_config.rope_scaling", {"rope_type": "dynamic", "factor": 4.0}),
        ("llm_config.head_dim", None),
        ("llm_config.tie_word_embeddings", ...),
        ("force_image_size", None),
        ("quantization_config", None),
        ("system_message", ...),
        ("vision_config._name_or_path", "OpenGVLab/InternViT-6B-448px-V1-5"),
    ],
)
def test_accepted(damaged, key, value):
    edit_json(damaged / "config.json", key, value)
    read_config(read_json(damaged / "config.json"))


PREPROCESSOR = [
    ("do_normalize", False),
    ("do_resize", False),
    ("do_rescale", False),
    ("resample", 2),
    ("size", 224),
    ("size", {"shortest_edge": 336}),
    ("crop_size", ...),
    ("image_mean", [0.5, 0.5]),
    ("image_mean", ...),
    ("image_std", [0.5, 0.5, 0]),
    ("feature_extractor_type", "SiglipImageProcessor"),
]


@pytest.mark.parametrize(("key", "value"), PREPROCESSOR)
def test_refused_preprocessor(damaged, key, value):
    edit_json(damaged / "preprocessor_config.json", key, value)
    with pytest.raises(ExportError) as caught:
        export(str(damaged), damaged.parent / "package")
    assert caught.value.thing.startswith("preprocessor_config.json.")


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", POINTER])
def test_unreadable_json(damaged, name, content):
    if content is None and name == "preprocessor_config.json":
        pytest.skip("may be missing")
    (damaged / name).unlink()
    if content is not None:
        (damaged / name).write_bytes(content)
    with pytest.raises(ExportError) as caught:
        export(str(damaged), damaged.parent / "package")
    assert caught.value.thing == name
    assert content != POINTER or "git lfs pull" in caught.value.hint
