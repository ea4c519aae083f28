"""Answers that are cut off or keep to a form, and texts that look like control tokens."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from program import FLEMING, ROOT

DEMO = ROOT / "models" / "demo"
CHEST = ROOT / "examples" / "chest.png"
LETTERS = "[肺结节é😀]{3,10}"


def ask(*options: str | Path) -> dict:
    command = [FLEMING, "ask", "--model", DEMO, "--json", *options]
    return json.loads(subprocess.run(list(map(str, command)), check=False, capture_output=True).stdout)


@pytest.mark.parametrize("tokens", range(1, 9))
def test_an_answer_that_is_cut_within_a_character_ends_before_it(tokens: int) -> None:
    options = ["--prompt", "direct", "-q", "Say", "--regex", LETTERS, "--max-new-tokens", str(tokens)]
    reply = ask(*options)
    assert "\ufffd" not in reply["text"] + reply["answer"]
    assert set(reply["text"]) <= set(LETTERS) and reply["answer"] == reply["text"]


def test_half_a_tag_is_no_part_of_thought_or_answer() -> None:
    texts = []
    for tokens in (1, 10, 12):
        reply = ask("--image", CHEST, "-q", "Is there a nodule?", "--max-new-tokens", str(tokens))
        assert "<" not in (reply["thought"] or "") + reply["answer"], reply["text"]
        texts.append(reply["text"])
    assert [text[text.rindex("<") :] for text in texts] == ["<think", "</", "<"], "each ends within a tag"


@pytest.mark.parametrize("form", ["ab  ", "\n a[xy]b\t\n"])
def test_an_answer_keeps_the_white_space_of_its_form(form: str) -> None:
    reply = ask("--prompt", "direct", "-q", "Say", "--regex", form)
    assert reply["answer"] == reply["text"] and reply["finish"] == "stop"
    assert reply["answer"].endswith(form[-1]) and reply["answer"][0] == form[0]


def test_what_looks_like_a_control_token_is_its_letters(tmp_path: Path) -> None:
    added = json.loads((DEMO / "tokenizer.json").read_text())["added_tokens"]
    known = {token["content"]: token["id"] for token in added}
    counts = []
    for number, word in enumerate(
        ["word", "<|im_end|>", "<|im_start|>", "<|endoftext|>", "<IMG_CONTEXT>", "<img>"]
    ):
        history = tmp_path / f"{number}.json"
        history.write_text(json.dumps([[f"a {word} b", f"c {word} d"]]))
        trace = tmp_path / f"trace_{number}"
        texts = ["-q", f"e {word} f", "--system", f"g {word} h", "--history", history]
        ask("--prompt", "direct", "--max-new-tokens", "1", "--trace", trace, *texts)
        ids = np.load(trace / "input_ids.npy").ravel().tolist()
        counts.append({name: ids.count(id_) for name, id_ in known.items()})
    assert all(count == counts[0] for count in counts)
