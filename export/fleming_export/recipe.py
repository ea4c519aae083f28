"""What a package is made for and how its numbers are stored: all that targets and precisions differ in."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .config import ModelConfig
from .errors import ExportError
from .quantize import Blockwise

#: target -> precisions, the default first. An f32 package of a GPU's form is its twin: it runs on the CPU
#: provider and shows that the form computes the same.
TARGETS = {
    "cpu": ("f32", "int8", "int4"),
    "cuda": ("bf16", "f16", "int8", "int4", "f32"),
    "tensorrt": ("bf16", "f16", "f32"),
}
PRECISIONS = ("f32", "bf16", "f16", "int8", "int4")
ACTIVATIONS = {"bf16": "bfloat16", "f16": "float16", "f32": "float32"}
PARTS = ("language", "head", "embedding", "vision")
#: What costs most when it is coarse, as measured, and is small: the projector, which every image row passes;
#: the first layer of the language model; and of the others, in 4 bits, queries, keys and values.
PROJECTOR, FIRST, ATTENTION = "mlp1.", "language_model.model.layers.0.", "self_attn.qkv_proj"
#: And the first layer of the tower, for what it gets wrong all others read.
FIRST_OF_TOWER = "vision_model.encoder.layers.0."
#: What is stored apart outside the language model.
OUTSIDE = ((PROJECTOR, None), (FIRST_OF_TOWER, None))
#: Values of an embedding's row that share a scale.
ROWS = 32
#: Positions that the KV buffers of a TensorRT package hold, if nothing else is asked for: the 32 frames that
#: the authors' script takes of a clip are 8,192 tokens, and there are words around them.
CAPACITY = 12288


@dataclass(frozen=True)
class Recipe:
    """How the graphs are built; without a scheme a weight has the type of the activations."""

    target: str = "cpu"
    precision: str = "f32"
    activation: str = "float32"
    #: type of the activations of the vision graph, where it is another
    tower: str | None = None
    language: Blockwise | None = None
    head: Blockwise | None = None
    embedding: Blockwise | None = None
    vision: Blockwise | None = None
    #: layers that are not stored as their part is: what their name contains, and how; the first match counts
    apart: tuple[tuple[str, Blockwise | None], ...] = ()
    #: accuracy_level of MatMulNBits: 4 rounds activations to 8 bits for the product, 0 does not
    level: int = 0
    #: whether columns are brought to like size first; see ``sources/equalized.py``
    equalize: bool = True
    #: the block size that was asked for, if any
    asked_block: int | None = None
    #: whether groups of query heads are filled up; see ``sources/padded.py``
    pad_groups: bool = False
    #: positions that the KV buffers hold, where the form wants that fixed
    capacity: int | None = None

    @property
    def standard(self) -> bool:
        """Whether only operators of ONNX itself are used."""
        return self.target == "tensorrt"

    @property
    def quantized(self) -> bool:
        return any((self.language, self.head, self.embedding, self.vision))

    def for_tower(self) -> Recipe:
        """The same for the vision graph."""
        return replace(self, activation=self.tower or self.activation)

    def scheme(self, name: str) -> Blockwise | None:
        """How the weight of the layer ``name`` is stored."""
        if name == "language_model.lm_head":
            return self.head
        for part, scheme in self.apart:
            if part in name:
                return scheme
        return self.language if name.startswith("language_model.") else self.vision

    def as_json(self) -> dict:
        """How each part is stored, as ``fleming.json`` has it under ``quantization``."""
        parts = {part: getattr(self, part) for part in PARTS}
        schemes, apart = (
            {name: scheme.as_json() if scheme else None for name, scheme in found.items()}
            for found in (parts, dict(self.apart))
        )
        activations = {"vision": self.for_tower().activation, "language": self.activation}
        return {**schemes, "apart": apart, "accuracy_level": self.level, "activations": activations}


def check_runs_here(recipe: Recipe | None) -> None:
    """``--verify`` runs a package with ONNX Runtime on the CPU, which other targets' packages are not for."""
    if recipe is not None and recipe.target != "cpu":
        hint = f"an f32 package of the target {recipe.target} runs there and is checked in the tests"
        raise ExportError("--verify", "a package for the target cpu", recipe.target, hint)


