"""The model in torch on the GPU, in bf16 with SDPA: what the runtime is compared with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fleming_export.checkpoint import Checkpoint, open_checkpoint
from fleming_export.config import read_config
from fleming_export.parity.reference import VisionReference
from transformers import DynamicCache, Qwen2Config, Qwen2ForCausalLM
from transformers.modeling_utils import no_init_weights

STEPS = 32
#: Largest error relative to the largest value, of bf16 weights and activations on both sides.
TOLERANCES = {"image_embeds": 0.05, "first_logits": 0.05}
QUESTIONS = {"text": "List three causes of chest pain.", "image": "Is there a nodule in the right lung?"}


def device() -> torch.device:
    """The GPU; the CPU where the kit itself is tried out."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def weights(checkpoint: Checkpoint, name: str, kind: torch.dtype) -> torch.Tensor:
    """A tensor of the checkpoint on the device."""
    made = torch.empty(checkpoint.tensors[name].shape, dtype=kind, device=device())
    flat, start = made.view(-1), 0
    for block in checkpoint.blocks(name):
        flat[start : start + len(block)] = torch.from_numpy(np.array(block, np.float32)).to(made)
        start += len(block)
    return made


class Tower(VisionReference):
    """The reference's tower with its weights on the device and with SDPA."""

    def __init__(self, checkpoint: Checkpoint, config, kind: torch.dtype) -> None:
        self._config, self._vision = config, config.vision
        names = [name for name in checkpoint.tensors if not name.startswith("language_model.")]
        self._w = {name: weights(checkpoint, name, kind) for name in names}
        self._kind = kind

    @torch.inference_mode()
    def rows(self, pixels: np.ndarray) -> torch.Tensor:
        """[tiles, 3, S, S] -> [tiles * T, H] on the device."""
        pixels = torch.from_numpy(pixels).to(device(), self._kind)
        return torch.cat([self._tile(tile[None])[0] for tile in pixels])

    def _layer(self, x: torch.Tensor, name: str) -> torch.Tensor:
        vision = self._vision
        q, k, v = self._linear(self._norm(x, f"{name}norm1"), f"{name}attn.qkv").chunk(3, -1)
        if vision.qk_norm:
            q, k = self._rms(q, f"{name}attn.q_norm"), self._rms(k, f"{name}attn.k_norm")
        q, k, v = (part.unflatten(-1, (vision.heads, -1)).transpose(1, 2) for part in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self._w[f"{name}ls1"] * self._linear(y, f"{name}attn.proj")
        y = F.gelu(self._linear(self._norm(x, f"{name}norm2"), f"{name}mlp.fc1"))
        return x + self._w[f"{name}ls2"] * self._linear(y, f"{name}mlp.fc2")


class Language:
    """Qwen2ForCausalLM of transformers on the device."""

    def __init__(self, checkpoint: Checkpoint, content: dict, kind: torch.dtype) -> None:
        config = Qwen2Config(**{**content["llm_config"], "torch_dtype": str(kind).removeprefix("torch.")})
        config._attn_implementation = "sdpa"
        with no_init_weights(), torch.device("meta"):
            self._model = Qwen2ForCausalLM(config).eval()
        self._model.to_empty(device=device()).to(kind)
        self._model.model.rotary_emb.__init__(config, device=device())
        self._model.tie_weights()
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                parameter.copy_(weights(checkpoint, f"language_model.{name}", kind))

    @torch.inference_mode()
    def embed(self, ids: np.ndarray, context: int, rows: torch.Tensor | None) -> torch.Tensor:
        """Token ids and the rows that replace those of pictures -> [1, N, H]."""
        ids = torch.from_numpy(ids.astype(np.int64)).to(device())
        x = self._model.get_input_embeddings()(ids)
        if rows is not None:
            x[ids == context] = rows.to(x.dtype)
        return x[None]

    @torch.inference_mode()
    def generate(self, x: torch.Tensor, steps: int) -> tuple[np.ndarray, list[int]]:
        """Greedy -> the first logits [V] and the tokens."""
        cache, tokens, first = DynamicCache(), [], None
        for _ in range(steps):
            out = self._model(inputs_embeds=x, past_key_values=cache, use_cache=True, logits_to_keep=1)
            logits = out.logits[:, -1].float()
            first = logits[0].cpu().numpy() if first is None else first
            chosen = logits.argmax(-1)
            tokens.append(int(chosen[0]))
            x = self._model.get_input_embeddings()(chosen)[:, None]
        return first, tokens


def compare(kit) -> dict:
    """Traces of the runtime against torch, stage by stage."""
    kind = torch.bfloat16 if kit.options.precision != "f32" else torch.float32
    inputs = kit.work / "inputs"
    if not inputs.exists():
        from fleming_export.synthetic.inputs import write_inputs

        write_inputs(inputs)
    traces = {}
    for case, question in QUESTIONS.items():
        out = kit.work / f"trace-{case}"
        arguments = ["--model", kit.package("bf16"), "--trace", out, "--json", "--prompt", "direct"]
        arguments += ["-q", question, "--max-new-tokens", STEPS, "--ignore-eos", "--context", 4096]
        arguments += ["--image", inputs / "chest.png"] if case == "image" else []
        traces[case] = (out, json.loads(kit.fleming("ask", *arguments)))
    checkpoint = open_checkpoint(str(kit.checkpoint))
    content = checkpoint.json("config.json")
    config = read_config(content)
    manifest = json.loads((kit.package("bf16") / "fleming.json").read_text(encoding="utf-8"))
    tower, language = Tower(checkpoint, config, kind), Language(checkpoint, content, kind)
    return {
        case: compare_case(trace, reply, (tower, language), manifest["tokens"]["image_context"])
        for case, (trace, reply) in traces.items()
    }


def compare_case(trace: Path, reply: dict, models: tuple[Tower, Language], context: int) -> dict:
    """The stages of one question."""
    tower, language = models
    found, rows = {}, None
    ids = np.load(trace / "input_ids.npy").reshape(-1)
    if (trace / "image_embeds.npy").is_file() and "pixel_values.npy" in {p.name for p in trace.iterdir()}:
        pixels = np.load(trace / "pixel_values.npy")
        if len(pixels):
            rows = tower.rows(pixels.astype(np.float32))
            got = np.load(trace / "image_embeds.npy").reshape(rows.shape)
            found["image_embeds"] = error(got, rows.float().cpu().numpy())
    first, tokens = language.generate(language.embed(ids, context, rows), STEPS)
    found["first_logits"] = error(np.load(trace / "first_logits.npy").reshape(-1), first)
    made = reply["completion_ids"]
    equal = next((i for i, (a, b) in enumerate(zip(made, tokens, strict=False)) if a != b), len(tokens))
    found["equal_tokens"] = equal
    best = np.sort(first)[-2:]
    found["first_margin"] = float(best[1] - best[0])
    found["passed"] = all(found[name] <= limit for name, limit in TOLERANCES.items() if name in found)
    return found


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference relative to the largest value; infinite where a value is not finite."""
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def timed(act: Callable[[], object], repeat: int) -> float:
    """Median seconds of an act, after one that is not counted."""
    times = []
    for _ in range(repeat + 1):
        synchronize()
        started = time.perf_counter()
        act()
        synchronize()
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))


def synchronize() -> None:
    """Waits for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(kit) -> dict:
    """Milliseconds a tile, tokens a second and milliseconds to the first token."""
    kind = torch.bfloat16 if kit.options.precision != "f32" else torch.float32
    checkpoint = open_checkpoint(str(kit.checkpoint))
    content = checkpoint.json("config.json")
    tower = Tower(checkpoint, read_config(content), kind)
    language = Language(checkpoint, content, kind)
    size = content["force_image_size"]
    tiles = {"one": 1, "eleven": 11}
    pixels = {name: np.zeros((count, 3, size, size), np.float32) for name, count in tiles.items()}
    vision = {name: timed(lambda made=made: tower.rows(made), 3) for name, made in pixels.items()}
    prompt, steps = 1024, 64
    ids = np.random.default_rng(0).integers(0, 1000, prompt)
    x = language.embed(ids, -1, None)
    prefill = timed(lambda: language.generate(x, 1), 3)
    whole = timed(lambda: language.generate(x, 1 + steps), 2)
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "vision_ms_per_tile": 1e3 * vision["one"],
        "vision_ms_eleven_tiles": 1e3 * vision["eleven"],
        "prefill_tokens_per_s": prompt / prefill,
        "decode_tokens_per_s": steps / (whole - prefill),
        "image_ttft_ms": 1e3 * (vision["one"] + prefill * 300 / prompt),
        "peak_memory_bytes": torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None,
    }
