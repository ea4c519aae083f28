"""A random-weight checkpoint, a pure function of its configuration and a seed, written a block at a time."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..config import PROCESSOR, read_config
from ..errors import ExportError
from ..package import check_space, staged
from ..quantize import bfloat16_bits
from .drawn import Drawn, Options
from .outliers import Outliers, plant
from .sizes import config_json
from .tokenizer import special_ids, write_tokenizer

BLOCK_VALUES = 1 << 22


def write_checkpoint(
    size: str, out: Path, options: Options, alter: Callable[[dict], None] = lambda _: None
) -> None:
    """Makes the folder ``out`` of config, tokenizer and weights; an interruption leaves nothing.

    ``alter`` changes the config before the weights of it are drawn, where no option does.
    """
    with staged(out, force=False) as folder:
        vocabulary = write_tokenizer(folder, options.tokenizer)
        if options.vocabulary is not None and options.vocabulary < vocabulary:
            raise ExportError("vocabulary", f"at least the tokenizer's {vocabulary}", options.vocabulary)
        config = config_json(size, options.vocabulary or vocabulary)
        config["tie_word_embeddings"] = config["llm_config"]["tie_word_embeddings"] = options.tied
        config["vision_config"]["patch_size"] = options.patch_size
        if options.vision_layers:
            config["vision_config"]["num_hidden_layers"] = options.vision_layers
        if options.language_layers:
            config["llm_config"]["num_hidden_layers"] = options.language_layers
        alter(config)
        dump(folder / "config.json", config)
        dump(folder / "preprocessor_config.json", PROCESSOR)
        tensors = plan(config)
        check_space(folder, sum(map(_bytes, tensors)))
        planted = plant(read_config(config), options)
        write_weights(folder, tensors, special_ids(vocabulary)["<|im_end|>"], options, planted)


def dump(path: Path, content: dict) -> None:
    """Writes a JSON file."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def plan(config: dict) -> list[Drawn]:
    """Every tensor of the original layout, in order."""
    return _vision(config["vision_config"]) + _projector(config) + _language(config["llm_config"])


def _linear(name: str, outputs: int, inputs: int, bias: float | None = None) -> list[Drawn]:
    """Deviation 1 / sqrt(inputs) keeps the scale of what goes through."""
    drawn = [Drawn(f"{name}.weight", (outputs, inputs), inputs**-0.5)]
    return drawn + ([Drawn(f"{name}.bias", (outputs,), bias)] if bias else [])


def _norm(name: str, width: int, *, bias: bool) -> list[Drawn]:
    drawn = [Drawn(f"{name}.weight", (width,), 0.2, 1.0)]
    return drawn + ([Drawn(f"{name}.bias", (width,), 0.1)] if bias else [])


