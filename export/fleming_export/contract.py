"""Names, dtypes and symbolic shapes of both graphs: the only source of ``fleming.json``'s tensor names."""

from __future__ import annotations

from dataclasses import dataclass

from .config import ModelConfig
from .recipe import Recipe

VISION_FILE = "vision.onnx"
DECODER_FILE = "decoder.onnx"
TOKENIZER_FILE = "tokenizer.json"
MANIFEST_FILE = "fleming.json"
#: The largest logits that a package for cuda gives beside all of them.
BEST = 8


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output; a dimension is a number, or the name of one that varies."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def as_json(self) -> dict:
        return {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}


@dataclass(frozen=True)
class GraphSpec:
    """What one graph promises."""

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def data_file(self) -> str:
        return self.file + ".data"

    def as_json(self) -> dict:
        return {
            "file": self.file,
            "data": [self.data_file],
            "inputs": [spec.as_json() for spec in self.inputs],
            "outputs": [spec.as_json() for spec in self.outputs],
        }


def vision_contract(config: ModelConfig) -> GraphSpec:
    """Normalised pixels of tiles to rows that replace token embeddings."""
    size = config.vision.image_size
    embeds = ("tiles", config.tokens_per_tile, config.language.hidden)
    return GraphSpec(
        VISION_FILE,
        (TensorSpec("pixel_values", "float32", ("tiles", 3, size, size)),),
        (TensorSpec("image_embeds", "float32", embeds),),
    )


def decoder_contract(config: ModelConfig, recipe: Recipe) -> GraphSpec:
    """Ids, spliced image rows and the KV buffers to logits: of each row's positions ``logits_at``, counted
    from the first new one or, if negative, from behind. For cuda also what of them the host mostly needs.

    How far the buffers are read is told by a length or, for TensorRT, by a shape, for sizes inside an engine
    follow from those of its inputs: ``key_positions`` counts from 0."""
    language = config.language
    inputs = [
        TensorSpec("input_ids", "int64", ("batch", "sequence")),
        TensorSpec("image_embeds", "float32", ("rows", language.hidden)),
        TensorSpec("splice", "int64", ("batch", "sequence")),
        TensorSpec("seqlens_k", "int32", ("batch",)),
        TensorSpec("logits_at", "int64", ("predicted",)),
    ]
    if recipe.standard:
        inputs.append(TensorSpec("key_positions", "int64", ("longest",)))
    else:
        inputs.append(TensorSpec("total_sequence_length", "int32", ()))
    outputs = [TensorSpec("logits", "float32", ("predictions", language.vocabulary))]
    if recipe.target == "cuda":
        outputs.append(TensorSpec("best", "float32", ("predictions", 2 * BEST + 1)))
    past, present = (_kv(when, config, recipe) for when in ("past", "present"))
    return GraphSpec(DECODER_FILE, (*inputs, *past), (*outputs, *present))


def _kv(when: str, config: ModelConfig, recipe: Recipe) -> list[TensorSpec]:
    language = config.language
    shape = ("batch", language.kv_heads, recipe.capacity or "capacity", language.head_dim)
    return [
        TensorSpec(f"{when}_{what}.{layer}", recipe.activation, shape)
        for layer in range(language.layers)
        for what in ("key", "value")
    ]
