"""What a package is made for and how its numbers are stored: all that targets and precisions differ in."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
PARTS = ("language", "sensitive", "head", "embedding", "vision")
SENSITIVE = ("self_attn.qkv_proj", "mlp.down_proj")
#: Positions that the KV buffers of a TensorRT package hold, if nothing else is asked for.
CAPACITY = 8192


@dataclass(frozen=True)
class Recipe:
    """How the graphs are built; without a scheme a weight has the type of the activations."""

    target: str = "cpu"
    precision: str = "f32"
    activation: str = "float32"
    language: Blockwise | None = None
    head: Blockwise | None = None
    embedding: Blockwise | None = None
    vision: Blockwise | None = None
    #: how those products of the language model are stored that cost most when they are coarse
    sensitive: Blockwise | None = None
    #: layers of the language model, which says where those are; known when the graph is built
    layers: int = 0
    #: accuracy_level of MatMulNBits: 4 rounds activations to 8 bits for the product, 0 does not
    level: int = 0
    #: whether columns are brought to like size first; see ``equalize``
    equalize: bool = True
    #: positions that the KV buffers hold, where the form wants that fixed
    capacity: int | None = None

    @property
    def standard(self) -> bool:
        """Whether only operators of ONNX itself are used."""
        return self.target == "tensorrt"

    @property
    def quantized(self) -> bool:
        return any((self.language, self.head, self.embedding, self.vision))

    def scheme(self, name: str) -> Blockwise | None:
        """How the weight of the layer ``name`` is stored."""
        if name == "language_model.lm_head":
            return self.head
        if self.sensitive and name in self.sensitive_names():
            return self.sensitive
        return self.language if name.startswith("language_model.") else self.vision

    def sensitive_names(self) -> list[str]:
        """The products that are stored as ``sensitive`` says: in half of the layers those whose error
        passes most directly into the residual stream, as llama.cpp's mixtures have them."""
        first, last = self.layers // 8, 7 * self.layers // 8
        chosen = [n for n in range(self.layers) if n < first or n >= last or (n - first) % 3 == 2]
        return [f"language_model.model.layers.{n}.{product}" for n in chosen for product in SENSITIVE]

    def as_json(self) -> dict | None:
        """The ``quantization`` of ``fleming.json``."""
        if not self.quantized:
            return None
        parts = {part: getattr(self, part) for part in PARTS if part != "sensitive" or self.sensitive}
        schemes = {name: scheme.as_json() if scheme else None for name, scheme in parts.items()}
        return {**schemes, "accuracy_level": self.level}


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
    if choices.block is not None and precision not in ("int8", "int4"):
        raise ExportError("block size", "precision int8 or int4", precision)
    if choices.activation is not None and (target != "cuda" or precision not in ("int8", "int4")):
        raise ExportError("activations", "a quantised package for cuda", f"{target} {precision}")
    made = Recipe(target, precision)
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
    """As measured: export/README.md, "Which scheme"."""
    if made.precision == "f32":
        return made
    eight = Blockwise(8, choices.block or 64)
    language = eight if made.precision == "int8" else Blockwise(4, choices.block or 32, zero_points=True)
    return replace(made, language=language, head=eight, embedding=eight, vision=eight, level=4)


def _cuda(made: Recipe, choices: Choices) -> Recipe:
    """Symmetric and in blocks of 32, which is what the kernels of a prebuilt ONNX Runtime are fast with."""
    activation = choices.activation or "bfloat16"
    bits = 8 if made.precision == "int8" else 4
    language = Blockwise(bits, choices.block or 32, scale_type=activation)
    # the vision tower stays as it is: it is small, and on a GPU bound by arithmetic and not by memory
    head = replace(language, bits=8)
    return replace(made, activation=activation, language=language, head=head, embedding=head)