def _vision(vision: dict) -> list[Drawn]:
    width, inner, side = vision["hidden_size"], vision["intermediate_size"], vision["patch_size"]
    positions = (vision["image_size"] // side) ** 2 + 1
    name, bias = "vision_model.embeddings.", vision["norm_type"] == "layer_norm"
    drawn = [
        Drawn(f"{name}class_embedding", (1, 1, width), 0.5),
        Drawn(f"{name}patch_embedding.weight", (width, 3, side, side), (3 * side * side) ** -0.5),
        Drawn(f"{name}patch_embedding.bias", (width,), 0.1),
        Drawn(f"{name}position_embedding", (1, positions, width), 0.4),
    ]
    for layer in range(vision["num_hidden_layers"]):
        name = f"vision_model.encoder.layers.{layer}."
        drawn += _norm(f"{name}norm1", width, bias=bias) + _norm(f"{name}norm2", width, bias=bias)
        drawn += _linear(f"{name}attn.qkv", 3 * width, width, 0.2 if vision["qkv_bias"] else None)
        if vision["qk_normalization"]:
            drawn += _norm(f"{name}attn.q_norm", width, bias=False) + _norm(
                f"{name}attn.k_norm", width, bias=False
            )
        drawn += _linear(f"{name}attn.proj", width, width, 0.1)
        drawn += _linear(f"{name}mlp.fc1", inner, width, 0.1) + _linear(f"{name}mlp.fc2", width, inner, 0.1)
        drawn += [Drawn(f"{name}{scale}", (width,), 0.2, 0.4) for scale in ("ls1", "ls2")]
    return drawn


def _projector(config: dict) -> list[Drawn]:
    wide = round(1 / config["downsample_ratio"]) ** 2 * config["vision_config"]["hidden_size"]
    hidden = config["llm_config"]["hidden_size"]
    return [
        *_norm("mlp1.0", wide, bias=True),
        *_linear("mlp1.1", hidden, wide, 0.1),
        *_linear("mlp1.3", hidden, hidden, 0.1),
    ]


def _language(language: dict) -> list[Drawn]:
    hidden, inner = language["hidden_size"], language["intermediate_size"]
    heads, plain = language["num_attention_heads"], language["model_type"] == "qwen2"
    size = language.get("head_dim") or hidden // heads
    rows = size * language["num_key_value_heads"]
    biases = (0.3, 0.3, 0.1) if plain else (None,) * 3
    drawn = [Drawn("language_model.model.embed_tokens.weight", (language["vocab_size"], hidden), 0.5)]
    for layer in range(language["num_hidden_layers"]):
        name = f"language_model.model.layers.{layer}."
        for part, width, bias in zip("qkv", (size * heads, rows, rows), biases, strict=True):
            drawn += _linear(f"{name}self_attn.{part}_proj", width, hidden, bias)
        if not plain:
            drawn += _norm(f"{name}self_attn.q_norm", size, bias=False)
            drawn += _norm(f"{name}self_attn.k_norm", size, bias=False)
        drawn += _linear(f"{name}self_attn.o_proj", hidden, size * heads)
        drawn += _linear(f"{name}mlp.gate_proj", inner, hidden) + _linear(f"{name}mlp.up_proj", inner, hidden)
        drawn += _linear(f"{name}mlp.down_proj", hidden, inner)
        drawn += _norm(f"{name}input_layernorm", hidden, bias=False)
        drawn += _norm(f"{name}post_attention_layernorm", hidden, bias=False)
    drawn += _norm("language_model.model.norm", hidden, bias=False)
    if not language["tie_word_embeddings"]:
        drawn.append(
            Drawn("language_model.lm_head.weight", (language["vocab_size"], hidden), 2.5 * hidden**-0.5)
        )
    return drawn


def write_weights(
    out: Path, tensors: list[Drawn], stop: int, options: Options, planted: Outliers | None = None
) -> None:
    """One file, or shards and an index where they would exceed ``options.shard_bytes``; bfloat16."""
    shards: list[list[Drawn]] = [[]]
    for tensor in tensors:
        if shards[-1] and sum(map(_bytes, shards[-1])) + _bytes(tensor) > options.shard_bytes:
            shards.append([])
        shards[-1].append(tensor)
    count = len(shards)
    names = [f"model-{i + 1:05d}-of-{count:05d}.safetensors" for i in range(count)]
    names = ["model.safetensors"] if count == 1 else names
    total = sum(map(_bytes, tensors))
    with tqdm(total=total, desc="drawing weights", unit="B", unit_scale=True, disable=None) as bar:
        for name, shard in zip(names, shards, strict=True):
            with (out / name).open("wb") as file:
                file.write(_header(shard))
                for block in _on_all_cores(_draws(shard, options.seed, stop, planted)):
                    bar.update(file.write(block))
    if count > 1:
        places = {t.name: name for name, shard in zip(names, shards, strict=True) for t in shard}
        dump(out / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": places})


def _bytes(tensor: Drawn) -> int:
    return 2 * math.prod(tensor.shape)


def _header(shard: list[Drawn]) -> bytes:
    entries, offset = {}, 0
    for tensor in shard:
        end = offset + _bytes(tensor)
        entries[tensor.name] = {"dtype": "BF16", "shape": tensor.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps({"__metadata__": {"format": "pt"}, **entries}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


Draw = Callable[[], bytes]


def _draws(tensors: list[Drawn], seed: int, stop: int, planted: Outliers | None) -> Iterator[Draw]:
    """What draws each block of the tensors, in order."""
    for tensor in tensors:
        for start in range(0, math.prod(tensor.shape), BLOCK_VALUES):
            yield partial(_draw, tensor, start, seed=seed, stop=stop, planted=planted)


def _draw(tensor: Drawn, start: int, *, seed: int, stop: int, planted: Outliers | None) -> bytes:
    """The block of a tensor that begins at ``start``; each has its own place in the stream of its tensor."""
    key = int.from_bytes(hashlib.sha256(f"fleming {seed} {tensor.name}".encode()).digest()[:16], "little")
    generator = np.random.Generator(np.random.Philox(key=key, counter=start // BLOCK_VALUES << 64))
    count = min(BLOCK_VALUES, math.prod(tensor.shape) - start)
    block = generator.standard_normal(count, dtype=np.float32)
    block = block * np.float32(tensor.deviation) + np.float32(tensor.mean)
    if tensor.name.endswith("lm_head.weight"):
        _favour_stop(block, start, tensor.shape[1], stop)
    if planted:
        planted.apply(tensor, start, block)
    return bfloat16_bits(block).tobytes()


def _on_all_cores(draws: Iterator[Draw]) -> Iterator[bytes]:
    """The blocks in order, a few of them drawn ahead."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as pool:
        ahead: deque = deque()
        for draw in draws:
            ahead.append(pool.submit(draw))
            if len(ahead) > cores:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _favour_stop(block: np.ndarray, start: int, width: int, stop: int) -> None:
    """Enlarges the head's row of the end token in place, so that some answers end before the limit."""
    first, last = max(stop * width, start), min((stop + 1) * width, start + len(block))
    if first < last:
        block[first - start : last - start] *= np.float32(1.4)
