"""Checkpoints that transformers itself saves, with random weights, beside what transformers computes.

Seen with 4.49.0 (which has no native class), 4.57.6 and 5.24.0. Without the verify extra nothing here runs;
``native.py`` has the keys, names and files of these saves for the other tests.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from checkpoints import read_tensors
from test_native import FILES, same

from fleming_export import export, make_recipe

torch = pytest.importorskip("torch", reason="needs the verify extra")
transformers = pytest.importorskip("transformers", reason="needs the verify extra")
VERSION = tuple(map(int, transformers.__version__.split(".")[:2]))
needs_native = pytest.mark.skipif(VERSION < (4, 52), reason="this transformers has no InternVL of its own")
TILES = 2
#: vision tower, language model, keys of text_config
NATIVE = {
    "300M": ({}, "qwen2", {}),
    "6B": ({"norm_type": "rms_norm", "use_qk_norm": True, "attention_bias": False, "hidden_size": 48,
            "num_attention_heads": 3}, "qwen2", {"num_key_value_heads": 1}),
    "tied": ({}, "qwen2", {"tie_word_embeddings": True}),
    "Qwen3": ({}, "qwen3", {"head_dim": 32}),
}  # fmt: skip


class Module(torch.nn.Module):
    """Parameters by their names alone."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        inner: dict[str, dict] = {}
        for name, tensor in tensors.items():
            first, _, rest = name.partition(".")
            if rest:
                inner.setdefault(first, {})[rest] = tensor
            else:
                self.register_parameter(name, torch.nn.Parameter(tensor, requires_grad=False))
        for name, each in inner.items():
            self.add_module(name, Module(each))


class VisionConfig(transformers.PretrainedConfig):
    model_type = "intern_vit_6b"

    def __init__(self, **keys) -> None:
        super().__init__()
        for key, value in keys.items():
            setattr(self, key, value)


class ChatConfig(transformers.PretrainedConfig):
    """As the published one holds its two parts."""

    model_type = "internvl_chat"
    is_composition = True

    def __init__(self, vision_config=None, llm_config=None, **keys) -> None:
        super().__init__(**keys)
        self.vision_config = VisionConfig(**(vision_config or {}))
        self.llm_config = transformers.Qwen2Config(**(llm_config or {}))


class InternVLChatModel(transformers.PreTrainedModel):
    config_class = ChatConfig

    def __init__(self, config, tensors) -> None:
        super().__init__(config)
        parts = ("vision_model", "mlp1")
        for part in parts:
            own = {name: each for name, each in tensors.items() if name.startswith(f"{part}.")}
            self.add_module(part, Module({name.partition(".")[2]: each for name, each in own.items()}))
        self.language_model = transformers.Qwen2ForCausalLM(config.llm_config)
        rest = {
            name.partition(".")[2]: each
            for name, each in tensors.items()
            if name.partition(".")[0] not in parts
        }
        self.language_model.load_state_dict(rest)


def save_original(plain, out, dtype) -> None:
    """Model, tokenizer and processor of ``plain``, loaded and saved."""
    content = json.loads((plain / "config.json").read_text())
    kept = {key: value for key, value in content.items() if key not in ("architectures", "torch_dtype")}
    tensors = {
        name: torch.from_numpy(bits.view(np.int16).copy()).view(torch.bfloat16).to(dtype)
        for name, bits in read_tensors(plain).items()
    }
    model = InternVLChatModel(ChatConfig(**kept), tensors).to(dtype)
    model.save_pretrained(out, max_shard_size="200KB")
    tokenizer(plain).save_pretrained(out)
    transformers.CLIPImageProcessor.from_pretrained(plain).save_pretrained(out)


def tokenizer(plain):
    """The tokenizer that a version's own AutoTokenizer would take."""
    return transformers.Qwen2TokenizerFast.from_pretrained(plain)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=str)
def test_the_original_layout_saved_again(plain, tmp_path, dtype):
    save_original(plain, tmp_path / "saved", dtype)
    for files in ("all", "tokenizer.json alone"):
        if files != "all":
            for name in ("vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"):
                (tmp_path / "saved" / name).unlink(missing_ok=True)
        got = export(str(tmp_path / "saved"), tmp_path / "got", force=True)
        same(got, export(str(plain), tmp_path / "wanted", force=True))


