"""What a checkpoint is and what would be made of it, before any weight is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .config import ModelConfig, Normalization, read_config, read_processor, settled
from .errors import ExportError, notice
from .recipe import Recipe, fit
from .sources.folder import Checkpoint
from .tokenizer import Tokenizer, read_tokenizer


@dataclass(frozen=True)
class Plan:
    """All that a package follows from, but the weights."""

    content: dict  # config.json as it is
    config: ModelConfig
    normalization: Normalization
    tokenizer: Tokenizer
    recipe: Recipe


def make_plan(checkpoint: Checkpoint, recipe: Recipe) -> Plan:
    """By the small files alone; whatever cannot be exported by them is an error."""
    content = checkpoint.json("config.json")
    config, normalization = read_processor(checkpoint, read_config(content, notice))
    tokenizer = read_tokenizer(checkpoint)
    image = tokenizer.ids_json(config.language.vocabulary)["image_context"]
    if config.image_token not in (None, image):
        raise ExportError(
            "config.json.image_token_id", f"{image}, as the tokenizer has it", config.image_token
        )
    return Plan(content, config, normalization, tokenizer, fit(recipe, config))


def with_sizes(plan: Plan, shapes: Mapping[str, tuple[int, ...]]) -> Plan:
    """The same by the shapes of the tensors, which know the rows of the vocabulary."""
    config = settled(plan.config, shapes)
    rows = config.language.vocabulary
    tokenizer = plan.tokenizer.within(rows)
    if tokenizer.size > rows:
        wanted = f"at least {tokenizer.size}, the size of the tokenizer"
        raise ExportError("config.json.llm_config.vocab_size", wanted, rows)
    return replace(plan, config=config, tokenizer=tokenizer, recipe=fit(plan.recipe, config))
