"""Options by their names, for the library, which checks them."""

from __future__ import annotations

import ctypes
import difflib
import enum
import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from ._header import (
    ZERO,
    fleming_ask_options,
    fleming_engine_options,
    fleming_preprocessing,
    fleming_study_options,
)
from ._library import c_path, c_text, c_texts, made
from ._names import FIELDS
from ._table import DEFAULTS, RANGES, AnswerOptions, LookOptions, SetupOptions
from .errors import RequestError

Struct = TypeVar("Struct", bound=ctypes.Structure)

#: What to do where nothing else is known.
OF_OPTIONS = "docs/cli.md and docs/python.md say what it may be"
#: Milliseconds up to here are 64-bit integers and exact.
LONGEST_S = 2.0**53 / 1e3
#: What an engine and a question take by name.
ENGINE = SetupOptions.__optional_keys__
#: Kinds of inputs, which are keywords of a question.
Kind: TypeAlias = Literal["image", "video", "volume", "dicom", "file"]
KINDS: tuple[Kind, ...] = get_args(Kind)
OF_QUESTIONS = ("studies", "times", "fps", "history", "schema", "instruction", "scope", "keep_seen")
ASK = LookOptions.__optional_keys__ | AnswerOptions.__optional_keys__ | {*KINDS, *OF_QUESTIONS}
PROMPTS = {"reasoning": None, "direct": ""}


def look(options: Mapping[str, Any], name: str | None) -> fleming_study_options:
    """What of a study is looked at."""
    told = None if name is None else c_text("name", name)
    return made(fleming_study_options, name=told, options=look_text(options))


def look_text(options: Mapping[str, Any]) -> bytes | None:
    """The same as JSON; none where there are none."""
    return (
        c_text("options", f"{{{', '.join(_json(*option) for option in options.items())}}}")
        if options
        else None
    )


