"""tokenizer.json with the ids of the slow Qwen2 tokenizer, from whichever files a checkpoint has.

In decoded text the slow tokenizer skips only what its configuration calls special: end, padding, unknown
and ``additional_special_tokens``. An added token's own ``special`` flag says something else, and other
libraries write the list under other names or leave it out. The family's is known, ``SKIPPED``; the flags
written here follow it, so that a fast tokenizer drops exactly what the slow one drops.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from .config import Section
from .errors import ExportError, notice
from .files import read_text
from .prompt import IMAGE_CONTEXT, IMAGE_END, IMAGE_START, STOP
from .sources.folder import Checkpoint

#: Digits one by one; at most one other character glued before letters; newlines glued after punctuation.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
#: What the family leaves out of decoded text, 151643 to 151656 of the published tokenizers.
SKIPPED = """<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|>
<|box_end|> <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|>
<|video_pad|>""".split()
#: What it keeps, whatever a list says: 151657 to 151673.
KEPT = """<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|>
<|file_sep|> <img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box>""".split()
#: What native tokenizers call by a name of its own.
NAMED = {
    "start_image_token": IMAGE_START,
    "end_image_token": IMAGE_END,
    "context_image_token": IMAGE_CONTEXT,
    "video_token": "<video>",
}
#: What the slow Qwen2 tokenizer takes for a role that its configuration does not mention.
CLASS_DEFAULTS = {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
SETTINGS, READY = "tokenizer_config.json", "tokenizer.json"


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

    def within(self, rows: int) -> Tokenizer:
        """The same without added tokens for which an embedding of so many rows has none.

        Native tokenizers have ``<video>``, which their models never see.
        """
        gone = [text for text, number in self.added.items() if number >= rows]
        known = [text for text in gone if text in SKIPPED + KEPT]
        if known or not gone:
            return self
        notice(f"the embedding has no row for {', '.join(gone)}: the package reads such text as plain text")
        left = [token for token in self.content["added_tokens"] if token["content"] not in gone]
        added = {text: number for text, number in self.added.items() if text not in gone}
        size = 1 + max([*self.content["model"]["vocab"].values(), *added.values()])
        skip = [number for number in self.skip if number < rows]
        return replace(
            self, content={**self.content, "added_tokens": left}, added=added, skip=skip, size=size
        )


@dataclass(frozen=True)
class Ready:
    """A checkpoint's own tokenizer.json, which splits and merges as the Qwen2 tokenizer does."""

    base: dict[str, int]
    merges: list[list[str]]
    added: dict[str, dict]


def read_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """From vocab.json and merges.txt where they exist, else from the checkpoint's own tokenizer.json."""
    settings = _settings(checkpoint)
    content = checkpoint.optional_json(READY)
    ready = None if content is None else _ready(content)
    if ready is None or (checkpoint.folder / "vocab.json").is_file():
        base = _ids(checkpoint.json("vocab.json"), "vocab.json")
        merges = _merges(checkpoint, base)
        if ready is not None and (ready.base, ready.merges) != (base, merges):
            hint = "remove the one that is stale"
            raise ExportError(READY, "the tokens and merges of vocab.json and merges.txt", "others", hint)
    else:
        base, merges = dict(sorted(ready.base.items(), key=lambda item: item[1])), ready.merges
    added = _added_tokens(checkpoint, settings, base, ready)
    written = _content(base, merges, added)
    ids = {text: token["id"] for text, token in added.items()}
    roles = _roles(settings)
    skip = sorted(_special_id(token, ids) for token in _skipped(roles, settings, ids))
    for token in written["added_tokens"]:
        token["special"] = token["id"] in skip
    size = 1 + max([*base.values(), *ids.values()])
    return Tokenizer(written, ids, skip, _special_id(roles["pad_token"], ids), size)


def _skipped(roles: dict[str, str], settings: dict, ids: dict[str, int]) -> set[str]:
    """What decoded text leaves out: the family's list, and tokens of a fine-tune's own that are special."""
    listed = {*roles.values(), *map(_text, settings["special"] or [])}
    own = {_known(token, ids) for token in listed - {*SKIPPED, *KEPT}}
    found = [token for token in SKIPPED if token in ids]
    less, more = sorted({*found} - listed), sorted(listed & {*KEPT})
    if settings["special"] is not None and (less or more):
        said = "".join(f", without {' '.join(less)}" * bool(less) + f", with {' '.join(more)}" * bool(more))
        notice(f"{SETTINGS} has another list of special tokens than the family{said}: the family's counts")
    if len(found) < len(SKIPPED):
        missing = " ".join(token for token in SKIPPED if token not in ids)
        notice(f"the tokenizer has no token for {missing}, as others of the family have")
    return {*found, *own}


def _settings(checkpoint: Checkpoint) -> dict:
    """tokenizer_config.json, checked; roles it leaves out come from special_tokens_map.json. The list of
    special tokens, or None where there is none, is under "special"."""
    content = checkpoint.json(SETTINGS)
    section = Section(SETTINGS, content)
    section.one_of("tokenizer_class", "Qwen2Tokenizer", "Qwen2TokenizerFast")
    section.optional("add_prefix_space", False, None)
    section.optional("split_special_tokens", False)
    section.optional("errors", "replace")
    map_ = checkpoint.optional_json("special_tokens_map.json") or {}
    lists = [map_.get("additional_special_tokens"), content.get("additional_special_tokens")]
    extra = content.get("extra_special_tokens")
    if isinstance(extra, list):  # as transformers 5 writes what was additional_special_tokens
        lists.append(extra)
    elif extra:
        _check_named(section, "extra_special_tokens", extra)
    _check_named(section, "model_specific_special_tokens", content.get("model_specific_special_tokens") or {})
    for key, token in NAMED.items():
        if key in content and _text(content[key]) != token:
            raise section.error(key, repr(token), content[key])
    special = [each for each in lists if each is not None]
    texts = [[_text(token) for token in each] for each in special]
    for other in texts[1:]:
        if sorted(other) != sorted(texts[0]):
            hint = "remove the list that is stale"
            raise section.error("additional_special_tokens", "one list of special tokens", "two", hint)
    return {**map_, **content, "special": texts[0] if texts else None}


