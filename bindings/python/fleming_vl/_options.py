"""Options by their names, for the library, which checks them."""

from __future__ import annotations

import ctypes
import difflib
import enum
import json
import os
from collections.abc import Mapping
from typing import Any, TypeVar

from ._header import (
    fleming_ask_options,
    fleming_engine_options,
    fleming_preprocessing,
    fleming_study_options,
)
from ._library import c_path, c_text, c_texts, made
from ._table import DEFAULTS, RANGES, SUBJECTS
from .errors import RequestError

Struct = TypeVar("Struct", bound=ctypes.Structure)

#: Fields of the header that have another name than their option: lists are plural there.
FIELDS = {"stop": "stops", "choice": "choices", "provider_option": "provider_options"}
#: Numbers of the header that mean the 0 of an option.
ZEROS = {"image_cache": 1}
#: What to do where the header has none.
HINTS = {"max_thinking_tokens": 'choose 1, or prompt="direct"'}
PROMPTS = {"reasoning": None, "direct": ""}


def look(options: Mapping[str, Any], name: str | None) -> fleming_study_options:
    """What of a study is looked at."""
    told = None if name is None else c_text("name", name)
    return made(fleming_study_options, name=told, options=look_text(options))


def look_text(options: Mapping[str, Any]) -> bytes | None:
    """The same as JSON; none where there are none."""
    return c_text("options", json.dumps(dict(options))) if options else None


def word(name: str, words: type[enum.IntEnum], value: object) -> int:
    """The number of a word of an enum of the header."""
    known = {entry.name.lower(): entry for entry in words}
    if value not in known:
        raise _unfit(name, " or ".join(known), value)
    return known[str(value)]


def engine(options: Mapping[str, Any]) -> fleming_engine_options:
    """How an engine is set up."""
    return _filled(fleming_engine_options, options)


def answer(options: Mapping[str, Any]) -> fleming_ask_options:
    """How a question is answered."""
    given = dict(options)
    if (timeout := given.pop("timeout", None)) is not None:
        seconds = _number("timeout", timeout)
        if not seconds > 0:
            raise _unfit("timeout", RANGES["timeout"], timeout)
        given["timeout_ms"] = max(1, round(seconds * 1e3))
    if (prompt := given.pop("prompt", None)) is not None:
        if prompt not in PROMPTS:
            raise _unfit("prompt", " or ".join(PROMPTS), prompt, "give a text of your own as instruction=")
        given["instruction"] = PROMPTS[prompt]
    if (how := given.get("preprocessing")) is not None:
        given["preprocessing"] = word("preprocessing", fleming_preprocessing, how)
    if (likeliest := given.pop("logprobs", None)) is not None:
        given |= {"logprobs": 1, "top_logprobs": likeliest}
    biases = given.pop("logit_bias", None)
    struct = _filled(fleming_ask_options, given)
    if biases:
        _bias(struct, biases)
    return struct


def _bias(struct: fleming_ask_options, biases: Mapping[Any, Any]) -> None:
    """Biases of logits by ids of tokens."""
    ids = [_whole("logit_bias", _integer(token), 4) for token in biases]
    numbers = [_number("logit_bias", bias) for bias in biases.values()]
    struct.bias_ids = (ctypes.c_uint32 * len(ids))(*ids)
    struct.biases = (ctypes.c_float * len(numbers))(*numbers)
    struct.bias_count = len(ids)


def _integer(text: Any) -> Any:
    """The number of a key of JSON, which is a text."""
    return int(text) if isinstance(text, str) and text.isdecimal() else text


def _filled(kind: type[Struct], options: Mapping[str, Any]) -> Struct:
    """A struct with these options. What it points to lives as long as it."""
    types: dict[str, Any] = {field[0]: field[1] for field in kind._fields_}
    struct = made(kind)
    for name, value in options.items():
        field = FIELDS.get(name, name)
        if field not in types:
            near = difflib.get_close_matches(name, [*SUBJECTS, "instruction"], 1)
            hint = f"did you mean {near[0]}?" if near else "docs/cli.md lists the options"
            raise _unfit(name, "an option", "an unknown one", hint)
        if value is None:
            continue
        if types[field] is ctypes.POINTER(ctypes.c_char_p):
            texts = _texts(name, value)
            setattr(struct, field, ctypes.cast(c_texts(name, texts), types[field]))
            setattr(struct, f"{field[:-1]}_count", len(texts))
        elif types[field] is ctypes.c_char_p:
            setattr(struct, field, _text(name, value))
        elif types[field] in (ctypes.c_float, ctypes.c_double):
            setattr(struct, field, _told(name, _number(name, value)))
        else:
            setattr(struct, field, _told(name, _whole(name, value, ctypes.sizeof(types[field]))))
    return struct


def _told(name: str, number: Any) -> Any:
    """A number as its field says it, where 0 is the default."""
    if number != 0 or DEFAULTS.get(name) == "0" or name not in RANGES:
        return number
    if name in ZEROS:
        return ZEROS[name]
    raise _unfit(name, RANGES[name], number, HINTS.get(name, "choose a number in this range"))


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{key}={text}" for key, text in value.items()]
    return [value] if isinstance(value, str) else [str(text) for text in value]


def _text(name: str, value: Any) -> bytes:
    if isinstance(value, os.PathLike):
        return c_path(value)
    if isinstance(value, Mapping):
        return c_text(name, json.dumps(value))
    if not isinstance(value, str):
        raise _unfit(name, "a text", value)
    return c_text(name, value)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise _unfit(name, "a number", value) from None


def _whole(name: str, value: Any, size: int) -> int:
    """A number that its field can hold: ctypes would cut off others."""
    try:
        number = value.__index__()
    except AttributeError:
        raise _unfit(name, "a whole number", value) from None
    if not 0 <= number < 1 << 8 * size:
        raise _unfit(name, "a whole number from 0 on", value)
    return int(number)


def _unfit(name: str, wanted: str, got: object, hint: str = "") -> RequestError:
    shown = got if isinstance(got, str) else repr(got)
    return RequestError(f"{name}: wanted {wanted}, got {shown}", hint, thing=name, wanted=wanted, got=shown)
