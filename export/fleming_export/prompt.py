"""The pieces of a prompt: the internvl2_5 template and the instruction Fleming-VL was trained with."""

from __future__ import annotations

#: System text of the internvl2_5 template, which the published modelling code uses whatever config.json says.
SYSTEM = (
    "你是书生·万象，英文名是InternVL，"
    "是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
)
#: Stands at the start of the user's turn, with a newline after it; it is not a system text.
REASONING = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. "
    "The assistant first thinks about the reasoning process in the mind and then provides the user a concise "
    "final answer in a short word or phrase. The reasoning process and answer are enclosed within "
    "<think> </think> and <answer> </answer> tags, respectively, i.e., "
    "<think> reasoning process here </think><answer> answer here </answer>"
)
STOP = "<|im_end|>"
IMAGE_START, IMAGE_CONTEXT, IMAGE_END = "<img>", "<IMG_CONTEXT>", "</img>"
#: Most tokens of an answer, as in Fleming-VL's own script.
MAX_NEW_TOKENS = 1024


def prompt_pieces() -> dict:
    """The ``prompt`` object of ``fleming.json``."""
    return {
        "system": SYSTEM,
        "system_start": "<|im_start|>system\n",
        "user_start": "<|im_start|>user\n",
        "assistant_start": "<|im_start|>assistant\n",
        "turn_end": f"{STOP}\n",
        "stop": STOP,
        "placeholder": "<image>",
        "image_start": IMAGE_START,
        "image_context": IMAGE_CONTEXT,
        "image_end": IMAGE_END,
        "instructions": {"reasoning": REASONING},
        "thought": ["<think>", "</think>"],
        "answer": ["<answer>", "</answer>"],
    }
