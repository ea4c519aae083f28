"""The model in torch, float32: the vision tower written out here, the language model by transformers."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.modeling_utils import no_init_weights

from ..config import ModelConfig
from ..errors import ExportError
from ..sources.folder import Checkpoint
from .prompts import Prompt


def _load(checkpoint: Checkpoint, name: str, into: torch.Tensor) -> None:
    """Copies a checkpoint tensor, a block at a time."""
    if checkpoint.tensors[name].shape != tuple(into.shape):
        raise ExportError(name, list(into.shape), list(checkpoint.tensors[name].shape))
    flat, start = into.data.view(-1), 0
    for block in checkpoint.blocks(name):
        flat[start : start + len(block)] = torch.from_numpy(np.array(block))
        start += len(block)


class VisionReference:
    """InternViT, pixel shuffle and projector, one tile at a time."""

    def __init__(self, checkpoint: Checkpoint, config: ModelConfig) -> None:
        self._config, self._vision = config, config.vision
        self._w: dict[str, torch.Tensor] = {}
        for name, tensor in checkpoint.tensors.items():
            if not name.startswith("language_model."):
                self._w[name] = torch.empty(tensor.shape)
                _load(checkpoint, name, self._w[name])

    @torch.inference_mode()
    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """[tiles, 3, S, S] -> [tiles, T, H]."""
        rows = [self._tile(torch.from_numpy(pixels[i : i + 1])) for i in range(len(pixels))]
        return torch.cat(rows).numpy()

    def _tile(self, pixels: torch.Tensor) -> torch.Tensor:
        """[1, 3, S, S] -> [1, T, H]."""
        name, vision = "vision_model.embeddings.", self._vision
        weight, bias = self._w[f"{name}patch_embedding.weight"], self._w[f"{name}patch_embedding.bias"]
        x = F.conv2d(pixels, weight, bias, stride=vision.patch_size).flatten(2).transpose(1, 2)
        x = torch.cat([self._w[f"{name}class_embedding"], x], 1) + self._w[f"{name}position_embedding"]
        for layer in range(vision.layers):
            x = self._layer(x, f"vision_model.encoder.layers.{layer}.")
        side, grid = self._config.shuffle, vision.grid
        x = x[:, 1:].reshape(grid // side, side, grid // side, side, vision.hidden)
        x = x.permute(0, 2, 1, 3, 4).reshape(1, self._config.tokens_per_tile, -1)
        x = F.layer_norm(x, x.shape[-1:], self._w["mlp1.0.weight"], self._w["mlp1.0.bias"])
        return self._linear(F.gelu(self._linear(x, "mlp1.1")), "mlp1.3")

    def _layer(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """[1, 1 + patches, C] -> same."""
        vision, tokens = self._vision, x.shape[1]
        q, k, v = self._linear(self._norm(x, f"{name}norm1"), f"{name}attn.qkv").chunk(3, -1)
        if vision.qk_norm:
            q, k = self._rms(q, f"{name}attn.q_norm"), self._rms(k, f"{name}attn.k_norm")
        q, k, v = (part.view(tokens, vision.heads, -1).transpose(0, 1) for part in (q, k, v))
        y = torch.softmax(q @ k.transpose(1, 2) * q.shape[-1] ** -0.5, -1) @ v
        y = y.transpose(0, 1).reshape(1, tokens, vision.hidden)
        x = x + self._w[f"{name}ls1"] * self._linear(y, f"{name}attn.proj")
        y = F.gelu(self._linear(self._norm(x, f"{name}norm2"), f"{name}mlp.fc1"))
        return x + self._w[f"{name}ls2"] * self._linear(y, f"{name}mlp.fc2")

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        if self._vision.norm == "rms_norm":
            return self._rms(x, name)
        weight, bias = self._w[f"{name}.weight"], self._w[f"{name}.bias"]
        return F.layer_norm(x, x.shape[-1:], weight, bias, self._vision.epsilon)

    def _rms(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return (
            x
            * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self._vision.epsilon)
            * self._w[f"{name}.weight"]
        )

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, self._w[f"{name}.weight"], self._w.get(f"{name}.bias"))


class LanguageReference:
    """Qwen2ForCausalLM or Qwen3ForCausalLM with the checkpoint's weights."""

    def __init__(self, checkpoint: Checkpoint, config: ModelConfig) -> None:
        content, language = checkpoint.json("config.json"), config.language
        section = content.get("llm_config") or content["text_config"]
        # what other versions of transformers write elsewhere, and what the tensors say
        keys = {key: value for key, value in section.items() if key != "rope_parameters"}
        keys |= {"rope_theta": language.rope_theta, "vocab_size": language.vocabulary}
        keys |= {"tie_word_embeddings": bool(language.tied), "torch_dtype": "float32"}
        kinds = (Qwen3Config, Qwen3ForCausalLM) if language.qk_norm else (Qwen2Config, Qwen2ForCausalLM)
        made = kinds[0](**keys)
        made._attn_implementation = "eager"
        with no_init_weights():
            self._model = kinds[1](made).eval()
        self._model.tie_weights()  # which is part of the initialisation that was left out
        for name, parameter in self._model.named_parameters():
            _load(checkpoint, f"language_model.{name}", parameter)

    @torch.inference_mode()
    def generate(self, prompt: Prompt, rows: np.ndarray, steps: int) -> np.ndarray:
        """Greedy, not stopping at any token -> [steps, V], the logits before each token."""
        x = self._model.get_input_embeddings()(torch.from_numpy(prompt.ids))
        is_image = torch.from_numpy(prompt.splice >= 0)
        if is_image.any():
            x[is_image] = torch.from_numpy(rows)[prompt.splice[prompt.splice >= 0]]
        cache, logits = DynamicCache(), []
        for _ in range(steps):
            out = self._model(inputs_embeds=x[None], past_key_values=cache, use_cache=True, logits_to_keep=1)
            logits.append(out.logits[0, -1].numpy())
            x = self._model.get_input_embeddings()(torch.tensor([int(logits[-1].argmax())]))
        return np.stack(logits)
