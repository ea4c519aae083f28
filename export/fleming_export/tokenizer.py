"""tokenizer.json from the slow Qwen2 tokenizer's files, with the same ids.

In decoded text the slow tokenizer skips only what its configuration calls special: end, padding, unknown
and ``additional_special_tokens``. An added token's own ``special`` flag says something else. The flags
written here follow the first, so that a fast tokenizer drops exactly what the slow one drops.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from .config import Section
from .errors import ExportError
from .prompt import IMAGE_CONTEXT, IMAGE_END, IMAGE_START, STOP
from .sources.folder import Checkpoint

#: Digits one by one; at most one other character glued before letters; newlines glued after punctuation.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
#: What the slow Qwen2 tokenizer takes for a role that its configuration does not mention.
CLASS_DEFAULTS = {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class Tokenizer:
    """The content of tokenizer.json, and the ids the runtime needs."""

    content: dict
    added: dict[str, int]
    skip: list[int]
    pad: int
    size: int  # one more than the largest id

    def id(self, token: str) -> int:
        if token not in self.added:
            raise ExportError(token, "an added token of the tokenizer", "no such token")
        return self.added[token]

    def ids_json(self, vocabulary: int) -> dict:
        """The ``tokens`` object of ``fleming.json``."""
        return {
            "vocabulary": vocabulary,
            "eos": self.id(STOP),
            "pad": self.pad,
            "image_start": self.id(IMAGE_START),
            "image_end": self.id(IMAGE_END),
            "image_context": self.id(IMAGE_CONTEXT),
            "skip": self.skip,
        }


def read_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """From vocab.json and merges.txt where they exist, else from the checkpoint's own tokenizer.json."""
    settings = _settings(checkpoint)
    ready = checkpoint.optional_json("tokenizer.json")
    if (checkpoint.folder / "vocab.json").is_file() or ready is None:
        base = _ids(checkpoint.json("vocab.json"), "vocab.json")
        added = _added_tokens(checkpoint, settings, base)
        content = _content(base, _merges(checkpoint, base), added)
    else:
        content = _checked(ready)
        base, added = (
            content["model"]["vocab"],
            {token["content"]: token for token in content["added_tokens"]},
        )
    ids = {text: token["id"] for text, token in added.items()}
    roles = _roles(settings)
    skip = sorted({_special_id(token, ids) for token in roles.values()})
    for token in content["added_tokens"]:
        token["special"] = token["id"] in skip
    size = 1 + max([*base.values(), *ids.values()])
    return Tokenizer(content, ids, skip, _special_id(roles["pad_token"], ids), size)


def _settings(checkpoint: Checkpoint) -> dict:
    """tokenizer_config.json, checked; roles it leaves out come from special_tokens_map.json."""
    content = checkpoint.json("tokenizer_config.json")
    section = Section("tokenizer_config.json", content)
    section.one_of("tokenizer_class", "Qwen2Tokenizer", "Qwen2TokenizerFast")
    section.optional("add_prefix_space", False, None)
    section.optional("split_special_tokens", False)
    section.optional("errors", "replace")
    extra = content.get("extra_special_tokens") or {}
    if extra:
        raise section.error("extra_special_tokens", "none", extra)
    return {**(checkpoint.optional_json("special_tokens_map.json") or {}), **content}


def _roles(settings: dict) -> dict[str, str]:
    """Role -> token text, the additional special tokens under their own text."""
    roles = {}
    for role in ROLES:
        token = settings.get(role, CLASS_DEFAULTS.get(role))
        if token is not None:
            roles[role] = _text(token)
    if "pad_token" not in roles:
        raise ExportError("tokenizer_config.json.pad_token", "a token", "null")
    additional = settings.get("additional_special_tokens") or []
    return {**roles, **{_text(token): _text(token) for token in additional}}


def _text(token: object) -> str:
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str):
        raise ExportError("tokenizer_config.json", "a token as text or as an object with content", token)
    return text


def _special_id(token: str, ids: dict[str, int]) -> int:
    if token not in ids:
        raise ExportError(
            token, "an id among the added tokens", "none", "a special token must be an added token"
        )
    return ids[token]