def native_model(plain, vision: dict, kind: str, text: dict):
    """A small model of transformers' own class, every weight drawn."""
    torch.manual_seed(1)
    added = json.loads((plain / "added_tokens.json").read_text())
    vocabulary = json.loads((plain / "config.json").read_text())["llm_config"]["vocab_size"]
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "intermediate_size": 192}
    spoken = {
        "model_type": kind, **sizes, "num_key_value_heads": 2, "vocab_size": vocabulary, "rms_norm_eps": 1e-5,
        "max_position_embeddings": 4096, "rope_theta": 5e5, "tie_word_embeddings": False, **text,
    }  # fmt: skip
    if VERSION >= (5, 0):
        spoken["rope_parameters"] = {"rope_type": "default", "rope_theta": spoken.pop("rope_theta")}
    seen = {**sizes, "image_size": 448, "patch_size": 28, "attention_bias": True, **vision}
    config = transformers.InternVLConfig(
        vision_config=seen, text_config=spoken, image_token_id=added["<IMG_CONTEXT>"], image_seq_length=64,
        tie_word_embeddings=spoken["tie_word_embeddings"],
    )  # fmt: skip
    model = transformers.InternVLForConditionalGeneration(config).eval()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        for name, values in model.named_parameters():
            mean = 1.0 if "norm" in name and name.endswith("weight") else 0.4 * ("lambda" in name)
            scale = 0.2 if values.ndim == 1 else 0.5 if "embed" in name else values[0].numel() ** -0.5
            values.normal_(mean, scale)
    return model


def asked(manifest: dict) -> tuple[np.ndarray, np.ndarray]:
    """Ids with two pictures in them, and the pixels."""
    tokens, tile = manifest["tokens"], manifest["vision"]["tokens_per_tile"]
    generator = np.random.default_rng(4)
    picture = [tokens["image_start"], *[tokens["image_context"]] * tile, tokens["image_end"]]
    words = generator.integers(0, 1000, 60)
    ids = np.array([*words[:5], *picture, *words[5:9], *picture, *words[9:]])
    return ids, generator.standard_normal((TILES, 3, 448, 448)).astype(np.float32)


def computed(model, ids: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image embeddings [tiles * T, H] and the last logits [V] of transformers' own class."""
    which = {"vision_feature_layer": -1, "vision_feature_select_strategy": "default"}
    with torch.inference_mode():
        features = model.model.get_image_features(pixel_values=torch.from_numpy(pixels), **which)
        features = getattr(features, "pooler_output", features)
        features = features if isinstance(features, torch.Tensor) else torch.cat(list(features))
        told = {"input_ids": torch.from_numpy(ids)[None], "pixel_values": torch.from_numpy(pixels)}
        logits = model(**told, attention_mask=torch.ones(1, len(ids), dtype=torch.long)).logits
    return features.reshape(-1, features.shape[-1]).numpy(), logits[0, -1].numpy()


@needs_native
@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_the_native_class_computes_the_same(plain, tmp_path, kind, target):
    from fleming_export.parity.prompts import Prompt
    from fleming_export.parity.runtime import PackageRunner

    model = native_model(plain, *NATIVE[kind])
    model.save_pretrained(tmp_path / "saved")
    tokenizer(plain).save_pretrained(tmp_path / "saved")
    out = export(str(tmp_path / "saved"), tmp_path / "package", recipe=make_recipe(target, "f32"))
    runner = PackageRunner(out, 400)
    ids, pixels = asked(runner.manifest)
    wanted_rows, wanted = computed(model, ids, pixels)
    rows = runner.embed(pixels).reshape(-1, wanted_rows.shape[-1])
    assert np.abs(rows - wanted_rows).max() <= 1e-5 * np.abs(wanted_rows).max()
    is_image = ids == runner.manifest["tokens"]["image_context"]
    prompt = Prompt("", ids, np.where(is_image, np.cumsum(is_image) - 1, -1), np.zeros(0), pixels)
    for chunk in (len(ids), 50):
        got = runner.prefill(prompt, rows, chunk)
        assert np.abs(got - wanted).max() <= 1e-4


@needs_native
def test_a_processor_saved_with_the_model(plain, tmp_path):
    """With the image and video processors in whatever files this version writes."""
    pytest.importorskip("torchvision", reason="transformers' processor needs it")
    named = {"context_image_token": "<IMG_CONTEXT>", "end_image_token": "</img>"}
    named |= {"start_image_token": "<img>", "video_token": "<video>"}
    words = transformers.Qwen2TokenizerFast.from_pretrained(plain, extra_special_tokens=named)
    kind = getattr(transformers, "GotOcr2ImageProcessorFast", None) or transformers.GotOcr2ImageProcessor
    constants = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    square = {"size": {"height": 448, "width": 448}}
    image = kind(**square, **constants)
    video = transformers.InternVLVideoProcessor(**square, **constants)
    transformers.InternVLProcessor(image, words, video, image_seq_length=64).save_pretrained(
        tmp_path / "saved"
    )
    native_model(plain, *NATIVE["300M"]).save_pretrained(tmp_path / "saved")
    got = export(str(tmp_path / "saved"), tmp_path / "package")
    wanted = export(str(plain), tmp_path / "wanted")
    assert (got / "tokenizer.json").read_bytes() == (wanted / "tokenizer.json").read_bytes()
    manifests = [json.loads((each / "fleming.json").read_text()) for each in (got, wanted)]
    for key in ("normalization", "tokens", "vision", "prompt"):
        assert manifests[0][key] == manifests[1][key]
    assert set(FILES) <= {path.name for path in got.iterdir()}
