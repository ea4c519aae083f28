"""The model in torch: the vision tower written out here, the language model by transformers, both with SDPA.

Weights come from a checkpoint, or from a package: then the levels of quantised weights are turned into the
values that they stand for, so that what differs is the arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fleming_export.config import ModelConfig, read_config
from fleming_export.sources.folder import Checkpoint
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM

KINDS = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
STORED = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
PROJECTOR_EPSILON = 1e-5  # torch's own, and not the tower's

#: name of a checkpoint's tensor -> the tensor on the device, in the type it is stored in
Weights = Callable[[str], torch.Tensor]


def device() -> torch.device:
    """The GPU; the CPU where the kit itself is tried out."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def exact() -> None:
    """float32 is float32, in convolutions too."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def of_checkpoint(checkpoint: Checkpoint) -> Weights:
    """Tensors as they lie in the file, without a detour over float32."""

    def read(name: str) -> torch.Tensor:
        stored = checkpoint.tensors[name]
        return raw(stored.file, stored.offset, STORED[stored.dtype], stored.shape)

    return read


def raw(file: Path, offset: int, kind: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor of a file on the device."""
    count = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    values = np.fromfile(file, np.uint8, count=count, offset=offset)
    return torch.from_numpy(values).to(device()).view(kind).view(shape)


class Tower:
    """InternViT, pixel shuffle and projector."""

    def __init__(self, names: list[str], weights: Weights, config: ModelConfig, kind: torch.dtype) -> None:
        self._config, self._vision = config, config.vision
        self._w = {name: weights(name).to(kind) for name in names if not name.startswith("language_model.")}

    def to(self, kind: torch.dtype) -> None:
        """Rounds the weights."""
        self._w = {name: weight.to(kind) for name, weight in self._w.items()}

    @torch.inference_mode()
    def rows(self, pixels: np.ndarray | torch.Tensor) -> torch.Tensor:
        """[tiles, 3, S, S] -> [tiles * T, H], all tiles at once."""
        vision, name = self._vision, "vision_model.embeddings."
        weight, bias = self._w[f"{name}patch_embedding.weight"], self._w[f"{name}patch_embedding.bias"]
        pixels = torch.as_tensor(pixels).to(device(), weight.dtype)
        x = F.conv2d(pixels, weight, bias, stride=vision.patch_size).flatten(2).transpose(1, 2)
        first = self._w[f"{name}class_embedding"].expand(len(x), -1, -1)
        x = torch.cat([first, x], 1) + self._w[f"{name}position_embedding"]
        for layer in range(vision.layers):
            x = self._layer(x, f"vision_model.encoder.layers.{layer}.")
        side, half = self._config.shuffle, vision.grid // self._config.shuffle
        x = x[:, 1:].reshape(-1, half, side, half, side, vision.hidden)
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(-1, side * side * vision.hidden)
        x = F.layer_norm(x, x.shape[-1:], self._w["mlp1.0.weight"], self._w["mlp1.0.bias"], PROJECTOR_EPSILON)
        return self._linear(F.gelu(self._linear(x, "mlp1.1")), "mlp1.3")

    def _layer(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """[tiles, 1 + patches, C] -> same."""
        vision = self._vision
        q, k, v = self._linear(self._norm(x, f"{name}norm1"), f"{name}attn.qkv").chunk(3, -1)
        if vision.qk_norm:
            q, k = self._rms(q, f"{name}attn.q_norm"), self._rms(k, f"{name}attn.k_norm")
        q, k, v = (part.unflatten(-1, (vision.heads, -1)).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self._w[f"{name}ls1"] * self._linear(y, f"{name}attn.proj")
        y = F.gelu(self._linear(self._norm(x, f"{name}norm2"), f"{name}mlp.fc1"))
        return x + self._w[f"{name}ls2"] * self._linear(y, f"{name}mlp.fc2")

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        if self._vision.norm == "rms_norm":
            return self._rms(x, name)
        weight, bias = self._w[f"{name}.weight"], self._w[f"{name}.bias"]
        return F.layer_norm(x, x.shape[-1:], weight, bias, self._vision.epsilon)

    def _rms(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], self._w[f"{name}.weight"], self._vision.epsilon)

    def _linear(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return F.linear(x, self._w[f"{name}.weight"], self._w.get(f"{name}.bias"))


class Language:
    """Qwen2ForCausalLM of transformers on the device."""

    def __init__(self, weights: Weights, content: dict, kind: torch.dtype) -> None:
        # without the scaling of positions, which begins where the limit of a package ends
        config = Qwen2Config(**{**content["llm_config"], "rope_scaling": None})
        config._attn_implementation = "sdpa"
        with torch.device("meta"):
            self._model = Qwen2ForCausalLM(config).eval()
        self._model.to(kind).to_empty(device=device())
        self._model.tie_weights()
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                parameter.copy_(weights(f"language_model.{name}"))
        self._theta = float(content["llm_config"]["rope_theta"])
        self._turn()

    def _turn(self) -> None:
        """Frequencies in float32, which a change of the model's type would round."""
        rotary = self._model.model.rotary_emb
        size = 2 * rotary.inv_freq.shape[0]
        power = torch.arange(0, size, 2, dtype=torch.float32, device=device()) / size
        rotary.inv_freq = 1.0 / self._theta**power
        rotary.original_inv_freq = rotary.inv_freq.clone()

    def to(self, kind: torch.dtype) -> None:
        """Rounds the weights."""
        self._model.to(kind)
        self._turn()

    @torch.inference_mode()
    def embed(self, ids: np.ndarray, context: int, rows: torch.Tensor | None) -> torch.Tensor:
        """Token ids [N], and rows in the place of those of pictures -> [1, N, H]."""
        ids = torch.from_numpy(np.asarray(ids, np.int64)).to(device())
        x = self._model.get_input_embeddings()(ids)
        if rows is not None:
            x[ids == context] = rows.to(x.dtype)
        return x[None]

    @torch.inference_mode()
    def logits(self, x: torch.Tensor, last: int) -> torch.Tensor:
        """[1, N, H] -> logits [last, V] of the last positions, float32."""
        return self._model(inputs_embeds=x, use_cache=False, logits_to_keep=last).logits[0].float()

    @torch.inference_mode()
    def generate(self, x: torch.Tensor, steps: int) -> Iterator[torch.Tensor]:
        """Greedy, [B, N, H] -> tokens [B], the first from the prompt and then of each step."""
        cache = DynamicCache()
        for _ in range(1 + steps):
            out = self._model(inputs_embeds=x, past_key_values=cache, use_cache=True, logits_to_keep=1)
            token = out.logits[:, -1].argmax(-1)
            yield token
            x = self._model.get_input_embeddings()(token)[:, None]


def both(names: list[str], weights: Weights, content: dict, kinds: tuple[str, str]) -> tuple[Tower, Language]:
    """Tower and language model, in a type each."""
    of_tower, of_language = (KINDS[kind] for kind in kinds)
    return Tower(names, weights, read_config(content), of_tower), Language(weights, content, of_language)