def _json(name: str, value: Any) -> str:
    """An option as JSON. A number of NumPy is one."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    try:
        return f"{json.dumps(name)}: {json.dumps(value)}"
    except (TypeError, ValueError):
        raise _unfit(name, "a text, a number or a truth value", type(value).__qualname__) from None


def word(name: str, words: type[enum.IntEnum], value: object) -> int:
    """The number of a word of an enum of the header."""
    known = {entry.name.lower(): entry for entry in words}
    if not isinstance(value, str) or value not in known:
        raise _unfit(name, " or ".join(known), value)
    return known[value]


def engine(options: Mapping[str, Any]) -> fleming_engine_options:
    """How an engine is set up."""
    return _filled(fleming_engine_options, options)


def answer(options: Mapping[str, Any]) -> fleming_ask_options:
    """How a question is answered."""
    given = dict(options)
    if (timeout := given.pop("timeout", None)) is not None:
        seconds = number("timeout", timeout)
        if not 0 < seconds < LONGEST_S:
            raise _unfit("timeout", RANGES["timeout"], timeout)
        given["timeout_ms"] = max(1, round(seconds * 1e3))
    if (prompt := given.pop("prompt", None)) is not None:
        if not isinstance(prompt, str) or prompt not in PROMPTS:
            raise _unfit("prompt", " or ".join(PROMPTS), prompt, "give a text of your own as instruction=")
        given["instruction"] = PROMPTS[prompt]
    if (how := given.get("preprocessing")) is not None:
        given["preprocessing"] = word("preprocessing", fleming_preprocessing, how)
    if (likeliest := given.pop("logprobs", None)) is not None:
        given |= {"logprobs": 1, "top_logprobs": likeliest}
    biases = given.pop("logit_bias", None)
    struct = _filled(fleming_ask_options, given)
    if biases is not None:
        _bias(struct, biases)
    return struct


def _bias(struct: fleming_ask_options, biases: Mapping[Any, Any]) -> None:
    """Biases of logits by ids of tokens."""
    if not isinstance(biases, Mapping):
        raise _unfit("logit_bias", "a dict from ids of tokens to numbers", biases)
    if not biases:
        return
    ids = [whole("logit_bias", _integer(token), 4) for token in biases]
    told = [number("logit_bias", bias) for bias in biases.values()]
    struct.bias_ids = (ctypes.c_uint32 * len(ids))(*ids)
    struct.biases = (ctypes.c_float * len(told))(*told)
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
            raise _unknown(name, of_engine=kind is fleming_engine_options)
        if value is None:
            continue
        if types[field] is ctypes.POINTER(ctypes.c_char_p):
            texts = _texts(name, value)
            setattr(struct, field, ctypes.cast(c_texts(name, texts), types[field]))
            setattr(struct, f"{field[:-1]}_count", len(texts))
        elif types[field] is ctypes.c_char_p:
            setattr(struct, field, _text(name, value))
        elif types[field] in (ctypes.c_float, ctypes.c_double):
            setattr(struct, field, _told(name, number(name, value)))
        else:
            setattr(struct, field, _told(name, whole(name, value, ctypes.sizeof(types[field]))))
    return struct


def _unknown(name: str, *, of_engine: bool) -> RequestError:
    """An error for a name that is no option of a call."""
    here, there = (ENGINE, ASK) if of_engine else (ASK, ENGINE)
    call = "Engine.ask" if of_engine else "Engine"
    near = difflib.get_close_matches(name, here, 1)
    hint = f"did you mean {near[0]}?" if near else "docs/cli.md lists the options"
    if name in there:
        return _unfit(name, "an option of this call", f"an option of {call}", f"give it to {call}")
    return _unfit(name, "an option", "an unknown one", hint)


def _told(name: str, value: Any) -> Any:
    """A number as its field says it, where 0 is the default."""
    if value != 0 or DEFAULTS.get(name) == "0" or name not in RANGES:
        return value
    if RANGES[name].startswith("0 to "):
        return ZERO
    raise _unfit(name, RANGES[name], value, "choose a number in this range")


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{key}={text}" for key, text in value.items()]
    if isinstance(value, str):
        return [value]
    if not isinstance(value, Iterable) or isinstance(value, bytes | bytearray):
        raise _unfit(name, "a text or a list of texts", value)
    texts = list(value)
    for text in texts:
        if not isinstance(text, str):
            raise _unfit(name, "a text or a list of texts", text)
    if name == "choice" and not texts:
        raise _unfit(name, "at least one choice", "none", "leave choice out to ask without one")
    return texts


def _text(name: str, value: Any) -> bytes:
    if isinstance(value, os.PathLike):
        return c_path(value, name)
    if isinstance(value, Mapping):
        return c_text(name, json.dumps(value))
    if not isinstance(value, str):
        raise _unfit(name, "a text", value)
    return c_text(name, value)


def number(name: str, value: Any) -> float:
    if isinstance(value, str | bytes | bytearray):
        raise _unfit(name, "a number", value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise _unfit(name, "a number", value) from None


def whole(name: str, value: Any, size: int) -> int:
    """A number that its field can hold: ctypes would cut off others."""
    try:
        found = value.__index__()
    except AttributeError:
        raise _unfit(name, "a whole number", value) from None
    if not 0 <= found < 1 << 8 * size:
        raise _unfit(name, "a whole number from 0 on", value)
    return int(found)


def items(name: str, value: Any, count: int | None = None) -> list[Any]:
    """A list, of so many if that is told."""
    wanted = f"{'a list' if count is None else count} of numbers"
    if isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__"):
        raise _unfit(name, wanted, value)
    found = list(value)
    if count is not None and len(found) != count:
        raise _unfit(name, wanted, f"{len(found)}")
    return found


def numbers(name: str, value: Any, count: int | None = None) -> tuple[float, ...]:
    """Finite numbers, so many if that is told."""
    found = tuple(number(name, one) for one in items(name, value, count))
    for one in found:
        if not math.isfinite(one):
            raise _unfit(name, "finite numbers", one)
    return found


def _unfit(name: str, wanted: str, got: object, hint: str = OF_OPTIONS) -> RequestError:
    # Of what is no number or text, the type: it may be the content of an input.
    shown = (
        got if isinstance(got, str) else repr(got) if isinstance(got, int | float) else type(got).__qualname__
    )
    return RequestError.of(name, wanted, shown, hint)