@dataclass(frozen=True)
class Choices:
    """What may be chosen beside target and precision; absent means the default of the target."""

    activation: str | None = None
    block: int | None = None
    capacity: int | None = None
    pad_groups: bool = False


def fit(recipe: Recipe, config: ModelConfig) -> Recipe:
    """The recipe for a checkpoint: a tied head reads the embedding as its own kernel is fast with, and packed
    weights go into a quantised package as they are."""
    packing = config.packing
    if config.language.tied:
        recipe = replace(recipe, embedding=recipe.head)
    if packing is None or not recipe.quantized:
        return recipe
    if f"int{packing.bits}" != recipe.precision:
        hint = "an f32 package is made of the values that they stand for"
        raise ExportError(
            "precision", f"int{packing.bits}, as the weights are packed", recipe.precision, hint
        )
    if recipe.asked_block not in (None, packing.group):
        raise ExportError("block size", f"{packing.group}, as the weights are packed", recipe.asked_block)
    kept = Blockwise(packing.bits, packing.group, not packing.symmetric, scale_type=recipe.activation)
    outside = tuple(pair for pair in recipe.apart if pair in OUTSIDE)
    return replace(recipe, language=kept, apart=outside)


def make_recipe(target: str, precision: str | None, choices: Choices | None = None) -> Recipe:
    """The recipe of a target and a precision; an error where they do not go together."""
    choices = choices or Choices()
    if target not in TARGETS:
        raise ExportError("target", " or ".join(TARGETS), target)
    precision = precision or TARGETS[target][0]
    if precision not in TARGETS[target]:
        raise ExportError(f"precision for {target}", " or ".join(TARGETS[target]), precision)
    if choices.capacity is not None and choices.capacity < 1:
        raise ExportError("capacity", "at least 1", choices.capacity)
    if choices.capacity is not None and target != "tensorrt":
        raise ExportError("capacity", "the target tensorrt", target, "elsewhere it is free")
    if choices.pad_groups and target != "cuda":
        raise ExportError("--pad-groups", "the target cuda", target, "other kernels take any group")
    if choices.block is not None and precision not in ("int8", "int4"):
        raise ExportError("block size", "precision int8 or int4", precision)
    if choices.activation is not None and (target != "cuda" or precision not in ("int8", "int4")):
        raise ExportError("activations", "a quantised package for cuda", f"{target} {precision}")
    made = Recipe(target, precision, asked_block=choices.block, pad_groups=choices.pad_groups)
    if target == "cpu":
        made = _cpu(made, choices)
    elif precision in ("int8", "int4"):
        made = _cuda(made, choices)
    else:
        made = replace(made, activation=ACTIVATIONS[precision])
    if target == "tensorrt":
        made = replace(made, capacity=choices.capacity or CAPACITY)
    return made


def _cpu(made: Recipe, choices: Choices) -> Recipe:
    """As measured: export/README.md, "int8 and int4"."""
    if made.precision == "f32":
        return made
    eight = Blockwise(8, choices.block or 64)
    # rows are only read from the embedding, so that small blocks cost nothing but their scales
    rows = replace(eight, block=min(eight.block, ROWS))
    made = replace(made, language=eight, head=eight, embedding=rows, vision=eight, level=4)
    if made.precision == "int8":
        return replace(made, apart=(*OUTSIDE, (FIRST, None)))
    apart = *OUTSIDE, (FIRST, eight), (ATTENTION, eight)
    return replace(made, language=Blockwise(4, choices.block or 32, zero_points=True), apart=apart)


def _cuda(made: Recipe, choices: Choices) -> Recipe:
    """Symmetric and in blocks of 32, which is what the kernels of a prebuilt ONNX Runtime are fast with.

    Those for one token and for a few add up in the type of the activations, a warp's share of a row each: in
    bfloat16 a product of 4-bit weights is off by 0.8 %, in float16 by 0.1 % (``tests/test_quantize.py``).
    """
    activation = choices.activation or "float16"
    bits = 8 if made.precision == "int8" else 4
    language = Blockwise(bits, choices.block or 32, scale_type=activation)
    # the vision tower stays as it is: it is small, and on a GPU bound by arithmetic and not by memory
    head = replace(language, bits=8)
    made = replace(made, activation=activation, language=language, head=head, embedding=head)
    made = replace(made, tower="bfloat16")
    return replace(made, apart=((ATTENTION, head),)) if bits == 4 else made
