"""The demo checkpoint: InternVL3's layout at a few million parameters, and its tokenizer."""

from __future__ import annotations

from pathlib import Path

from ..config import PROCESSOR
from ..prompt import REASONING, SYSTEM
from ..synthetic.checkpoint import dump
from ..synthetic.sizes import config_json
from ..synthetic.tokenizer import write_tokenizer
from .facts import FACTS, SMALL_TALK
from .questions import KINDS, sample

PATCH = 28
VISION = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "patch_size": PATCH,
}
LANGUAGE = {
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,  # 60 frames; the tables of the rotary positions are part of a package
}


def demo_config(vocabulary: int) -> dict:
    """config.json of the demo model."""
    config = config_json("tiny", vocabulary)
    config["hidden_size"] = LANGUAGE["hidden_size"]
    config["llm_config"] |= {**LANGUAGE, "_name_or_path": "fleming-demo", "torch_dtype": "float32"}
    config["vision_config"] |= VISION
    config["torch_dtype"] = "float32"
    return config


def corpus() -> list[str]:
    """What the tokenizer is trained on: the fixed texts, and questions and replies of training samples."""
    texts = [SYSTEM, REASONING] * 20
    for fact in FACTS.values():
        texts += [*fact.questions, *(text for pair in fact.values.values() for text in pair)] * 4
    texts += [text for questions, answer in SMALL_TALK.items() for text in (*questions, answer)] * 4
    for kind in KINDS:
        # the drawing is not needed, but a question follows from it
        cases = [sample(kind, ("train", 0, index)) for index in range(150)]
        texts += [f"{case.asked.question}\n{case.asked.reply}" for case in cases]
    return texts


def write_files(folder: Path) -> dict:
    """Everything of the checkpoint but its weights; returns the content of config.json."""
    vocabulary = write_tokenizer(folder, "small", corpus())
    config = demo_config(vocabulary)
    dump(folder / "config.json", config)
    dump(folder / "preprocessor_config.json", PROCESSOR)
    return config
