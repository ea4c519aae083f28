"""The demo model in torch, to train; parameter names are those of the checkpoint."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .slots import SCALES, SLOT_OF_ROW, SLOTS, codes


class Vision(nn.Module):
    """InternViT with LayerNorm: [N, 3, S, S] -> [N, 1 + patches, C]."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width, patch = config["hidden_size"], config["patch_size"]
        grid = config["image_size"] // patch
        self.embeddings = nn.Module()
        self.embeddings.class_embedding = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.embeddings.patch_embedding = nn.Conv2d(3, width, patch, patch)
        self.embeddings.patch_embedding.weight = nn.Parameter(_waves(width, patch))
        self.embeddings.position_embedding = nn.Parameter(_positions(grid, width))
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(VisionLayer(config) for _ in range(config["num_hidden_layers"]))

    def forward(self, pixels: Tensor) -> Tensor:
        parts = self.embeddings
        x = parts.patch_embedding(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([parts.class_embedding.expand(len(x), -1, -1), x], 1) + parts.position_embedding
        for layer in self.encoder.layers:
            x = layer(x)
        return x


def _waves(width: int, patch: int) -> Tensor:
    """[C, 3, patch, patch]: slow cosines of brightness and of two colours to begin with. From random numbers,
    a tower this small takes many times as long to see shapes."""
    places = (torch.arange(patch) + 0.5) * math.pi / patch
    pairs = sorted(
        ((u, v) for u in range(patch) for v in range(patch)), key=lambda p: (p[0] ** 2 + p[1] ** 2, p)
    )
    few = width // 10
    mixtures = [((1 / 3, 1 / 3, 1 / 3), width - 2 * few), ((0.5, -0.5, 0), few), ((0.25, 0.25, -0.5), few)]
    filters = [
        torch.tensor(colours)[:, None, None]
        * ((places * u).cos()[:, None] * (places * v).cos()[None] * (1 + u + v) / patch**2)
        for colours, count in mixtures
        for u, v in pairs[:count]
    ]
    return torch.stack(filters)


def _positions(grid: int, width: int) -> Tensor:
    """[1, 1 + grid^2, C]: to begin with, sines of both coordinates and a vector for the slot of the row that
    a patch becomes part of, so that places are told apart at once. Patches are some ten times as large."""
    rates = 100 ** (-torch.arange(width // 4) / (width // 4))
    y, x = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    angles = [axis.flatten()[:, None] * rates for axis in (y, x)]
    table = torch.cat([f(angle) for angle in angles for f in (torch.sin, torch.cos)], 1)
    slots = torch.from_numpy(SLOT_OF_ROW).view(grid // 2, grid // 2)
    slots = slots.repeat_interleave(2, 0).repeat_interleave(2, 1).flatten()
    table = 0.2 * table + 3 * torch.randn(len(SLOTS), width)[slots]
    return torch.cat([torch.zeros(1, width), table])[None]


class VisionLayer(nn.Module):
    """Pre-norm block with layer scales."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.heads = config["num_attention_heads"]
        self.attn = nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm1, self.norm2 = (nn.LayerNorm(width, config["layer_norm_eps"]) for _ in range(2))
        self.ls1, self.ls2 = (nn.Parameter(torch.ones(width)) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        qkv = self.attn.qkv(self.norm1(x)).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*qkv).transpose(1, 2).reshape(n, tokens, width)
        x = x + self.ls1 * self.attn.proj(y)
        return x + self.ls2 * self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class LanguageLayer(nn.Module):
    """Qwen2's block."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        width, inner, heads = (config[k] for k in ("hidden_size", "intermediate_size", "num_attention_heads"))
        self.heads, self.kv_heads, self.size = heads, config["num_key_value_heads"], width // heads
        rows = self.kv_heads * self.size
        self.self_attn = nn.Module()
        self.self_attn.q_proj = nn.Linear(width, width)
        self.self_attn.k_proj, self.self_attn.v_proj = nn.Linear(width, rows), nn.Linear(width, rows)
        self.self_attn.o_proj = nn.Linear(width, width, bias=False)
        self.mlp = nn.Module()
        self.mlp.gate_proj, self.mlp.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.mlp.down_proj = nn.Linear(inner, width, bias=False)
        epsilon = config["rms_norm_eps"]
        self.input_layernorm, self.post_attention_layernorm = (nn.RMSNorm(width, epsilon) for _ in range(2))

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        n, tokens, width = x.shape
        y, attn = self.input_layernorm(x), self.self_attn
        q = attn.q_proj(y).view(n, tokens, self.heads, -1).transpose(1, 2)
        k, v = (f(y).view(n, tokens, self.kv_heads, -1).transpose(1, 2) for f in (attn.k_proj, attn.v_proj))
        k, v = (part.repeat_interleave(self.heads // self.kv_heads, 1) for part in (_rotate(k, turn), v))
        y = F.scaled_dot_product_attention(_rotate(q, turn), k, v, is_causal=True)
        x = x + attn.o_proj(y.transpose(1, 2).reshape(n, tokens, width))
        y = self.post_attention_layernorm(x)
        return x + self.mlp.down_proj(F.silu(self.mlp.gate_proj(y)) * self.mlp.up_proj(y))


def _rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Rotary positions of [n, heads, tokens, d], by halves."""
    a, b = x.chunk(2, -1)
    cos, sin = turn
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Language(nn.Module):
    """Qwen2 up to the last norm, and the head: [n, tokens, H] -> same."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.model.layers = nn.ModuleList(LanguageLayer(config) for _ in range(config["num_hidden_layers"]))
        self.model.norm = nn.RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)
        size = config["hidden_size"] // config["num_attention_heads"]
        self._rates = config["rope_theta"] ** (-torch.arange(0, size, 2).double() / size)

    def forward(self, x: Tensor) -> Tensor:
        angles = torch.arange(x.shape[1])[:, None] * self._rates
        turn = (angles.cos().float().to(x.device), angles.sin().float().to(x.device))
        for layer in self.model.layers:
            x = layer(x, turn)
        return self.model.norm(x)


class DemoModel(nn.Module):
    """InternVLChatModel."""

    def __init__(self, config: dict) -> None:
        super().__init__()
        vision, language = config["vision_config"], config["llm_config"]
        self.vision_model, self.language_model = Vision(vision), Language(language)
        wide, hidden = 4 * vision["hidden_size"], language["hidden_size"]
        layers = nn.LayerNorm(wide), nn.Linear(wide, hidden), nn.GELU(), nn.Linear(hidden, hidden)
        self.mlp1 = nn.Sequential(*layers)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=min(0.05, parameter.shape[1] ** -0.5))
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def embed(self, pixels: Tensor) -> Tensor:
        """[N, 3, S, S] -> [N, T, H]: the tower, pixel shuffle, the projector."""
        return self.mlp1(self.shuffled(pixels))

    def shuffled(self, pixels: Tensor) -> Tensor:
        """[N, 3, S, S] -> [N, T, 4C]: the tower and pixel shuffle."""
        x = self.vision_model(pixels)[:, 1:]
        n, patches, width = x.shape
        half = math.isqrt(patches) // 2
        x = x.view(n, half, 2, half, 2, width).permute(0, 1, 3, 2, 4, 5)
        return x.reshape(n, half * half, -1)

    def hidden(self, ids: Tensor, context: int, rows: Tensor | None) -> Tensor:
        """[n, tokens] ids and [images, T, H] rows in the order of their places -> [n, tokens, H]."""
        x = self.language_model.model.embed_tokens(ids)
        if rows is not None:
            places = (ids == context)[..., None].expand_as(x)
            x = x.masked_scatter(places, rows.flatten().to(x.dtype))
        return self.language_model(x)


class Codes(nn.Module):
    """The codes of ``slots.py``, not exported: what the tower shall write, and how well it does."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.register_buffer("table", torch.from_numpy(codes(hidden)))
        self.register_buffer("slot", torch.from_numpy(SLOT_OF_ROW))
        self.register_buffer("scale", torch.tensor([name in SCALES for name in SLOTS]))
        most = torch.tensor([1 + len(names) for names in SLOTS.values()])
        self.register_buffer("unused", torch.arange(self.table.shape[1])[None] >= most[:, None])

    def forward(self, values: Tensor) -> Tensor:
        """[N, slots] -> the rows [N, T, H] of a perfect tower."""
        low, high, part = values.floor().long(), values.ceil().long(), values.frac()[..., None]
        slots = torch.arange(len(self.table))
        wanted = self.table[slots, low] * (1 - part) + self.table[slots, high] * part
        return wanted[:, self.slot]

    def _by_slot(self, each: Tensor, counted: Tensor) -> Tensor:
        """The mean over slots of their means of [N, T]: a rare slot counts as much as any."""
        sums, counts = (
            torch.zeros(len(self.table)).to(each).index_add(0, self.slot, part.sum(0))
            for part in (each * counted, counted.to(each))
        )
        kept = counts > 0
        return (sums[kept] / counts[kept]).mean()

    def read(self, rows: Tensor) -> Tensor:
        """[N, T, H] -> [N, T, 1 + values] logits: how near each row is to its slot's codes."""
        near = self.table[self.slot]
        logits = 6 * (2 * torch.einsum("nth,tvh->ntv", rows, near) - near.square().sum(-1))
        return logits.masked_fill(self.unused[self.slot], -1e4)

    def loss(self, rows: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Of rows [N, T, H]; and which slots [N, slots] are read right by the majority of their rows, a scale
        to half a step."""
        logits, wanted = self.read(rows), values[:, self.slot]
        low, part = wanted.floor(), wanted.frac()
        each = sum(
            share * F.cross_entropy(logits.transpose(1, 2), value.long(), reduction="none")
            for share, value in ((1 - part, low), (part, wanted.ceil()))
        )
        named = self._by_slot(each, wanted > 0) + 0.2 * self._by_slot(each, wanted == 0)
        amount = 1 + 9 * (self.scale[self.slot] & (wanted > 0))[..., None]  # a scale has nothing but this
        exact = (amount * (rows - self(values)).square()).mean() / self.table.square().mean()
        shares = logits.softmax(-1)
        votes = shares.new_zeros(len(rows), *self.table.shape[:2]).index_add(1, self.slot, shares)
        return named + exact, (votes.argmax(-1) - values).abs() <= 0.75


def tensors(model: nn.Module) -> dict[str, np.ndarray]:
    """What the checkpoint holds, float32."""
    return {name: value.detach().float().cpu().numpy() for name, value in model.named_parameters()}
