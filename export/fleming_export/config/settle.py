"""What the tensors say better than the configuration: the rows of the vocabulary, and whether the head is
stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import notice
from .model import ModelConfig

EMBEDDING = "language_model.model.embed_tokens.weight"
HEAD = "language_model.lm_head.weight"


def settled(config: ModelConfig, shapes: Mapping[str, tuple[int, ...] | None]) -> ModelConfig:
    """The model with the sizes of its tensors, given by name.

    Libraries that resize a vocabulary write its size in one of two places, and leave the other stale.
    """
    language = config.language
    if language.tied is None:
        language = replace(language, tied=HEAD not in shapes)
    # an index has names without shapes
    rows = {shapes[name][0] for name in (EMBEDDING, HEAD) if shapes.get(name)}
    if len(rows) == 1 and rows != {language.vocabulary}:
        (found,) = rows
        said = f"config.json says {language.vocabulary} tokens"
        notice(f"{said}, the embedding has {found} rows: the rows count")
        language = replace(language, vocabulary=found)
    return replace(config, language=language)
