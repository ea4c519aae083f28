"""tokenizer.json gives the ids of the slow Qwen2 tokenizer."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from checkpoints import edit_json
from native import fast_tokenizer
from tokenizers import Tokenizer

from fleming_export import ExportError
from fleming_export.prompt import REASONING, SYSTEM
from fleming_export.sources.folder import Checkpoint
from fleming_export.tokenizer import encode_json, read_tokenizer

TEXTS = [
    "",
    " ",
    "Hello world",
    "The chest radiograph shows a small nodule in the left upper lung.",
    "  two  spaces\n\n\tand tabs\r\n   ",
    "12345 3.14 2026-11-23",
    "don't WE'LL they'Re",
    SYSTEM,
    REASONING,
    "<|im_start|>user\n<image>\nIs it normal?<|im_end|>\n<|im_start|>assistant\n",
    "<img><IMG_CONTEXT><IMG_CONTEXT></img> text <box>[1]</box>",
    "a <|im_end|> b <tool_call> c",
    "cafe\u0301 A\u030a \u1e9b\u0323",  # decomposed: NFC comes first
    "x<im\u0301g>",
    "😀👩\u200d⚕️ ÄÖÜ ß Ω ж д 中文 日本語 한국어 עברית",
    "!?...\n\n;;\n",
    "\u00a0\u2003\u3000mixed\u200bspace",
    "\x00\x01\x1f",
]


def random_texts(count: int) -> list[str]:
    generator = np.random.default_rng(5)
    alphabet = [*"abcXYZ 0129 \n\t.,!'<>|_é中😀", "e\u0301", "<img>", "<|im_end|>", "</ref>", "  "]
    return ["".join(generator.choice(alphabet, generator.integers(1, 40))) for _ in range(count)]


def load(folder) -> tuple[Tokenizer, object]:
    read = read_tokenizer(Checkpoint(folder, "name", "name"))
    return Tokenizer.from_str(encode_json(read).decode()), read


def test_known_cases(plain):
    tokenizer, _ = load(plain)
    ids = json.loads((plain / "added_tokens.json").read_text())
    start, stop, context = ids["<|im_start|>"], ids["<|im_end|>"], ids["<IMG_CONTEXT>"]
    encoded = tokenizer.encode("<|im_start|><img><IMG_CONTEXT></img><|im_end|>", add_special_tokens=False).ids
    assert encoded == [start, ids["<img>"], context, ids["</img>"], stop]
    assert tokenizer.encode("7", add_special_tokens=False).ids * 3 == tokenizer.encode("777").ids
    assert tokenizer.encode("e\u0301").ids == tokenizer.encode("\u00e9").ids
    for text in TEXTS[:11]:
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_only_the_listed_tokens_are_skipped(plain):
    tokenizer, read = load(plain)
    first = json.loads((plain / "added_tokens.json").read_text())["<|endoftext|>"]
    assert read.skip == list(range(first, first + 14))
    text = "<|im_start|>a<tool_call>b<img>c</img>d<IMG_CONTEXT><|im_end|>"
    assert tokenizer.decode(tokenizer.encode(text).ids) == "a<tool_call>b<img>c</img>d<IMG_CONTEXT>"


def test_ids_of_the_slow_tokenizer(plain):
    transformers = pytest.importorskip("transformers", reason="needs the verify extra")
    if transformers.__version__.split(".")[0] != "4":
        pytest.skip("transformers 5 has no slow tokenizer")
    slow = transformers.Qwen2Tokenizer.from_pretrained(plain)
    tokenizer, read = load(plain)
    assert sorted(slow.all_special_ids) == read.skip
    assert len(slow) == read.size
    for text in TEXTS + random_texts(400):
        ids = slow(text, add_special_tokens=False)["input_ids"]
        assert tokenizer.encode(text, add_special_tokens=False).ids == ids, repr(text)
        assert tokenizer.decode(ids) == slow.decode(ids, skip_special_tokens=True), repr(text)


def test_without_vocab_the_checkpoints_own_is_used(damaged):
    wanted = read_tokenizer(Checkpoint(damaged, "name", "name"))
    content = json.loads(encode_json(wanted))
    for token in content["added_tokens"]:
        token["special"] = True  # as a fast tokenizer's own file has it
    (damaged / "tokenizer.json").write_text(json.dumps(content))
    (damaged / "vocab.json").unlink()
    (damaged / "merges.txt").unlink()
    assert read_tokenizer(Checkpoint(damaged, "name", "name")) == wanted


@pytest.mark.parametrize("change", ["vocab", "merges", "added_tokens"])
def test_two_tokenizers_must_be_one(damaged, change):
    """vocab.json with merges.txt, and a tokenizer.json beside them that says something else."""
    content = json.loads(encode_json(read_tokenizer(Checkpoint(damaged, "name", "name"))))
    (damaged / "tokenizer.json").write_text(json.dumps(content))
    load(damaged)
    if change == "vocab":
        content["model"]["vocab"]["more"] = 5000
    elif change == "merges":
        content["model"]["merges"].reverse()
    else:
        content["added_tokens"][3]["id"] += 1000
    (damaged / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ExportError, match=r"tokenizer\.json|added_tokens\.json|tokenizer_config\.json"):
        load(damaged)


def skip_without(folder, name: str, key: str, value: object) -> list[int]:
    edit_json(folder / name, key, value)
    return read_tokenizer(Checkpoint(folder, "name", "name")).skip


@pytest.mark.parametrize("where", ["tokenizer_config.json", "special_tokens_map.json", "both"])
def test_what_is_skipped_does_not_follow_from_which_files_are_there(damaged, caplog, where):
    """With the list deleted, decoded text would keep <|im_start|> and eleven more."""
    wanted = read_tokenizer(Checkpoint(damaged, "name", "name")).skip
    if where != "tokenizer_config.json":
        (damaged / "special_tokens_map.json").unlink()
    if where != "special_tokens_map.json":
        assert skip_without(damaged, "tokenizer_config.json", "additional_special_tokens", ...) == wanted
    assert read_tokenizer(Checkpoint(damaged, "name", "name")).skip == wanted
    assert not caplog.text


def test_another_list_than_the_familys_is_named(damaged, caplog):
    wanted = read_tokenizer(Checkpoint(damaged, "name", "name")).skip
    (damaged / "special_tokens_map.json").unlink()
    listed = ["<|im_start|>", "<|im_end|>", "<img>", "</img>"]
    assert skip_without(damaged, "tokenizer_config.json", "additional_special_tokens", listed) == wanted
    assert "with </img> <img>" in caplog.text
    assert "without <|box_end|>" in caplog.text


def test_special_tokens_of_a_fine_tune_are_skipped(damaged):
    added = json.loads((damaged / "added_tokens.json").read_text())
    number = max(added.values()) + 1
    edit_json(damaged / "added_tokens.json", "<seg>", number)
    (damaged / "special_tokens_map.json").unlink()
    listed = [
        *json.loads((damaged / "tokenizer_config.json").read_text())["additional_special_tokens"],
        "<seg>",
    ]
    assert skip_without(damaged, "tokenizer_config.json", "additional_special_tokens", listed)[-1] == number


def test_a_list_as_transformers_5_writes_it(damaged):
    wanted = read_tokenizer(Checkpoint(damaged, "name", "name"))
    settings = json.loads((damaged / "tokenizer_config.json").read_text())
    settings["extra_special_tokens"] = settings.pop("additional_special_tokens")
    (damaged / "tokenizer_config.json").write_text(json.dumps(settings))
    (damaged / "special_tokens_map.json").unlink()
    assert read_tokenizer(Checkpoint(damaged, "name", "name")) == wanted
    settings["additional_special_tokens"] = settings["extra_special_tokens"][1:]
    (damaged / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ExportError, match="one list of special tokens"):
        read_tokenizer(Checkpoint(damaged, "name", "name"))


def test_the_same_from_a_tokenizer_json_alone(damaged):
    """As transformers saves it: offsets trimmed, all added tokens special, merges as text or as pairs."""
    wanted = read_tokenizer(Checkpoint(damaged, "name", "name"))
    content = fast_tokenizer(damaged)
    content["added_tokens"].pop()  # <video>
    for name in ("vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json"):
        (damaged / name).unlink()
    edit_json(damaged / "tokenizer_config.json", "added_tokens_decoder", ...)
    for merges in (content["model"]["merges"], [" ".join(pair) for pair in content["model"]["merges"]]):
        content["model"]["merges"] = merges
        (damaged / "tokenizer.json").write_text(json.dumps(content))
        assert encode_json(read_tokenizer(Checkpoint(damaged, "name", "name"))) == encode_json(wanted)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("normalizer", None),
        ("pre_tokenizer.pretokenizers", []),
        ("model.byte_fallback", True),
        ("model.ignore_merges", True),
        ("model.type", "Unigram"),
        ("model.merges", ["nosuch token"]),
        ("model.vocab", {"a": "b"}),
        ("post_processor.special_tokens", {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0]}}),
        ("added_tokens", [3]),
    ],
)
def test_refused_tokenizer_json(damaged, key, value):
    (damaged / "tokenizer.json").write_text(json.dumps(fast_tokenizer(damaged)))
    (damaged / "vocab.json").unlink()
    edit_json(damaged / "tokenizer.json", key, value)
    with pytest.raises(ExportError):
        read_tokenizer(Checkpoint(damaged, "name", "name"))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("tokenizer_config.json", "tokenizer_class", "LlamaTokenizer"),
        ("tokenizer_config.json", "tokenizer_class", ...),
        ("tokenizer_config.json", "add_prefix_space", True),
        ("tokenizer_config.json", "split_special_tokens", True),
        ("tokenizer_config.json", "eos_token", "<no such token>"),
        ("tokenizer_config.json", "pad_token", None),
        ("tokenizer_config.json", "extra_special_tokens", {"image_token": "<image>"}),
        ("tokenizer_config.json", "additional_special_tokens", [3]),
        ("added_tokens.json", "<img>", 1),
        ("added_tokens.json", "<new>", 0),
        ("added_tokens.json", "<new>", "7"),
        ("vocab.json", "new", 0),
        ("vocab.json", "new", "7"),
        ("vocab.json", "!", ...),
    ],
)
def test_refused(damaged, name, key, value):
    edit_json(damaged / name, key, value)
    with pytest.raises(ExportError):
        read_tokenizer(Checkpoint(damaged, "name", "name"))


@pytest.mark.parametrize("line", ["a", "a b c", "nosuch token"])
def test_bad_merges(damaged, line):
    with (damaged / "merges.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ExportError, match=r"merges\.txt line"):
        read_tokenizer(Checkpoint(damaged, "name", "name"))


def test_no_image_token(damaged, tmp_path):
    tokens = read_tokenizer(Checkpoint(damaged, "name", "name"))
    tokens.added.pop("<IMG_CONTEXT>")
    with pytest.raises(ExportError, match="IMG_CONTEXT"):
        tokens.ids_json(1)


def test_training_is_reproducible(plain, tmp_path):
    from fleming_export.synthetic.tokenizer import write_tokenizer

    write_tokenizer(tmp_path, "small")
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / name).read_bytes() == (plain / name).read_bytes()


def test_tokenizer_of_a_folder(plain, tmp_path):
    from fleming_export.synthetic.tokenizer import write_tokenizer

    given = tmp_path / "given"
    given.mkdir()
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(plain / name, given)
    (tmp_path / "out").mkdir()
    size = write_tokenizer(tmp_path / "out", str(given))
    assert size == read_tokenizer(Checkpoint(plain, "name", "name")).size
