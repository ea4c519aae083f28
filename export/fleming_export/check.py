"""``check``: what a checkpoint is, what would be made of it, and what is missing, without reading weights.

Of a folder the headers of the weights are read, of a hub id its small files alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator

from .arch.internvl import decoder_graph, vision_graph
from .config import ModelConfig, read_config, settled
from .errors import ExportError
from .files import amount
from .memory import needed_by
from .plan import make_plan
from .recipe import TARGETS, Recipe, make_recipe
from .source import open_checkpoint
from .sources.folder import Checkpoint
from .weights import check_claims

CONTEXT = 4096
LANGUAGES = {True: "Qwen3", False: "Qwen2.5"}


def describe_checkpoint(given: str) -> tuple[str, bool]:
    """Several lines about a checkpoint, and whether it can be exported as it is.

    All that stands in the way is named, not only what comes first.
    """
    checkpoint = open_checkpoint(given)
    content = checkpoint.json("config.json")
    problems: list[ExportError] = []
    config, fetching = read_config(content), checkpoint.to_fetch()
    for step in (_by_files, by_tensors):
        try:
            config = step(checkpoint, config, fetching)
        except ExportError as problem:
            problems.append(problem)
    lines = [f"{checkpoint.name}: {_layout(config)}", *_model(config), *_weights(checkpoint, fetching)]
    if problems:
        return "\n".join([*lines, "", *(f"  {problem}" for problem in problems)]), False
    context = min(CONTEXT, config.language.max_positions)
    lines += ["", f"  {'package':14} {'size':>12} {f'memory at {context} tokens':>26}"]
    return "\n".join([*lines, *_packages(config, context)]), True


def _by_files(checkpoint: Checkpoint, config: ModelConfig, _: dict[str, int]) -> ModelConfig:
    """By the processor's and the tokenizer's files."""
    return make_plan(checkpoint, Recipe()).config


def by_tensors(checkpoint: Checkpoint, config: ModelConfig, fetching: dict[str, int]) -> ModelConfig:
    """By the tensors that there are, or by the names that an index has of those that are to be fetched."""
    if not fetching:
        shapes = checkpoint.shapes()
        config = settled(config, shapes)
    else:
        shapes = dict.fromkeys(checkpoint.indexed())
        if not shapes or config.packing:
            return config
        config = settled(config, shapes)
    check_claims(shapes, [vision_graph(config, Recipe()), decoder_graph(config, Recipe())], config)
    return config


def _layout(config: ModelConfig) -> str:
    layout = "transformers' own layout" if config.image_token is not None else "the original layout"
    return f"an InternVL with {LANGUAGES[config.language.qk_norm]}, in {layout}"


def _model(config: ModelConfig) -> list[str]:
    vision, language, packing = config.vision, config.language, config.packing
    tower = f"{vision.layers} layers of {vision.hidden}, {vision.heads} heads"
    tiles = f"tiles of {vision.image_size} pixels, {config.tokens_per_tile} tokens each"
    heads = f"{language.heads} heads over {language.kv_heads} of keys and values"
    lines = [
        f"  tower     {tower}; {tiles}",
        f"  language  {language.layers} layers of {language.hidden}, {heads}",
        f"  tokens    {language.vocabulary}, up to {language.max_positions} of them in a conversation",
    ]
    if packing:
        lines.append(f"  packed    {packing.method}, {packing.bits} bits, groups of {packing.group}")
    return lines


def _weights(checkpoint: Checkpoint, fetching: dict[str, int]) -> list[str]:
    """Files, and by their headers the parameters and types."""
    if fetching:
        return [f"  weights   {_files(fetching.values())}, on the hub"]
    tensors = checkpoint.tensors.values()
    kinds = Counter(tensor.dtype for tensor in tensors)
    count = sum(math.prod(tensor.shape) for tensor in tensors)
    shown = ", ".join(f"{number} tensors of {kind}" for kind, number in kinds.most_common())
    sizes = [path.stat().st_size for path in {tensor.file for tensor in tensors}]
    return [f"  weights   {_files(sizes)}; {count / 1e6:,.1f} million parameters; {shown}"]


def _files(sizes: Collection[int]) -> str:
    return f"{len(sizes)} file{'s' if len(sizes) != 1 else ''}, {amount(sum(sizes))}"


def _packages(config: ModelConfig, context: int) -> Iterator[str]:
    """A row for each package that can be made."""
    for target, precisions in TARGETS.items():
        for precision in precisions:
            try:
                parts = needed_by(config, make_recipe(target, precision), context)
            except ExportError:  # packed weights go into packages of their own precision, or of f32
                continue
            name, total = f"{target} {precision}", sum(parts.values())
            yield f"  {name:14} {amount(parts['weights']):>12} {amount(total):>26}"
