"""The same weights in llama.cpp's Q8_0 and Q4_K_M and in packages, by their KL divergence from float32.

Needs the extra ``llama``, which builds llama.cpp from source. The language model is written as a GGUF file in
float32, llama.cpp's own quantiser makes the others, and every model reads the same ids; the f32 package is
what all are compared with, llama.cpp's own float32 among them, which shows that the two mean the same model.
Keys and values are float32 everywhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..config import read_config
from ..errors import ExportError, to_install
from ..package import read_manifest
from ..parity.runtime import PackageRunner
from ..pipeline import export
from ..recipe import make_recipe
from ..source import open_checkpoint
from ..sources.folder import Checkpoint
from ..tokenizer import read_tokenizer
from .gate import Tally
from .sequences import Writer

#: llama.cpp's name of a file type -> its number, and what it stands against
TYPES = {"F32": 0, "Q8_0": 7, "Q4_K_M": 15}
PACKAGES = ("int8", "int4")
#: Of the questions; more take longer and say the same.
ASKED = 4
#: Our name of a layer's part -> GGUF's.
PARTS = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
OUTER = {
    "language_model.model.embed_tokens": "token_embd",
    "language_model.model.norm": "output_norm",
    "language_model.lm_head": "output",
}


def require_llama() -> None:
    """Reports what is missing before any work is done."""
    try:
        import gguf
        import llama_cpp
    except ImportError as error:
        hint = f"{to_install('llama')}, which builds llama.cpp and takes its time"
        raise ExportError(error.name, "the library, for the comparison", "not installed", hint) from None
    assert gguf and llama_cpp


def print_table(checkpoints: list[str], positions: int) -> None:
    """Markdown: mean KL divergence and share of equal likeliest tokens of each form, by checkpoint."""
    require_llama()
    print("| checkpoint | form | bits of a weight | KL divergence | top-1 % |")
    print("|---|---|---|---|---|")
    for given in checkpoints:
        with tempfile.TemporaryDirectory() as folder:
            for form, (bits, tally) in _compared(given, Path(folder), positions):
                report = tally.report()
                figures = f"{report['kl_divergence']['mean']:.2g} | {100 * report['top1_agreement']:.1f}"
                print(f"| {Path(given).name} | {form} | {bits:.2f} | {figures} |", flush=True)


def _compared(given: str, folder: Path, positions: int) -> Iterator[tuple[str, tuple[float, Tally]]]:
    checkpoint = open_checkpoint(given)
    config = read_config(checkpoint.json("config.json"))
    products = sum(
        tensor.values
        for name, tensor in checkpoint.tensors.items()
        if name.startswith("language_model.") and len(tensor.shape) == 2
    )
    reference = export(given, folder / "f32")
    ids = _ids(reference, positions)
    wanted = _package_logits(reference, ids)
    for precision in PACKAGES:
        package = export(given, folder / precision, recipe=make_recipe("cpu", precision))
        size = (package / "decoder.onnx.data").stat().st_size - _tables(config)
        yield precision, (8 * size / products, _tally(wanted, _package_logits(package, ids), ids))
    whole = folder / "F32.gguf"
    write_gguf(checkpoint, whole)
    for name, number in TYPES.items():
        path = whole if name == "F32" else folder / f"{name}.gguf"
        if path != whole:
            quantise(whole, path, number)
        size = path.stat().st_size
        yield f"llama.cpp {name}", (8 * size / products, _tally(wanted, _llama_logits(path, ids), ids))


def _tables(config) -> int:
    """Bytes of the rotary tables, which no GGUF file has."""
    return 4 * config.language.max_positions * config.language.head_dim


def _ids(package: Path, positions: int) -> list[np.ndarray]:
    """Some questions' ids without pictures, and ids drawn by chance, ``positions`` each at most."""
    manifest = read_manifest(package)
    asked = [s.ids[s.splice < 0][:positions] for s in Writer(package, manifest).questions(ASKED)]
    drawn = np.random.default_rng(1).integers(0, manifest["tokens"]["vocabulary"], positions)
    return [*asked, drawn]


def _tally(wanted: list[np.ndarray], got: list[np.ndarray], ids: list[np.ndarray]) -> Tally:
    tally = Tally()
    for one, other, read in zip(wanted, got, ids, strict=True):
        tally.add(one[:-1], other[:-1], read[1:])
    return tally


def _package_logits(package: Path, ids: list[np.ndarray]) -> list[np.ndarray]:
    """[N, V] of each sequence."""
    runner = PackageRunner(package, max(map(len, ids)))
    rows = np.zeros((1, runner.manifest["vision"]["hidden_size"]), np.float32)
    return [runner.every(read, np.full(len(read), -1), rows, 0) for read in ids]


def _llama_logits(path: Path, ids: list[np.ndarray]) -> list[np.ndarray]:
    from llama_cpp import GGML_TYPE_F32, Llama

    longest = max(map(len, ids))
    kinds = {"type_k": GGML_TYPE_F32, "type_v": GGML_TYPE_F32}
    model = Llama(str(path), n_ctx=longest, n_batch=longest, logits_all=True, verbose=False, **kinds)
    found = []
    for read in ids:
        model.reset()
        model.eval(read.tolist())
        found.append(np.array(model.scores[: len(read)], np.float32))
    model.close()
    return found


def quantise(source: Path, target: Path, kind: int) -> None:
    """A GGUF file in another of llama.cpp's file types, by its number there."""
    import llama_cpp

    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = kind
    code = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), options)
    if code:
        raise ExportError(target.name, "llama.cpp to quantise it", f"its code {code}")


def write_gguf(checkpoint: Checkpoint, path: Path) -> None:
    """The language model of a checkpoint in float32."""
    import gguf

    config = read_config(checkpoint.json("config.json")).language
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_context_length(config.max_positions)
    writer.add_embedding_length(config.hidden)
    writer.add_block_count(config.layers)
    writer.add_feed_forward_length(config.intermediate)
    writer.add_head_count(config.heads)
    writer.add_head_count_kv(config.kv_heads)
    writer.add_layer_norm_rms_eps(config.epsilon)
    writer.add_rope_freq_base(config.rope_theta)
    _add_tokenizer(writer, checkpoint, config.vocabulary)
    for name, tensor in checkpoint.tensors.items():
        if name.startswith("language_model."):
            values = np.concatenate(list(checkpoint.blocks(name))).reshape(tensor.shape)
            writer.add_tensor(_gguf_name(name), values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name: str) -> str:
    """language_model.model.layers.3.mlp.up_proj.weight -> blk.3.ffn_up.weight"""
    stem, _, kind = name.rpartition(".")
    if stem in OUTER:
        return f"{OUTER[stem]}.{kind}"
    layer, _, part = stem.removeprefix("language_model.model.layers.").partition(".")
    return f"blk.{layer}.{PARTS[part]}.{kind}"


def _add_tokenizer(writer, checkpoint: Checkpoint, vocabulary: int) -> None:
    """Every model is given ids; llama.cpp wants a vocabulary all the same."""
    import gguf

    tokenizer = read_tokenizer(checkpoint)
    texts = {number: text for text, number in tokenizer.content["model"]["vocab"].items()}
    added = {number: text for text, number in tokenizer.added.items()}
    tokens = [added.get(n) or texts.get(n) or f"[unused {n}]" for n in range(vocabulary)]
    kinds = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([kinds.CONTROL if n in added else kinds.NORMAL for n in range(vocabulary)])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer.content["model"]["merges"]])