def _check_named(section: Section, key: str, tokens: object) -> None:
    """Tokens by names that native processors know."""
    for name, token in Section(f"{section.where}.{key}", tokens).content.items():
        if name not in NAMED or _text(token) != NAMED[name]:
            raise section.error(key, f"{', '.join(NAMED)} as the family has them", {name: token})


def _roles(settings: dict) -> dict[str, str]:
    """Role -> token text."""
    roles = {}
    for role in ROLES:
        token = settings.get(role, CLASS_DEFAULTS.get(role))
        if token is not None:
            roles[role] = _text(token)
    if "pad_token" not in roles:
        raise ExportError("tokenizer_config.json.pad_token", "a token", "null")
    return roles


def _text(token: object) -> str:
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str):
        raise ExportError("tokenizer_config.json", "a token as text or as an object with content", token)
    return text


def _known(token: str, ids: dict[str, int]) -> str:
    _special_id(token, ids)
    return token


def _special_id(token: str, ids: dict[str, int]) -> int:
    if token not in ids:
        raise ExportError(
            token, "an id among the added tokens", "none", "a special token must be an added token"
        )
    return ids[token]


def _added_tokens(
    checkpoint: Checkpoint, settings: dict, base: dict[str, int], ready: Ready | None
) -> dict[str, dict]:
    """Text -> entry of tokenizer.json, in order of ids; all files that list them must agree."""
    entries = {} if ready is None else dict(ready.added)
    for number, token in (settings.get("added_tokens_decoder") or {}).items():
        if not number.isdecimal() or not isinstance(token, dict):
            raise ExportError(f"{SETTINGS}.added_tokens_decoder", "ids and their tokens", number)
        _enter(entries, _entry(_text(token), int(number), token), SETTINGS)
    listed = _ids(checkpoint.optional_json("added_tokens.json") or {}, "added_tokens.json")
    for text, number in listed.items():
        _enter(entries, {**entries.get(text, _entry(text, number, {})), "id": number}, "added_tokens.json")
    ids = [entry["id"] for entry in entries.values()]
    taken = set(base.values())
    for text, entry in entries.items():
        if base.get(text, entry["id"]) != entry["id"] or (text not in base and entry["id"] in taken):
            raise ExportError(f"added token {text}", "an id of its own", entry["id"])
    if len(set(ids)) != len(ids):
        raise ExportError("added tokens", "an id each", "one id twice")
    return dict(sorted(entries.items(), key=lambda item: item[1]["id"]))


def _enter(entries: dict[str, dict], entry: dict, where: str) -> None:
    known = entries.setdefault(entry["content"], entry)
    if known != entry:
        raise ExportError(f"{entry['content']} in {where}", f"what another file says: {known}", entry)


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
    merges = []
    for number, line in enumerate(read_text(checkpoint.folder / "merges.txt").split("\n")):
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


def _ready(content: dict) -> Ready:
    """What a tokenizer.json holds, if it splits and merges as the Qwen2 tokenizer does."""
    section = Section(READY, content)
    ours = _content({symbol: byte for byte, symbol in enumerate(byte_symbols())}, [], {})
    for key in ("normalizer", "pre_tokenizer"):
        if _without_offsets(content.get(key)) != _without_offsets(ours[key]):
            hint = "add vocab.json and merges.txt to the checkpoint"
            raise section.error(key, "that of the Qwen2 tokenizer", content.get(key), hint)
    if content.get("post_processor") and content["post_processor"].get("special_tokens"):
        raise section.error("post_processor", "one that adds no tokens", content["post_processor"])
    model = section.section("model")
    for key, value in ours["model"].items():
        if key not in ("vocab", "merges") and (model.get(key) or None) != (value or None):
            raise model.error(key, repr(value), model.get(key))
    base, added = _ids(model.section("vocab").content, f"{READY}.model.vocab"), {}
    for token in section.value("added_tokens"):
        if not isinstance(token, dict) or type(token.get("id")) is not int:
            raise section.error("added_tokens", "tokens with their ids", token)
        added[_text(token)] = _entry(_text(token), token["id"], token)
    merges = []
    for pair in model.value("merges"):
        parts = pair.split() if isinstance(pair, str) else pair
        if not isinstance(parts, list) or len(parts) != 2 or not {*parts, "".join(parts)} <= base.keys():
            raise model.error("merges", "pairs of tokens that make a third", pair)
        merges.append(parts)
    # a fast tokenizer has its added tokens in the vocabulary's file as well, or beside it
    return Ready(base, merges, added)


def _without_offsets(part: object) -> object:
    """A piece of tokenizer.json less the key that moves offsets alone."""
    if isinstance(part, list):
        return [_without_offsets(each) for each in part]
    if isinstance(part, dict):
        return {key: _without_offsets(value) for key, value in part.items() if key != "trim_offsets"}
    return part


def encode_json(tokenizer: Tokenizer) -> bytes:
    """tokenizer.json as it is written."""
    return (json.dumps(tokenizer.content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
