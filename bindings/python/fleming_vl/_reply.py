"""Answers and how they came about."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import byref
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

from ._header import (
    fleming_event_kind,
    fleming_finish,
    fleming_frame_facts,
    fleming_modality,
    fleming_part,
    fleming_picture,
    fleming_reply_facts,
    fleming_token_facts,
)
from ._library import Handle, content, library, made, text
from ._picture import Picture


@dataclass(frozen=True)
class Event:
    """What happens while an answer is made.

    Attributes:
        kind: "thought" and "answer" bring the next piece of text; "reading" (bytes, packets or slices of a
            file), "encoding" (tiles) and "prefilling" (tokens of the prompt) tell how far that is.
        text: whole characters; "" where there is no text.
        done, total: how far it is; 0 where that is not told.
    """

    kind: str
    text: str = ""
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Usage:
    """Tokens spent.

    Attributes:
        prompt_tokens: of the prompt.
        image_tokens: of those, tokens of pictures.
        cached_tokens: of those of the prompt, tokens that were in memory already.
        completion_tokens: generated.
        thinking_tokens: of those, the tokens of the thought, its tags included.
        drafted_tokens, accepted_tokens: guessed ahead, and of those the ones that were right.
    """

    prompt_tokens: int
    image_tokens: int
    cached_tokens: int
    completion_tokens: int
    thinking_tokens: int
    drafted_tokens: int
    accepted_tokens: int


@dataclass(frozen=True)
class Timings:
    """Milliseconds.

    Attributes:
        read: reading the inputs.
        preprocess: preparing their pixels.
        queue: waiting for a slot.
        vision: the vision tower.
        prefill: the prompt.
        first_token: from the call to the first token.
        decode: the steps after it.
    """

    read: float
    preprocess: float
    queue: float
    vision: float
    prefill: float
    first_token: float
    decode: float


@dataclass(frozen=True)
class Frame:
    """A frame that the model saw.

    Attributes:
        source: name of its study.
        study: place of the study in the request, from 0.
        modality: "image", "video" or "volume".
        tiles: into how many tiles it was cut.
        index: place in the clip or of the slice, from 0; None for an image.
        seconds: from the start of the clip; None where it has no time.
        window: the values that became 0 and 255; None where none were scaled.
        spacing_mm: millimetres between slices, rows and columns; None where unknown.
    """

    source: str
    study: int
    modality: str
    tiles: int
    index: int | None
    seconds: float | None
    window: tuple[float, float] | None
    spacing_mm: tuple[float, float, float] | None


@dataclass(frozen=True)
class Token:
    """A token and its log-probability, by the raw logits.

    Attributes:
        id: its id in the package's vocabulary.
        bytes: what it stands for; need not be whole characters.
        logprob: the natural logarithm of its probability.
        top: the likeliest tokens at its place, if it is one that was generated.
    """

    id: int
    bytes: bytes
    logprob: float
    top: tuple[Token, ...] = ()


@dataclass(frozen=True)
class Reply:
    """An answer and how it came about.

    Attributes:
        answer: the answer; "" if generation ended before.
        thought: the reasoning; None if the model showed none.
        text: the whole reply, tags included.
        finish: why it ended: "stop", "length", "cancelled" or "timed-out".
        truncated: what was cut off: "thinking", "answer" or None.
        usage: tokens.
        timings_ms: milliseconds of each stage.
        frames: what the model saw, in order.
        warnings: what was changed in the inputs, or is unusual about them.
        completion_ids: the tokens that were generated, the end of the turn included.
        logprobs: each of them with its log-probability, if `logprobs` was asked for; else empty.
        seen: each of `frames` as the model saw it, if `keep_seen` was asked for; else empty. Pickled replies
            have none.
        package: name of the package that answered.
        digest: SHA-256 of that package: to be kept with the answer.
    """

    answer: str
    thought: str | None
    text: str
    finish: str
    truncated: str | None
    usage: Usage
    timings_ms: Timings
    frames: tuple[Frame, ...]
    warnings: tuple[str, ...]
    completion_ids: tuple[int, ...]
    logprobs: tuple[Token, ...]
    package: str
    digest: str
    seen: tuple[Picture, ...] = field(default=(), repr=False, compare=False)
    _parse: Callable[[str], Any] | None = field(default=None, repr=False, compare=False)
    # No field: what is in the memory of the engine is none of `dataclasses.asdict`.
    _handle: ClassVar[Handle | None] = None

    @property
    def parsed(self) -> Any:
        """The answer as `schema=` describes it: an object of that pydantic model, or plain values.

        Raises:
            ValueError: without a schema, for an answer that was cut off, or if the model refuses it.
        """
        if self._parse is None:
            raise ValueError("parsed: wanted a reply to a call with schema=, got one without")
        if self.truncated is not None:
            raise ValueError(
                f"parsed: wanted a whole answer, got one that was cut off (finish: {self.finish})"
            )
        return self._parse(self.answer)

    def to_dict(self) -> dict[str, Any]:
        """The reply as `json.dumps` takes it, without `seen`. The bytes of a token are a list of numbers."""
        told = asdict(replace(self, seen=(), logprobs=(), _parse=None))
        del told["seen"], told["_parse"]
        return {**told, "logprobs": [_token_dict(token) for token in self.logprobs]}

    def __getstate__(self) -> dict[str, Any]:
        # What is in the memory of its engine stays in that process.
        return {**self.__dict__, "_handle": None, "seen": ()}


def _token_dict(token: Token) -> dict[str, Any]:
    top = [_token_dict(one) for one in token.top]
    return {"id": token.id, "bytes": list(token.bytes), "logprob": token.logprob, "top": top}


TRUNCATED = {fleming_part.THOUGHT: "thinking", fleming_part.ANSWER: "answer"}


@dataclass(frozen=True)
class Asked:
    """What was asked, as far as the reply needs it.

    Attributes:
        package: name and digest of the package.
        parse: reads an answer that keeps to a schema.
        keep_seen: whether the reply keeps what the model saw.
    """

    package: tuple[str, str]
    parse: Callable[[str], Any] | None = None
    keep_seen: bool = False


def read(handle: Handle, asked: Asked) -> Reply:
    """The reply behind a handle."""
    facts = made(fleming_reply_facts)
    library().call("reply_read", handle, byref(facts))
    thought, warnings = facts.thought, text(facts.warnings)
    reply = Reply(
        answer=text(facts.answer),
        thought=None if thought is None else text(thought),
        text=text(facts.text),
        finish=_word(fleming_finish, facts.finish),
        truncated=TRUNCATED.get(facts.truncated),
        usage=Usage(**{entry.name: getattr(facts, entry.name) for entry in fields(Usage)}),
        timings_ms=Timings(**{entry.name: getattr(facts, f"{entry.name}_ms") for entry in fields(Timings)}),
        frames=tuple(_frame(handle, place) for place in range(facts.frame_count)),
        warnings=tuple(warnings.split("\n")) if warnings else (),
        completion_ids=tuple(facts.completion_ids[: facts.completion_tokens]),
        logprobs=tuple(_token(handle, place) for place in range(facts.logprob_count)),
        package=asked.package[0],
        digest=asked.package[1],
        seen=tuple(_seen(handle, place) for place in range(facts.frame_count)) if asked.keep_seen else (),
        _parse=asked.parse,
    )
    object.__setattr__(reply, "_handle", handle)
    return reply


def _frame(handle: Handle, place: int) -> Frame:
    facts = made(fleming_frame_facts)
    library().call("reply_frame", handle, place, byref(facts))
    return frame(facts)


def _seen(handle: Handle, place: int) -> Picture:
    facts = made(fleming_picture)
    library().call("reply_seen", handle, place, byref(facts))
    return Picture(handle, facts)


def _token(handle: Handle, place: int) -> Token:
    """A token that was generated, and the likeliest in its place."""
    facts = made(fleming_token_facts)

    def ranked(rank: int) -> Token:
        library().call("reply_token", handle, place, rank, byref(facts))
        return Token(facts.id, content(facts, "bytes", facts.length), facts.logprob)

    chosen = ranked(0)
    return replace(chosen, top=tuple(ranked(rank) for rank in range(1, facts.alternatives + 1)))


def frame(facts: fleming_frame_facts) -> Frame:
    """What is told of a frame."""
    modality = facts.modality
    window = (facts.window_low, facts.window_high)
    spacing = tuple(facts.spacing_mm)
    return Frame(
        source=text(facts.source),
        study=facts.study,
        modality=_word(fleming_modality, modality),
        tiles=facts.tiles,
        index=None if modality == fleming_modality.IMAGE else facts.index,
        seconds=facts.seconds if modality == fleming_modality.VIDEO else None,
        window=window if any(window) else None,
        spacing_mm=(spacing[0], spacing[1], spacing[2]) if any(spacing) else None,
    )


def event(raw: Any) -> Event:
    """A copy of what a callback is shown."""
    return Event(_word(fleming_event_kind, raw.kind), text(raw.text), raw.done, raw.total)


def _word(kind: Any, number: int) -> str:
    """The word for a number; for one of a newer library the number itself."""
    try:
        return str(kind(number).name.lower().replace("_", "-"))
    except ValueError:
        return str(number)
