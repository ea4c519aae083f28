"""A configuration that means another model is an error that names the key."""

from __future__ import annotations

import pytest
from checkpoints import edit_json

from fleming_export import ExportError, export, make_recipe
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
    ("llm_config.rope_parameters", {"rope_theta": 500000.0, "rope_type": "default"}),
    ("llm_config.rope_parameters", {"rope_theta": 1000000.0, "rope_type": "yarn", "factor": 4.0}),
    ("llm_config.rope_parameters", {"rope_theta": 1000000.0, "rope_type": "dynamic", "factor": 4.0}),
    ("llm_config.rope_parameters", {"rope_type": "default", "partial_rotary_factor": 0.5}),
    ("llm_config.rope_parameters", {"full_attention": {"rope_type": "default"}}),
    ("llm_config.model_type", "qwen3"),
    ("llm_config.mlp_bias", True),
    ("llm_config.final_logit_softcapping", 30.0),
    ("llm_config.layer_types", ["full_attention"] * 3),
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
        ("llm_config.rope_parameters", {"rope_theta": 1e6, "rope_type": "dynamic", "factor": 2.0}),
        ("llm_config.use_sliding_window", True),  # no window is given
        ("llm_config.layer_types", ["full_attention"] * 2),
        ("llm_config.mlp_bias", False),
        ("vocab_size", 5),
        ("vision_config._name_or_path", "OpenGVLab/InternViT-6B-448px-V1-5"),
    ],
)
def test_accepted(damaged, key, value):
    edit_json(damaged / "config.json", key, value)
    read_config(read_json(damaged / "config.json"))


def content_of(folder) -> dict:
    return read_json(folder / "config.json")


def with_rope(folder, **keys) -> dict:
    content = content_of(folder)
    for key in ("rope_theta", "rope_scaling"):
        del content["llm_config"][key]
    content["llm_config"] |= keys
    return content


@pytest.mark.parametrize(
    "keys",
    [
        {"rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}},
        # as transformers 5 writes what was rope_scaling
        {"rope_parameters": {"factor": 2.0, "rope_theta": 5e5, "rope_type": "dynamic", "type": "dynamic"}},
        {"rope_scaling": {"rope_theta": 5e5, "type": "dynamic", "factor": 2.0}},
        {"rope_theta": 5e5, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}},
        {"rope_theta": 5e5},
    ],
)
def test_spellings_of_the_rotation(plain, keys):
    assert read_config(with_rope(plain, **keys)).language.rope_theta == 5e5


def test_two_rotations_that_disagree(plain):
    """transformers 5 would compute yarn, and older versions plain rotation."""
    yarn = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 5e5, "original_max_position_embeddings": 8192}
    for keys in (
        {"rope_theta": 1e6, "rope_parameters": yarn},
        {"rope_theta": 1e6, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}},
        {"rope_theta": 1e6, "rope_scaling": None, "rope_parameters": {"rope_type": "dynamic", "factor": 2.0}},
    ):
        with pytest.raises(ExportError, match="rope"):
            read_config(with_rope(plain, **keys))


@pytest.mark.parametrize(("first", "refused"), [(1, True), (2, False), (28, False)])
def test_windows_that_no_layer_has(plain, first, refused):
    content = content_of(plain)
    windows = {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": first}
    content["llm_config"] |= windows
    if not refused:
        read_config(content)
        return
    with pytest.raises(ExportError, match=r"llm_config\.use_sliding_window"):
        read_config(content)


def test_keys_that_nothing_is_known_of_are_named(plain):
    content, told = content_of(plain), []
    read_config(content, told.append)
    assert told == []
    content["llm_config"] |= {"_attn_implementation_autoset": True, "use_cache": False, "new_trick": 3}
    content |= {"keys_to_ignore_at_inference": ["past_key_values"], "pad_token_id": 3, "other": None}
    read_config(content, told.append)
    assert len(told) == 1
    assert "other, llm_config.new_trick" in told[0]


@pytest.mark.parametrize("name", ["InternLM2ForCausalLM", "Qwen3MoeForCausalLM", "LlamaForCausalLM"])
def test_other_language_models_are_told_what_is_read(plain, name):
    content = content_of(plain)
    content["llm_config"]["architectures"] = [name]
    with pytest.raises(ExportError, match=r"InternVL2\.5 with Qwen2\.5.*Qwen3") as caught:
        read_config(content)
    assert name in caught.value.got


@pytest.mark.parametrize("method", ["bitsandbytes", "fp8", "compressed-tensors"])
def test_other_quantisations_are_named_first(damaged, method):
    """Before the tensors, whose types are no error message."""
    edit_json(damaged / "config.json", "quantization_config", {"quant_method": method})
    (damaged / "model.safetensors").write_bytes(b"no safetensors")
    with pytest.raises(ExportError, match="quant_method: wanted 'awq' or 'gptq'") as caught:
        export(str(damaged), damaged.parent / "package")
    assert "that it was made from" in caught.value.hint


@pytest.mark.parametrize("said", [100, 1700, 2000])
@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_the_rows_of_the_embedding_count(plain, damaged, tmp_path, said, precision):
    """Tools that resize a vocabulary write its size in one of two places."""
    recipe = make_recipe("cpu", precision)
    rows = content_of(plain)["llm_config"]["vocab_size"]
    edit_json(damaged / "config.json", "llm_config.vocab_size", said)
    edit_json(damaged / "config.json", "vocab_size", rows)
    got, wanted = export(str(damaged), tmp_path / "got"), export(str(plain), tmp_path / "wanted")
    assert read_json(got / "fleming.json")["tokens"] == read_json(wanted / "fleming.json")["tokens"]
    assert (got / "decoder.onnx").read_bytes() == (wanted / "decoder.onnx").read_bytes()
    export(str(got), tmp_path / "again", recipe=recipe)


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