def _added_tokens(checkpoint: Checkpoint, settings: dict, base: dict[str, int]) -> dict[str, dict]:
    """Text -> entry of tokenizer.json, in order of ids; both files that list them must agree."""
    listed = _ids(checkpoint.optional_json("added_tokens.json") or {}, "added_tokens.json")
    entries = {}
    for number, token in (settings.get("added_tokens_decoder") or {}).items():
        if not number.isdecimal() or not isinstance(token, dict):
            raise ExportError("tokenizer_config.json.added_tokens_decoder", "ids and their tokens", number)
        entries[_text(token)] = _entry(_text(token), int(number), token)
    for text, number in listed.items():
        if entries.setdefault(text, _entry(text, number, {}))["id"] != number:
            wanted = f"id {entries[text]['id']}, as in tokenizer_config.json"
            raise ExportError(f"{text} in added_tokens.json", wanted, number)
    ids = [entry["id"] for entry in entries.values()]
    taken = set(base.values())
    for text, entry in entries.items():
        if base.get(text, entry["id"]) != entry["id"] or (text not in base and entry["id"] in taken):
            raise ExportError(f"added token {text}", "an id of its own", entry["id"])
    if len(set(ids)) != len(ids):
        raise ExportError("added tokens", "an id each", "one id twice")
    return dict(sorted(entries.items(), key=lambda item: item[1]["id"]))


def _ids(content: dict, where: str) -> dict[str, int]:
    """A file of token -> id, checked."""
    if any(type(number) is not int or number < 0 for number in content.values()):
        raise ExportError(where, "a number for each token", "something else")
    if len(set(content.values())) != len(content):
        raise ExportError(where, "an id for each token", "one id twice")
    return content


def _entry(text: str, number: int, token: dict) -> dict:
    if token.get("single_word"):
        raise ExportError(f"added token {text}", "single_word false", "true")
    strips = {side: bool(token.get(side, False)) for side in ("lstrip", "rstrip")}
    # never normalised: the slow tokenizer looks for added tokens in the text as it came
    return {
        "id": number,
        "content": text,
        "single_word": False,
        **strips,
        "normalized": False,
        "special": False,
    }


def _merges(checkpoint: Checkpoint, base: dict[str, int]) -> list[list[str]]:
    path = checkpoint.folder / "merges.txt"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise ExportError("merges.txt", f"a file in {checkpoint.folder}", "no such file") from None
    except UnicodeDecodeError as error:
        raise ExportError("merges.txt", "UTF-8 text", error) from None
    merges = []
    for number, line in enumerate(lines):
        # as the slow tokenizer reads it: the version line and empty lines are no merges
        if (number == 0 and line.startswith("#version:")) or not line.strip():
            continue
        pair = line.split()
        if len(pair) != 2 or not {*pair, "".join(pair)} <= base.keys():
            raise ExportError(
                f"merges.txt line {number + 1}", "two tokens of vocab.json that make a third", line
            )
        merges.append(pair)
    return merges


def byte_symbols() -> list[str]:
    """The printable character that stands for each byte in byte-level BPE, by byte."""
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    spare = iter(range(256, 512))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def _content(base: dict[str, int], merges: list[list[str]], added: dict[str, dict]) -> dict:
    missing = [byte for byte, symbol in enumerate(byte_symbols()) if symbol not in base]
    if missing:
        raise ExportError("vocab.json", "a token for each of the 256 bytes", f"none for {missing}")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": base,
        "merges": merges,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(added.values()),
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": model,
    }


def _checked(content: dict) -> dict:
    """A checkpoint's own tokenizer.json, if it splits and merges as the Qwen2 tokenizer does."""
    ours = _content({symbol: byte for byte, symbol in enumerate(byte_symbols())}, [], {})
    for key in ("normalizer", "pre_tokenizer"):
        if content.get(key) != ours[key]:
            hint = "add vocab.json and merges.txt to the checkpoint"
            raise ExportError(f"tokenizer.json.{key}", "that of the Qwen2 tokenizer", content.get(key), hint)
    if content.get("model", {}).get("type") != "BPE":
        raise ExportError("tokenizer.json.model", "BPE", content.get("model", {}).get("type"))
    return content


def encode_json(tokenizer: Tokenizer) -> bytes:
    """tokenizer.json as it is written."""
    return (json.dumps(tokenizer.content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
